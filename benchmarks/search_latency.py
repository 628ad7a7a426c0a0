"""How long a question takes at 100,000 and 1,000,000 documents, by exact and approximate indexes.

    .venv/bin/python benchmarks/search_latency.py [--documents 100000 1000000] [--dimension 384]
        [--queries 100] [--build-seconds 90] [--only NAME ...] [--json FILE]

Vectors are made up: a mixture of Gaussians on the sphere, a cluster for every 250 documents, which
lies in 32 directions of its own, and a little noise. How wide clusters are was set so that an
inverted file of 15,000 such vectors recalls about as much as one of 15,000 vectors of real cards.
Documents are made up of Zipf's words, as
many as a card has on average. Questions are drawn from the same mixture and the same words.

Libraries that are compared are no dependency: `pip install faiss-cpu hnswlib usearch bm25s`;
those that are not installed are left out. One question is asked at a time. Recall is the share of
the ten exact neighbours that are among the ten found. A build that would take longer than
`--build-seconds`, to judge by the smaller size, is left out and told so.

The last table is search as the product does it, with filters, fusion, reranking, reasons and
excerpts, but for the question's vector, which any index needs.
"""

import argparse
import gc
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hfkg_assets.retrieval.answers import Filters
from hfkg_assets.retrieval.facts import FACTS
from hfkg_assets.retrieval.links import LIKES, LINK, Links
from hfkg_assets.retrieval.search import DocumentSearch
from hfkg_assets.retrieval.selection import Selection
from hfkg_assets.retrieval.texts import Texts
from hfkg_assets.retrieval.vector_index import VectorIndex
from hfkg_assets.retrieval.word_index import WordIndex
from hfkg_assets.retrieval.words import question_words
from hfkg_resources.table_schema import schema_of

SEED = 7
CLUSTER, INNER, SPREAD, NOISE = 250, 32, 1.7, 0.3
WORDS, VOCABULARY = 60, 200_000
QUESTION_WORDS = 5
K = 10
CHUNK = 100_000

Search = Callable[[np.ndarray], np.ndarray]
"""From a vector to the rows of the ten nearest."""


@dataclass(frozen=True)
class Built:
    """An index that can be asked.

    Attributes:
        searches: setting → how it is asked with it.
        bytes: what it holds.
    """

    searches: dict[str, Search]
    bytes: int


def library(name: str) -> ModuleType | None:
    """A library that is compared, where it is installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# --- made-up documents ---------------------------------------------------------------------------


class Mixture:
    """A mixture of Gaussians on the sphere.

    Args:
        clusters: how many.
        dimension: of a vector.
    """

    def __init__(self, clusters: int, dimension: int) -> None:
        rng = np.random.default_rng(SEED)
        self.centres = _unit(rng.standard_normal((clusters, dimension), np.float32))
        self.directions = rng.standard_normal((INNER, dimension), np.float32) / dimension**0.5
        self.signs = rng.choice(np.float32([-1, 1]), (clusters, dimension))
        self.scales = (SPREAD / np.arange(1, INNER + 1) ** 0.5).astype(np.float32)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """float32 [count, d], each of length 1."""
        dimension = self.centres.shape[1]
        vectors = np.empty((count, dimension), np.float32)
        for start in range(0, count, CHUNK):
            size = min(CHUNK, count - start)
            cluster = rng.integers(len(self.centres), size=size)
            inner = rng.standard_normal((size, INNER), np.float32) * self.scales
            noise = rng.standard_normal((size, dimension), np.float32) * (NOISE / dimension**0.5)
            within = inner @ self.directions * self.signs[cluster]  # each cluster lies its own way
            vectors[start : start + size] = _unit(self.centres[cluster] + within + noise)
        return vectors


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def zipf_texts(count: int, words: int, rng: np.random.Generator) -> pl.Series:
    """Texts of words whose frequency falls with their rank."""
    shares = 1 / np.arange(1, VOCABULARY + 1)
    bounds = np.cumsum(shares / shares.sum())
    vocabulary = pl.Series([f"w{number}x" for number in range(VOCABULARY)])
    parts = []
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        drawn = np.searchsorted(bounds, rng.random(size * words)).clip(0, VOCABULARY - 1)
        rows = vocabulary.gather(drawn).reshape((size, words)).arr.to_list()
        parts.append(rows.list.join(" "))
    return pl.concat(parts)


# --- indexes -------------------------------------------------------------------------------------


def exact_numpy(vectors: np.ndarray) -> Built:
    """What hfkg does: one product, and the highest of it."""
    index = VectorIndex(vectors, "")
    everything = Selection(0, len(vectors))
    return Built({"float32": lambda query: index.search(query, K, everything).rows}, vectors.nbytes)


def exact_torch(vectors: np.ndarray) -> Built:
    """The product in 16 bits."""
    import torch

    half = torch.from_numpy(vectors).to(torch.bfloat16)

    def search(query: np.ndarray) -> np.ndarray:
        scores = half @ torch.from_numpy(query).to(torch.bfloat16)
        return torch.topk(scores.float(), K).indices.numpy()

    return Built({"bfloat16": search}, half.nbytes)


def faiss_index(vectors: np.ndarray, name: str, settings: dict[str, dict[str, int]]) -> Built:
    """An index by faiss's own description of it."""
    faiss: Any = library("faiss")
    index = faiss.index_factory(vectors.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    if name.startswith("HNSW"):
        index.hnsw.efConstruction = 80
    else:
        inner = faiss.downcast_index(index)
        if hasattr(inner, "cp"):
            inner.cp.niter, inner.cp.max_points_per_centroid = 10, 64
    sample = np.random.default_rng(SEED).permutation(len(vectors))[:CHUNK]
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    space = faiss.ParameterSpace()

    def search(query: np.ndarray, *, setting: dict[str, int]) -> np.ndarray:
        for key, value in setting.items():
            space.set_index_parameter(index, key, value)
        return index.search(query[None], K)[1][0]

    searches = {label: partial(search, setting=setting) for label, setting in settings.items()}
    return Built(searches, len(faiss.serialize_index(index)))


def hnswlib_index(vectors: np.ndarray) -> Built:
    """hnswlib's graph."""
    hnswlib: Any = library("hnswlib")
    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), ef_construction=80, M=16)
    index.add_items(vectors)

    def search(query: np.ndarray, *, ef: int) -> np.ndarray:
        index.set_ef(ef)
        return index.knn_query(query, K)[0][0]

    return Built({f"ef {ef}": partial(search, ef=ef) for ef in (32, 128)}, index.index_file_size())


def usearch_index(vectors: np.ndarray) -> Built:
    """usearch's graph, over vectors of 16 bits."""
    usearch: Any = importlib.import_module("usearch.index")
    index = usearch.Index(
        ndim=vectors.shape[1], metric="ip", dtype="bf16", connectivity=16, expansion_add=80
    )
    index.add(np.arange(len(vectors)), vectors)

    def search(query: np.ndarray, *, ef: int) -> np.ndarray:
        index.expansion_search = ef
        return index.search(query, K).keys

    return Built({f"ef {ef}": partial(search, ef=ef) for ef in (32, 128)}, index.memory_usage)


def candidates(documents: int) -> Iterator[tuple[str, Callable[[np.ndarray], Built]]]:
    """Name and builder of each index whose library is installed."""
    yield "exact, numpy", exact_numpy
    yield "exact, torch", exact_torch
    lists = round(2 * documents**0.5)
    probes = {f"nprobe {n}": {"nprobe": n} for n in (16, 64, 256)}
    if library("faiss"):
        beams = {f"efSearch {n}": {"efSearch": n} for n in (32, 128)}
        yield "exact, faiss SQ8", partial(faiss_index, name="SQ8", settings={"8 bits": {}})
        yield "faiss IVF-Flat", partial(faiss_index, name=f"IVF{lists},Flat", settings=probes)
        yield "faiss IVF-SQ8", partial(faiss_index, name=f"IVF{lists},SQ8", settings=probes)
        yield "faiss HNSW", partial(faiss_index, name="HNSW16", settings=beams)
    if library("hnswlib"):
        yield "hnswlib", hnswlib_index
    if library("usearch"):
        yield "usearch", usearch_index


# --- measuring -----------------------------------------------------------------------------------


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def latency(ask: Callable[[Any], Any], questions: list[Any]) -> tuple[float, float, list[Any]]:
    """Median and 95th percentile in milliseconds, one question at a time, and the answers."""
    ask(questions[0])
    taken = [timed(partial(ask, question)) for question in questions]
    milliseconds = np.array([seconds for seconds, _ in taken]) * 1_000
    median, high = np.percentile(milliseconds, [50, 95])
    return float(median), float(high), [answer for _, answer in taken]


def measure_vectors(
    vectors: np.ndarray,
    questions: np.ndarray,
    budget: float,
    earlier: dict[str, float],
    only: list[str],
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Every index over some vectors: a row for each setting; and how long each was built."""
    similar = questions @ vectors.T
    truth = np.argpartition(-similar, K, axis=1)[:, :K]
    del similar
    rows, built_in = [], {}
    for name, build in candidates(len(vectors)):
        if not any(part in name for part in only):
            continue
        if earlier.get(name, 0.0) > budget:
            rows.append({"index": name, "left_out": f"about {earlier[name]:,.0f} s to build"})
            continue
        seconds, built = timed(partial(build, vectors))
        built_in[name] = seconds
        for setting, search in built.searches.items():
            median, high, found = latency(search, list(questions))
            hits = [len(np.intersect1d(a, b)) for a, b in zip(truth, found, strict=True)]
            rows.append(
                {
                    "index": name, "setting": setting, "build_seconds": round(seconds, 2),
                    "bytes": built.bytes, "median_ms": round(median, 3), "p95_ms": round(high, 3),
                    "recall_at_10": round(float(np.mean(hits)) / K, 4),
                }
            )  # fmt: skip
            log(str(rows[-1]))
        del built
        gc.collect()
    return rows, built_in


def measure_words(texts: pl.Series, questions: list[str]) -> tuple[list[dict[str, Any]], WordIndex]:
    """BM25 of hfkg and of the libraries that are installed."""
    ids = pl.Series([f"owner{n % 5_000}/name{n}" for n in range(len(texts))])
    seconds, index = timed(lambda: WordIndex.build(texts, ids))
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder))
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    median, high, _ = latency(lambda q: index.scores(index.find(question_words(q))), questions)
    rows = [_word_row("hfkg, arrays of weights", seconds, size, median, high)]
    log(str(rows[-1]))
    bm25s = library("bm25s")
    if bm25s and len(texts) <= CHUNK:  # beyond, its tokens as Python objects fill the memory
        tokens = texts.str.split(" ").to_list()
        seconds, other = timed(lambda: _bm25s(bm25s, tokens))
        size = sum(part.nbytes for part in other.scores.values() if hasattr(part, "nbytes"))
        median, high, _ = latency(lambda q: other.get_scores(q.split(" ")), questions)
        rows.append(_word_row("bm25s", seconds, size, median, high))
        log(str(rows[-1]))
        from rank_bm25 import BM25Okapi

        seconds, loop = timed(lambda: BM25Okapi(tokens))
        median, high, _ = latency(lambda q: loop.get_scores(q.split(" ")), questions[:10])
        rows.append(_word_row("rank_bm25", seconds, None, median, high))
        log(str(rows[-1]))
    return rows, index


def _bm25s(bm25s: Any, tokens: list[list[str]]) -> Any:
    index = bm25s.BM25()
    index.index(tokens, show_progress=False)
    return index


def _word_row(
    name: str, seconds: float, size: int | None, median: float, high: float
) -> dict[str, Any]:
    return {
        "index": name, "build_seconds": round(seconds, 2), "bytes": size,
        "median_ms": round(median, 3), "p95_ms": round(high, 3),
    }  # fmt: skip


class Given:
    """In place of an encoder: the vectors of questions are there already."""

    identity = ""

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self.vectors = vectors

    def encode(self, texts: Any, *, kind: str = "document") -> np.ndarray:
        return np.stack([self.vectors[text] for text in texts])


def made_up_facts(documents: int, rng: np.random.Generator) -> pl.DataFrame:
    """Facts of models: a licence that a third has, a language that one in a thousand has."""
    first = datetime(2024, 1, 1, tzinfo=UTC)
    number = pl.int_range(documents, eager=True)
    licence = pl.Series(rng.choice(["apache-2.0", "mit", "other"], documents))
    rare = pl.Series(rng.random(documents) < 0.001)
    days = pl.Series(rng.integers(0, 900, documents)) * timedelta(days=1)
    empty = pl.lit([], dtype=pl.List(pl.String))
    facts = pl.DataFrame({"n": number, "licence": licence, "rare": rare, "days": days}).select(
        kind=pl.lit("model"),
        id=pl.format("owner{}/name{}", pl.col("n") % 5_000, "n"),
        node_id="n",
        tasks=pl.lit(["text-generation"]),
        licence="licence",
        languages=pl.when("rare").then(pl.lit(["gv"])).otherwise(pl.lit(["en"])),
        libraries=empty,
        size=pl.lit("1B-10B"),
        created_at=pl.lit(first) + pl.col("days"),
        likes=pl.Series(rng.zipf(1.7, documents).clip(0, 100_000)),
        downloads=pl.Series(rng.zipf(1.5, documents).clip(0, 10_000_000)),
        duplicate_of=pl.lit(None, dtype=pl.String),
    )
    return facts.cast(dict(schema_of(FACTS)))  # type: ignore[arg-type]


def made_up_links(documents: int, rng: np.random.Generator) -> tuple[Links, int]:
    """A like per document, by a twentieth as many users; and how many nodes that makes."""
    users = max(documents // 20, 1)
    repository = rng.integers(documents, size=documents).astype(np.int32)
    user = (documents + rng.integers(users, size=documents)).astype(np.int32)
    ends = [(user, repository, True), (repository, user, False)]
    table = pl.concat(
        pl.DataFrame({"node": a, "other": b}).with_columns(
            relation=pl.lit(LIKES[0]), is_subject=pl.lit(is_subject)
        )
        for a, b, is_subject in ends
    ).sort("node")
    return Links.load(table.select(c.name for c in LINK).lazy(), documents + users), users


def measure_search(
    vectors: np.ndarray, words: WordIndex, texts: pl.Series, asked: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Whole searches: all, by a filter that many pass, by one that few pass."""
    rng = np.random.default_rng(SEED)
    facts = made_up_facts(len(vectors), rng)
    links, users = made_up_links(len(vectors), rng)
    search = DocumentSearch(
        "made up", facts=facts, labels={}, words=words, vectors=VectorIndex(vectors, ""),
        texts=Texts.build(texts), links=links,
        names=pl.concat([facts["id"], pl.Series([f"user{n}" for n in range(users)])]),
        encoder=Given(asked),
    )  # fmt: skip
    rows = []
    for name, filters in (
        ("no filter", Filters()),
        ("a licence that a third has", Filters(licence="mit")),
        ("a language that 1 in 1,000 has", Filters(language="gv")),
    ):
        ask = partial(search.search, filters=filters)
        median, high, found = latency(ask, list(asked))
        assert all(len(hits.hits) == K for hits in found)
        rows.append({"search": name, "median_ms": round(median, 2), "p95_ms": round(high, 2)})
        log(str(rows[-1]))
    return rows


def log(message: str) -> None:
    """Tells of progress."""
    print(message, file=sys.stderr, flush=True)


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """Rows as a table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |"]
    for row in rows:
        cells = (row.get(name) for name in names)
        told = ("" if c is None else f"{c:,}" if isinstance(c, int) else str(c) for c in cells)
        lines.append("| " + " | ".join(told) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measures every size and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--build-seconds", type=float, default=90.0, help="longest build")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names of indexes")
    parser.add_argument("--json", type=Path, help="write all figures there too")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    built: dict[str, float] = {}
    last = None
    for documents in sorted(options.documents):
        rng = np.random.default_rng(SEED)
        mixture = Mixture(max(documents // CLUSTER, 1), options.dimension)
        log(f"{documents:,} documents")
        vectors = mixture.draw(documents, rng)
        asked = mixture.draw(options.queries, rng)
        growth = documents / last if last else 0.0
        expected = {name: seconds * growth for name, seconds in built.items()}
        by_vector, built = measure_vectors(
            vectors, asked, options.build_seconds, expected, options.only
        )
        texts = zipf_texts(documents, WORDS, rng)
        questions = zipf_texts(options.queries, QUESTION_WORDS, rng).to_list()
        by_word, words = measure_words(texts, questions)
        whole = measure_search(vectors, words, texts, dict(zip(questions, asked, strict=True)))
        print(f"\n## {documents:,} documents, {options.dimension} dimensions\n")
        for rows in (by_vector, by_word, whole):
            print(as_markdown(rows) + "\n")
        figures[str(documents)] = {"vectors": by_vector, "words": by_word, "search": whole}
        last = documents
        del vectors, texts, words, mixture
        gc.collect()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
