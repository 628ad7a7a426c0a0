"""Languages: what of a text is read, and when it is too little to tell."""

import polars as pl
import pytest

from hfkg_assets.features.languages import LANGUAGE, READ_CHARACTERS, detect_languages

ENGLISH = "This model was trained on letters that people wrote to the editors of newspapers. "
SENTENCES = {
    "en": ENGLISH,
    "de": "Dieses Modell wurde mit Leserbriefen an deutsche Zeitungen trainiert.",
    "fr": "Ce modèle a été entraîné sur des lettres de lecteurs envoyées aux journaux.",
    "es": "Este modelo se entrenó con cartas que los lectores enviaron a los periódicos.",
    "ru": "Эта модель обучена на письмах читателей в газеты.",
    "zh": "这个模型是用读者写给报纸编辑的信件训练出来的，适合短文本。",
    "ja": "このモデルは、読者が新聞に送った手紙を使って学習しました。",
    "ko": "이 모델은 독자들이 신문사에 보낸 편지로 학습되었습니다.",
    "ar": "تم تدريب هذا النموذج على رسائل القراء إلى الصحف.",
}


def found(*texts: str) -> list[tuple[str | None, float | None]]:
    return detect_languages(pl.Series(texts, dtype=pl.String)).rows()


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_enough_to_tell_its_language(code: str) -> None:
    ((language, confidence),) = found(SENTENCES[code])
    assert language == code
    assert confidence is not None
    assert 0.4 <= confidence <= 1


@pytest.mark.parametrize(
    "text", ["", "A model", "wav2vec2-base-timit", "Rick Sanchez DialoGPT Model", "0.1 | 2 | 30"]
)
def test_of_a_name_or_a_number_no_language_is_told(text: str) -> None:
    assert found(text) == [(None, None)]


def test_of_a_long_text_the_beginning_is_read() -> None:
    english = ENGLISH * (READ_CHARACTERS // len(ENGLISH) + 1)
    assert found(english + SENTENCES["zh"] * 5_000) == found(english)


def test_rows_stay_in_order_and_no_texts_give_no_rows() -> None:
    languages = [language for language, _ in found(SENTENCES["de"], "x", SENTENCES["ru"])]
    assert languages == ["de", None, "ru"]
    empty = detect_languages(pl.Series([], dtype=pl.String))
    assert (empty.height, empty.schema) == (0, pl.Schema(LANGUAGE))
