"""`feature/bm25`: how well the words of a document's text match the words of each task's name.

The document is the query and the task names are the corpus, as in the HuggingfaceKG-retriever.
"""

import re

import dagster as dg
import numpy as np
import polars as pl
from scipy.sparse import csr_array

from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.text_encoder import TextEncoder

K1, B, EPSILON = 1.5, 0.75, 0.25
CHUNK = 4_096
"""Documents whose words are counted at a time."""

# All that `str.lower` turns into ASCII letters though it is none: the Kelvin sign and dotted I.
_LOWERED_TO_ASCII = r"[\u212a\u0130]"
_BEYOND_ASCII = r"[^\x00-\x7f]"


def bm25_scores(texts: pl.Series, task_ids: list[str]) -> np.ndarray:
    """rank_bm25's `BM25Okapi` with each text as query and all task names as corpus.

    A text's words are those of `re.findall(r"\\w+", text.lower())`, as often as they occur; a
    task's are the parts of its id between hyphens. Scores are one sparse product: counts of the
    corpus' words in the texts, times the words' weights for each task.

    Args:
        texts: n texts; null counts as empty.
        task_ids: T ids such as `text-classification`.

    Returns:
        float32 [n, T].
    """
    if not task_ids:
        return np.zeros((len(texts), 0), np.float32)
    vocabulary, weights = _weights([name.lower().split("-") for name in task_ids])
    scores = [_counts(chunk, vocabulary) @ weights for chunk in _chunks(texts)]
    return np.concatenate([np.zeros((0, len(task_ids))), *scores]).astype(np.float32)


def _weights(corpus: list[list[str]]) -> tuple[list[str], np.ndarray]:
    """The corpus' words, and what one occurrence of each adds to each document's score.

    A word in more than half of the documents has a negative idf; `BM25Okapi` sets it to
    `EPSILON` times the mean idf, in which the negative ones count.

    Returns:
        V words; float64 [V, T].
    """
    vocabulary = sorted({word for document in corpus for word in document})
    frequency = np.array([[document.count(word) for document in corpus] for word in vocabulary])
    containing = (frequency > 0).sum(axis=1)
    idf = np.log(len(corpus) - containing + 0.5) - np.log(containing + 0.5)
    idf = np.where(idf < 0, EPSILON * idf.mean(), idf)
    length = np.array([len(document) for document in corpus])
    norm = K1 * (1 - B + B * length / length.mean())
    return vocabulary, idf[:, None] * frequency * (K1 + 1) / (frequency + norm)


def _chunks(texts: pl.Series) -> list[pl.Series]:
    return [texts.slice(start, CHUNK) for start in range(0, len(texts), CHUNK)]


def _counts(texts: pl.Series, vocabulary: list[str]) -> csr_array:
    """How often each word of the vocabulary occurs in each text, as a sparse matrix [n, V].

    One regular expression looks for these words alone, in ASCII, which is many times as fast as
    to lower and split the texts. What a word is beyond ASCII is left to Python, text by text:
    these are the few in which a sign beyond ASCII touches a word of the vocabulary.
    """
    found = (
        texts.fill_null("")
        .str.extract_all(_pattern(vocabulary))
        .alias("word")
        .to_frame()
        .with_row_index("text")
        .explode("word")
        .drop_nulls("word")
    )
    touched = (
        found["text"].filter(found["word"].str.contains(_BEYOND_ASCII)).unique(maintain_order=True)
    )
    words = [re.findall(r"\w+", text.lower()) for text in texts.gather(touched)]
    by_python = pl.DataFrame({"text": touched, "word": pl.Series(words, dtype=pl.List(pl.String))})
    counted = (
        pl.concat([found.join(by_python, on="text", how="anti"), by_python.explode("word")])
        .with_columns(pl.col("word").str.to_lowercase().cast(pl.Enum(vocabulary), strict=False))
        .drop_nulls("word")
    )
    position = (counted["text"].to_numpy(), counted["word"].to_physical().to_numpy())
    shape = (len(texts), len(vocabulary))
    return csr_array((np.ones(counted.height), position), shape=shape)  # repetitions add up


def _pattern(vocabulary: list[str]) -> str:
    """Finds the vocabulary's words in ASCII, each with the sign beyond ASCII that touches it."""
    words = "|".join(word for word in vocabulary if re.fullmatch(r"\w+", word, re.ASCII))
    ascii_words = rf"{_BEYOND_ASCII}?(?i-u:\b(?:{words})\b){_BEYOND_ASCII}?"
    # Of words beyond ASCII only Python knows where they end.
    others = _LOWERED_TO_ASCII if all(map(str.isascii, vocabulary)) else _BEYOND_ASCII
    return rf"{ascii_words}|{others}" if words else others


@snapshot_asset(
    "feature/bm25",
    description="BM25 score of each document's texts against each task's name, by task index.",
    ins={"document": "feature/document", "task_index": "classification/task_index"},
    code_version="2",
)
def bm25(
    context: dg.AssetExecutionContext,
    document: pl.LazyFrame,
    task_index: pl.LazyFrame,
    encoder: TextEncoder,
) -> pl.DataFrame:
    variants = sorted(encoder.variants)
    frame = document.select("kind", "id", *variants).sort("kind", "id").collect()
    task_ids = task_index.sort("index").collect()["task_id"].to_list()
    dtype = pl.Array(pl.Float32, len(task_ids))
    context.add_output_metadata({"hfkg/variants": variants, "hfkg/tasks": len(task_ids)})
    return pl.concat(
        frame.select(
            pl.lit(variant).alias("variant"),
            "kind",
            "id",
            pl.Series("bm25", bm25_scores(frame[variant], task_ids), dtype=dtype),
        )
        for variant in variants
    )
