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

# What Python's `\w` is not, though the regex engine's is: marks, joiners, circled letters, ties.
_NOT_WORD = r"[\p{M}\p{So}\p{Cf}[\p{Pc}--_]]"
# And the other way round: superscripts, fractions.
_ALSO_WORD = r"\p{No}"


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
    """How often each word of the vocabulary occurs in each text, as a sparse matrix [n, V]."""
    words = "|".join(word for word in vocabulary if re.fullmatch(r"\w+", word))
    found = (
        _with_pythons_words(texts.fill_null("").str.to_lowercase())
        .str.extract_all(rf"\b(?:{words})\b")
        .cast(pl.List(pl.Enum(vocabulary)))
        .alias("word")
        .to_frame()
        .with_row_index("text")
        .explode("word")
        .drop_nulls("word")
    )
    position = (found["text"].to_numpy(), found["word"].to_physical().to_numpy())
    shape = (len(texts), len(vocabulary))
    return csr_array((np.ones(found.height), position), shape=shape)  # repetitions add up


def _with_pythons_words(texts: pl.Series) -> pl.Series:
    """The texts with signs replaced on which the regex engine and Python disagree."""
    beyond_ascii = texts.str.len_bytes() != texts.str.len_chars()
    if not beyond_ascii.any():
        return texts
    replaced = (
        texts.filter(beyond_ascii).str.replace_all(_ALSO_WORD, "0").str.replace_all(_NOT_WORD, " ")
    )
    return texts.scatter(beyond_ascii.arg_true(), replaced)


@snapshot_asset(
    "feature/bm25",
    description="BM25 score of each document's text against each task's name, by task index.",
    ins={"document": "feature/document", "task_index": "classification/task_index"},
)
def bm25(
    context: dg.AssetExecutionContext,
    document: pl.LazyFrame,
    task_index: pl.LazyFrame,
    encoder: TextEncoder,
) -> pl.DataFrame:
    frame = document.select("kind", "id", text=encoder.variant).collect()
    task_ids = task_index.sort("index").collect()["task_id"].to_list()
    scores = bm25_scores(frame["text"], task_ids)
    context.add_output_metadata({"hfkg/variant": encoder.variant, "hfkg/tasks": len(task_ids)})
    return frame.select(
        "kind",
        "id",
        pl.lit(encoder.variant).alias("variant"),
        pl.Series("bm25", scores, dtype=pl.Array(pl.Float32, len(task_ids))),
    )
