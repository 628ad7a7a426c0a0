"""What a file of a model repository is, told by its name.

Belongs here: names and endings. Does not: any content.
"""

import polars as pl

WEIGHTS, CODE, CONFIG, TOKENIZER, CARD, OTHER = KINDS = (
    "weights", "code", "config", "tokenizer", "card", "other",
)  # fmt: skip

_WEIGHTS = (
    "safetensors", "bin", "pt", "pth", "ckpt", "h5", "hdf5", "keras", "gguf", "ggml", "onnx",
    "onnx_data", "msgpack", "pb", "tflite", "mlmodel", "mlpackage", "npz", "npy", "pkl", "pickle",
    "joblib", "skops", "llamafile", "engine", "plan", "nemo", "marlin", "zip", "tar", "gz", "7z",
)  # fmt: skip
"""Endings of weights, and of archives, which hold weights where they are large."""

_CODE = ("py", "ipynb", "sh", "js", "ts", "cpp", "cc", "c", "h", "cu", "rs", "java", "r", "jl")
_CONFIG = ("json", "yaml", "yml", "toml", "ini", "cfg", "jsonl")
_TOKENIZER = (
    r"(^|/)(tokenizer[^/]*|vocab[^/]*|merges\.txt|special_tokens_map\.json|added_tokens\.json"
    r"|spiece\.model|sentencepiece[^/]*|[^/]*\.spm|[^/]*\.tiktoken|tekken\.json)$"
)
_CARD = r"(^|/)(readme|model_?card|licen[cs]e|notice|citation|use_policy)[^/]*$"


def kind_of(path: pl.Expr) -> pl.Expr:
    """The kind of a file: one of `KINDS`.

    Args:
        path: its path in the repository.
    """
    lower = path.str.to_lowercase()
    ending = lower.str.extract(r"\.([^./]+)$")
    # An index tells which shard holds which tensor: it is small, and of use without the weights.
    return (
        pl.when(lower.str.contains(_TOKENIZER)).then(pl.lit(TOKENIZER))
        .when(ending.is_in(_WEIGHTS)).then(pl.lit(WEIGHTS))
        .when(lower.str.contains(_CARD)).then(pl.lit(CARD))
        .when(ending.is_in(_CODE)).then(pl.lit(CODE))
        .when(ending.is_in(_CONFIG)).then(pl.lit(CONFIG))
        .otherwise(pl.lit(OTHER))
    )  # fmt: skip
