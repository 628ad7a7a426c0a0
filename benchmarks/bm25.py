"""BM25 of documents against task names: hfkg's sparse product against rank_bm25's loop.

    .venv/bin/python benchmarks/bm25.py [--documents 10000] [--words 300] [--data DIR]

The documents are words of READMEs, drawn as often as they occur there: of the sample Hub's, or of
the real ones in `DIR/cards.jsonl.gz`. Words are what stands between spaces, so signs, numbers and
other scripts come along. The loop is the plain way: `get_scores` of `BM25Okapi` for one document
after the other. It is timed on the first documents only, since its time grows evenly; every score
of these is compared, as float32.
"""

import argparse
import gzip
import json
import re
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from rank_bm25 import BM25Okapi

from hfkg_assets.features.bm25 import bm25_scores
from hfkg_resources.sample_hub.cards import task_labels
from hfkg_resources.sample_hub.world import World

DAY = date(2026, 11, 24)
README_CHARACTERS = 20_000
"""Of a longer README the rest is a log, whose numbers would outnumber all words."""


def sample_readmes() -> list[str]:
    """READMEs of the sample Hub's models and datasets."""
    day = World().at(DAY)
    readmes = [
        day.readme(kind, repo_id)
        for kind, table in (("model", day.models), ("dataset", day.datasets))
        for repo_id in table["id"]
    ]
    return [readme.decode(errors="replace") for readme in readmes if readme]


def real_readmes(folder: Path) -> list[str]:
    """READMEs of a folder's `cards.jsonl.gz`."""
    with gzip.open(folder / "cards.jsonl.gz") as lines:
        return [json.loads(line)["card"] for line in lines]


def drawn_documents(readmes: list[str], documents: int, words: int) -> pl.Series:
    """Documents of words drawn from READMEs by their frequency."""
    frequencies = (
        pl.Series("word", [readme[:README_CHARACTERS] for readme in readmes])
        .str.extract_all(r"\S+")
        .explode()
        .drop_nulls()
        .value_counts()
        .sort("count", "word", descending=True)
    )
    shares = frequencies["count"].to_numpy() / frequencies["count"].sum()
    drawn = np.random.default_rng(7).choice(len(shares), size=documents * words, p=shares)
    rows = frequencies["word"].gather(drawn).reshape((documents, words)).arr.to_list()
    return rows.list.join(" ")


def rank_bm25_loop(texts: list[str], task_ids: list[str]) -> np.ndarray:
    """Scores of each text, one call after the other."""
    index = BM25Okapi([task_id.lower().split("-") for task_id in task_ids])
    return np.stack([index.get_scores(re.findall(r"\w+", text.lower())) for text in texts])


def timed(work: Callable[[], np.ndarray], repetitions: int = 1) -> tuple[float, np.ndarray]:
    """The least of some runs' seconds, and the result."""
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return min(seconds), result


def main() -> None:
    """Times both and compares their scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=300)
    parser.add_argument("--loop-documents", type=int, default=1_000)
    parser.add_argument("--data", type=Path, help="folder with cards.jsonl.gz")
    options = parser.parse_args()
    readmes = real_readmes(options.data) if options.data else sample_readmes()
    texts = drawn_documents(readmes, options.documents, options.words)
    task_ids = sorted(task_labels())
    looped = texts.head(options.loop_documents).to_list()

    loop_seconds, expected = timed(lambda: rank_bm25_loop(looped, task_ids))
    seconds, scores = timed(lambda: bm25_scores(texts, task_ids), repetitions=3)
    loop_rate, rate = len(looped) / loop_seconds, len(texts) / seconds
    difference = np.abs(scores[: len(looped)] - expected.astype(np.float32)).max()

    megabytes = texts.str.len_bytes().sum() / 1e6
    print(
        f"{len(texts):,} documents of {options.words} words ({megabytes:.1f} MB), "
        f"{len(task_ids)} tasks\n"
    )
    print("| | documents timed | seconds | documents/s |")
    print("| --- | ---: | ---: | ---: |")
    print(f"| rank_bm25, a loop | {len(looped):,} | {loop_seconds:.2f} | {loop_rate:,.0f} |")
    print(f"| hfkg | {len(texts):,} | {seconds:.3f} | {rate:,.0f} |")
    print(f"\n{rate / loop_rate:,.0f} times as quick, largest difference {difference:g}\n")
    print(
        json.dumps(
            {
                "documents": len(texts),
                "tasks": len(task_ids),
                "loop_documents": len(looped),
                "loop_documents_per_s": round(loop_rate, 1),
                "documents_per_s": round(rate),
                "speedup": round(rate / loop_rate, 1),
                "max_abs_difference": float(difference),
            }
        )
    )


if __name__ == "__main__":
    main()
