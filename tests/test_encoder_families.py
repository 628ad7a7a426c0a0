"""Pooling and instructions of the families of text encoders, on tiny made-up models."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from hfkg_resources import text_encoder
from hfkg_resources.encoder_families import family_of
from hfkg_resources.text_encoder import TextEncoder
from tests.tiny_encoders import checkpoint, sentence_encoder

TEXTS = ["a model of cats", "a much longer description of a dataset with pictures of dogs", "x"]
BGE_QUERY = "Represent this sentence for searching relevant passages: "


def expected(folder: Path, texts: list[str], pool: Callable) -> np.ndarray:
    """Vectors straight from the transformer, text by text, so that there is no padding."""
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        vectors = [
            pool(model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0])
            for text in texts
        ]
    return torch.nn.functional.normalize(torch.stack(vectors)).numpy()


def cls(tokens: torch.Tensor) -> torch.Tensor:
    return tokens[0]


def mean(tokens: torch.Tensor) -> torch.Tensor:
    return tokens.mean(dim=0)


@pytest.mark.parametrize(
    ("name", "pool", "document", "query"),
    [
        ("bge-base-en-v1.5", cls, "", BGE_QUERY),
        ("bge-small-en", cls, "", BGE_QUERY),
        ("bge-large-zh-v1.5", cls, "", "为这个句子生成表示以用于检索相关文章："),
        ("bge-m3", cls, "", ""),
        ("e5-small-v2", mean, "passage: ", "query: "),
        ("multilingual-e5-base", mean, "passage: ", "query: "),
        ("all-MiniLM-L12-v2", mean, "", ""),
        ("all-mpnet-base-v2", mean, "", ""),
        ("multi-qa-mpnet-base-dot-v1", cls, "", ""),
        ("gte-base", mean, "", ""),
        ("gte-base-en-v1.5", cls, "", ""),
        ("some-model-of-nobody", mean, "", ""),
    ],
)
def test_a_bare_checkpoint_is_pooled_and_instructed_as_its_family_is(
    tmp_path: Path, name: str, pool: Callable, document: str, query: str
) -> None:
    folder = checkpoint(tmp_path / name)
    encoder = TextEncoder(model=str(folder))
    told = [document + text for text in TEXTS]
    np.testing.assert_allclose(encoder.encode(TEXTS), expected(folder, told, pool), atol=1e-5)
    asked = [query + text for text in TEXTS]
    np.testing.assert_allclose(
        encoder.encode(TEXTS, kind="query"), expected(folder, asked, pool), atol=1e-5
    )


def test_instructed_e5_is_told_the_task_before_queries_only(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "multilingual-e5-large-instruct")
    encoder = TextEncoder(model=str(folder))
    np.testing.assert_allclose(encoder.encode(TEXTS), expected(folder, TEXTS, mean), atol=1e-5)
    instruction = encoder._loaded().instructions.query
    assert instruction.startswith("Instruct: ")
    assert instruction.endswith("\nQuery: ")
    asked = expected(folder, [instruction + text for text in TEXTS], mean)
    np.testing.assert_allclose(encoder.encode(TEXTS, kind="query"), asked, atol=1e-5)


def test_prompts_of_the_models_own_configuration_stand_above_its_familys(tmp_path: Path) -> None:
    prompts = {"query": "ask: ", "passage": "told: "}
    folder = sentence_encoder(tmp_path / "e5-base-v2", "mean_tokens", prompts)
    encoder = TextEncoder(model=str(folder))
    told = expected(folder, ["told: " + text for text in TEXTS], mean)
    np.testing.assert_allclose(encoder.encode(TEXTS), told, atol=1e-5)
    asked = expected(folder, ["ask: " + text for text in TEXTS], mean)
    np.testing.assert_allclose(encoder.encode(TEXTS, kind="query"), asked, atol=1e-5)


def test_empty_prompts_which_sentence_transformers_writes_by_itself_say_nothing(
    tmp_path: Path,
) -> None:
    prompts = {"query": "", "document": ""}
    folder = sentence_encoder(tmp_path / "e5-base-v2", "mean_tokens", prompts)
    told = expected(folder, ["passage: " + text for text in TEXTS], mean)
    np.testing.assert_allclose(TextEncoder(model=str(folder)).encode(TEXTS), told, atol=1e-5)


def test_a_models_default_prompt_is_used_where_it_has_none_for_the_kind(tmp_path: Path) -> None:
    folder = sentence_encoder(tmp_path / "own", "cls_token", {"all": "text: "}, default="all")
    told = expected(folder, ["text: " + text for text in TEXTS], cls)
    encoder = TextEncoder(model=str(folder))
    np.testing.assert_allclose(encoder.encode(TEXTS), told, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS, kind="query"), told, atol=1e-5)


def test_a_complete_model_that_pools_unlike_its_family_is_believed_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = sentence_encoder(tmp_path / "bge-small-en-v1.5", "mean_tokens")
    with caplog.at_level(logging.WARNING, text_encoder.__name__):
        vectors = TextEncoder(model=str(folder)).encode(TEXTS)
    np.testing.assert_allclose(vectors, expected(folder, TEXTS, mean), atol=1e-5)
    assert "pools by mean, and models of its family (BGE, English) by cls" in caplog.text


def test_pooling_and_the_documents_instruction_are_part_of_the_identity(tmp_path: Path) -> None:
    bge, e5, other = (
        TextEncoder(model=str(checkpoint(tmp_path / name))).identity.split("/")[1:]
        for name in ("bge-base-en-v1.5", "e5-base", "another")
    )
    assert bge[1:] == ["cls"]
    assert e5[1:] == ["passage:"]
    assert other[1:] == []


def test_an_instruction_counts_as_tokens_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    batches = text_encoder._batches
    monkeypatch.setattr(
        text_encoder,
        "_batches",
        lambda tokens, most: counts.append(tokens) or batches(tokens, most),
    )
    encoder = TextEncoder(model=str(checkpoint(tmp_path / "bge-base-en-v1.5")))
    encoder.encode(["cats"])
    encoder.encode(["cats"], kind="query")
    words = len(encoder._loaded().model.tokenizer.tokenize(BGE_QUERY))
    assert counts[1] - counts[0] == words > 5


def test_a_kind_of_text_that_there_is_not_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"kind='title' is not allowed\. Use one of: document, query"
    ):
        TextEncoder().encode(["a"], kind="title")


def test_the_family_is_told_by_the_models_name_also_in_the_hubs_cache() -> None:
    cached = "/cache/hub/models--BAAI--bge-base-en-v1.5/snapshots/a5beb1e3e68b9ab74eb54cfd186867f6"
    for name in ("BAAI/bge-base-en-v1.5", cached):
        family = family_of(name)
        assert family is not None
        assert family.name == "BGE, English"
    assert family_of("/models/bge-base-en-v1.5/all-of-them") is None
    assert family_of("BAAI/bge-reranker-base") is None
