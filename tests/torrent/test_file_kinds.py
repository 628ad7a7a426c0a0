"""What a file is, by its name."""

import polars as pl
import pytest

from hfkg_assets.torrent.file_kinds import kind_of


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("model-00001-of-00002.safetensors", "weights"),
        ("onnx/model.onnx", "weights"),
        ("model.safetensors.index.json", "config"),
        ("Model-Q4_K_M.GGUF", "weights"),
        ("pytorch_model.bin", "weights"),
        ("config.json", "config"),
        ("tokenizer.json", "tokenizer"),
        ("tokenizer.model", "tokenizer"),
        ("sub/vocab.txt", "tokenizer"),
        ("merges.txt", "tokenizer"),
        ("README.md", "card"),
        ("LICENSE", "card"),
        ("modeling_tarn.py", "code"),
        (".gitattributes", "other"),
        ("samples/中文 1.png", "other"),
        ("", "other"),
    ],
)
def test_a_name_tells_the_kind(path, kind):
    assert pl.select(kind_of(pl.lit(path))).item() == kind
