"""`feature/embedding`: a vector for the text of every model and dataset.

Vectors are kept by the digest of their text in a store beside the snapshots, one folder for each
encoder: an equal text is embedded once, whether it stands in two cards or in two snapshots, and
an interrupted run goes on where it was.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.atomic_write import write_atomically
from hfkg_resources.text_encoder import TextEncoder, file_name
from hfkg_resources.warehouse import Warehouse

SHARD_TEXTS = 1_024
"""Most texts of a shard: what an interrupted run can lose."""

PROGRESS_SECONDS = 10.0


class Encoder(Protocol):
    """What `embed` needs of a text encoder."""

    @property
    def dimension(self) -> int: ...

    def encode(
        self, texts: list[str], progress: Callable[[int], None] | None = None
    ) -> np.ndarray: ...


class EmbeddingStore:
    """Vectors by the sha256 of their text, in Parquet shards that are only ever added.

    Args:
        directory: folder of one encoder; made when the first shard is written.
        dimension: width of a vector.
    """

    def __init__(self, directory: Path, dimension: int) -> None:
        self.directory = directory
        self.dtype = pl.Array(pl.Float32, dimension)

    def find(self, digests: pl.Series) -> pl.DataFrame:
        """The known ones of some digests: `sha256`, `embedding`, each digest once."""
        shards = sorted(self.directory.glob("shard-*.parquet"))
        if not shards:
            return pl.DataFrame(schema={"sha256": pl.String(), "embedding": self.dtype})
        wanted = digests.unique().to_frame("sha256").lazy()
        return (
            pl.scan_parquet(shards)
            .join(wanted, on="sha256", how="semi")
            .unique("sha256", keep="any")  # two runs at once may have made the same vector
            .collect()
        )

    def add(self, digests: pl.Series, vectors: np.ndarray) -> None:
        """Writes a shard; it is there whole or not at all."""
        frame = pl.DataFrame({"sha256": digests, "embedding": pl.Series(vectors, dtype=self.dtype)})
        write_atomically(
            self.directory / f"shard-{uuid.uuid4().hex}.parquet",
            lambda file: frame.write_parquet(file, compression="zstd"),
        )


@dataclass(frozen=True)
class Embedded:
    """What came of `embed`.

    Attributes:
        vectors: float32 [n, dimension]; zero where there is no text.
        encoded: texts that were embedded now.
        reused: texts whose vector was in the store.
        seconds: time spent on embedding.
    """

    vectors: np.ndarray
    encoded: int
    reused: int
    seconds: float


def embed(
    texts: pl.Series,
    encoder: Encoder,
    store: EmbeddingStore,
    log: Callable[[str], None] = lambda message: None,
) -> Embedded:
    """Embeds texts, each different one at most once for all time.

    Args:
        texts: n texts; null or blank where there is none.
        encoder: makes the vectors that the store lacks.
        store: keeps them, shard by shard as they are made.
        log: told of progress every ten seconds.
    """
    filled = texts.str.strip_chars().fill_null("") != ""
    present = texts.filter(filled)
    unique = pl.DataFrame({"text": present, "sha256": sha256(present)}).unique(
        "sha256", keep="first", maintain_order=True
    )
    missing = unique.join(store.find(unique["sha256"]), on="sha256", how="anti")
    started = time.perf_counter()
    report = _progress(missing.height, started, log)
    for number, shard in enumerate(missing.iter_slices(SHARD_TEXTS)):
        progress = partial(report, number * SHARD_TEXTS)
        vectors = encoder.encode(shard["text"].to_list(), progress)
        store.add(shard["sha256"], vectors)
    seconds = time.perf_counter() - started

    known = store.find(unique["sha256"])
    row = pl.DataFrame({"sha256": sha256(present)}).join(
        known.select("sha256").with_row_index("row"), on="sha256", how="left", maintain_order="left"
    )
    vectors = np.zeros((len(texts), encoder.dimension), np.float32)
    vectors[filled.to_numpy()] = known["embedding"].to_numpy()[row["row"].to_numpy()]
    return Embedded(vectors, missing.height, unique.height - missing.height, seconds)


def sha256(texts: pl.Series) -> pl.Series:
    """Hex digests of texts."""
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return pl.Series("sha256", digests, pl.String)


def _progress(total: int, started: float, log: Callable[[str], None]) -> Callable[[int, int], None]:
    last = started

    def report(before: int, since: int) -> None:
        nonlocal last
        now, done = time.perf_counter(), before + since
        if now - last < PROGRESS_SECONDS:
            return
        last = now
        rate = done / (now - started)
        left = (total - done) / rate
        log(f"embedded {done:,} of {total:,} texts, {rate:.1f}/s, {left:.0f} s to go")

    return report


def texts_by_variant(document: pl.LazyFrame, variants: Sequence[str]) -> pl.DataFrame:
    """The documents' texts below one another: `variant`, `kind`, `id`, `text`, in that order.

    Args:
        document: `feature/document`, sorted by kind and id.
        variants: its text columns that are wanted.
    """
    return pl.concat(
        [
            document.select(pl.lit(variant).alias("variant"), "kind", "id", text=variant)
            for variant in sorted(variants)
        ]
    ).collect()


def store_of(warehouse: Warehouse, encoder: TextEncoder) -> EmbeddingStore:
    """The store of an encoder's vectors, beside the snapshots."""
    folder = Path(warehouse.root, ".embeddings", file_name(encoder.identity))
    return EmbeddingStore(folder, encoder.dimension)


@snapshot_asset(
    "feature/embedding",
    description="The text encoder's vector of each text variant of each document; zero where "
    "there is no text.",
    ins={"document": "feature/document"},
)
def embedding(
    context: dg.AssetExecutionContext,
    document: pl.LazyFrame,
    encoder: TextEncoder,
    warehouse: dg.ResourceParam[Warehouse],
) -> pl.DataFrame:
    frame = texts_by_variant(document, encoder.variants)
    store = store_of(warehouse, encoder)
    result = embed(frame["text"], encoder, store, context.log.info)
    context.add_output_metadata(
        {
            "hfkg/encoder": encoder.identity,
            "hfkg/variants": encoder.variants,
            "hfkg/encoded": result.encoded,
            "hfkg/reused": result.reused,
            "hfkg/texts_per_second": round(result.encoded / result.seconds, 1)
            if result.encoded
            else 0.0,
        }
    )
    return frame.select(
        "variant",
        "kind",
        "id",
        (pl.col("text").str.strip_chars().fill_null("") != "").alias("has_text"),
        pl.Series("embedding", result.vectors, dtype=store.dtype),
    )
