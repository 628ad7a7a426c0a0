"""Which files the repositories of the sample world hold, column by column.

Belongs here: names of files and who has which. Does not: what the files hold (`contents`), how they
are listed and sent (`repository_files`).

A repository's files follow from its facts, so no file is drawn. Names are few and lists of them are
fewer: a list costs a byte a name, and each is written once for all repositories that share it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from hfkg_resources.sample_hub.words import TEXT_TASKS, WRITING_TASKS

README = "README.md"
CONFIG, ADAPTER_CONFIG, DIFFUSERS_INDEX = "config.json", "adapter_config.json", "model_index.json"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")

EMPTY = "samples/.gitkeep"
"""A file without a byte."""
WIDE_NAME = "samples/пример 例 № 1.txt"
"""A name with spaces and letters that no URL may hold as they are."""
SIGNS_NAME = "notes #1 (100%).txt"
"""A name with the signs that mean something in a URL."""

_CONFIGURED = ("transformers", "sentence-transformers", "timm", "lerobot")
_PICKLED = (
    "stable-baselines3", "sklearn", "pyannote-audio", "speechbrain", "audiocraft", "open_clip",
)  # fmt: skip
_COMMON_NAMES = (".gitattributes", README, "LICENSE", EMPTY, WIDE_NAME, SIGNS_NAME)
_NAMES = {
    "model": (
        *_COMMON_NAMES, CONFIG, ADAPTER_CONFIG, DIFFUSERS_INDEX, WEIGHTS, WEIGHTS_INDEX, *SHARDS,
        "1_Pooling/config.json", "adapter_model.safetensors", "generation_config.json",
        "model-Q4_K_M.gguf", "model-Q8_0.gguf", "modules.json", "onnx/model.onnx",
        "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json", "training_args.bin",
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors", "weights/best.pt",
    ),
    "dataset": (
        *_COMMON_NAMES, "data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet",
        "data/train.csv", "data/train.jsonl", "images.zip", "train.tar",
    ),
    "space": (
        *_COMMON_NAMES, "Dockerfile", "app.py", "index.html", "requirements.txt", "style.css",
    ),
}  # fmt: skip
FILES = {kind: pl.Enum(sorted(names)) for kind, names in _NAMES.items()}
"""All names of files by kind, in the order in which a repository lists them."""


def model_files(table: pl.DataFrame) -> pl.Series:
    """Lists of the files of models."""
    library, topic = pl.col("library"), pl.col("topic")
    adapter, diffuser = library.eq_missing("peft"), library.eq_missing("diffusers")
    gguf = pl.col("base_relation").eq_missing("quantized")
    yolo, pickled = library.eq_missing("ultralytics"), library.is_in(_PICKLED)
    plain = ~_either(adapter, diffuser, gguf, yolo, pickled)
    configured = _either(library.is_null(), library.is_in(_CONFIGURED))
    sentences = library.eq_missing("sentence-transformers")
    sharded = plain & one_in(11, "weights_key")
    has_config = _either(plain & configured, gguf & one_in(2))
    reads_text = topic.is_in(TEXT_TASKS) & _either(plain & configured, adapter)
    files = {
        CONFIG: has_config,
        ADAPTER_CONFIG: adapter,
        DIFFUSERS_INDEX: diffuser & ~gguf,
        WEIGHTS: plain & ~sharded,
        WEIGHTS_INDEX: sharded,
        **dict.fromkeys(SHARDS, sharded),
        "1_Pooling/config.json": plain & sentences,
        "modules.json": plain & sentences,
        "adapter_model.safetensors": adapter,
        "generation_config.json": plain & configured & topic.is_in(WRITING_TASKS),
        "model-Q4_K_M.gguf": gguf,
        "model-Q8_0.gguf": gguf & one_in(2),
        "onnx/model.onnx": plain & configured & one_in(13, "weights_key"),
        "pytorch_model.bin": _either(plain & one_in(9, "weights_key"), pickled & ~gguf),
        "tokenizer.json": reads_text,
        "tokenizer_config.json": reads_text,
        "training_args.bin": (pl.col("layout") == "trainer") & ~gguf,
        "unet/config.json": diffuser & ~gguf,
        "unet/diffusion_pytorch_model.safetensors": diffuser & ~gguf,
        "vae/diffusion_pytorch_model.safetensors": diffuser & ~gguf & one_in(3),
        "weights/best.pt": yolo & ~gguf,
    }
    return _listed("model", table, _common() | files)


def dataset_files(table: pl.DataFrame) -> pl.Series:
    """Lists of the files of datasets."""
    stored = pl.col("format")
    parquet = stored == "parquet"
    files = {
        "data/train-00000-of-00001.parquet": parquet,
        "data/test-00000-of-00001.parquet": parquet & one_in(2),
        "data/train.csv": stored == "csv",
        "data/train.jsonl": stored == "json",
        "images.zip": stored == "imagefolder",
        "train.tar": stored == "webdataset",
    }
    return _listed("dataset", table, _common() | files)


def space_files(table: pl.DataFrame) -> pl.Series:
    """Lists of the files of Spaces."""
    static, docker = pl.col("sdk") == "static", pl.col("sdk") == "docker"
    files = {
        "index.html": static,
        "style.css": static,
        "Dockerfile": docker,
        "app.py": ~static,
        "requirements.txt": ~static,
    }
    return _listed("space", table, _common() | files)


def one_in(number: int, key: str = "key") -> pl.Expr:
    """True for one in so many repositories, by bits of the key that decide nothing else."""
    return pl.col(key) // 1_000_003 % number == 0


def _common() -> dict[str, pl.Expr]:
    return {
        ".gitattributes": pl.lit(True),
        README: pl.col("layout").is_not_null(),
        "LICENSE": pl.col("license").is_not_null() & one_in(2),
        EMPTY: one_in(19),
        WIDE_NAME: one_in(23),
        SIGNS_NAME: one_in(29),
    }


def _either(*conditions: pl.Expr) -> pl.Expr:
    """Whether one of some conditions holds; an unknown one does not."""
    return pl.any_horizontal(condition.fill_null(False) for condition in conditions)


def _listed(kind: str, table: pl.DataFrame, present: Mapping[str, pl.Expr]) -> pl.Series:
    """One list of names per row: the rows' sets of bits first, a list for each set then."""
    names = FILES[kind].categories.to_list()
    bits = [pl.when(present[name]).then(1 << bit).otherwise(0) for bit, name in enumerate(names)]
    held = table.select(pl.sum_horizontal(bits).alias("held"))
    sets = held["held"].unique().sort()
    rows, present_bits = np.nonzero(sets.to_numpy()[:, None] >> np.arange(len(names)) & 1)
    listed = (
        pl.DataFrame({"held": sets.gather(rows)})
        .with_columns(pl.Series("siblings", names, FILES[kind]).gather(present_bits))
        .group_by("held", maintain_order=True)
        .agg("siblings")
    )
    return held.join(listed, on="held", how="left", maintain_order="left")["siblings"]
