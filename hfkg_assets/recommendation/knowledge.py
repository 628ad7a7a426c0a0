"""What is known of the items besides likes: texts, names and edges, as items × features.

Belongs here: from tables to matrices whose rows' products are similarities. Does not: likes, and
how the similarities are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hfkg_assets.vocabulary import LINEAGE, RELATIONS

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORD = r"[A-Za-z]{2,}"
"""What counts as a word of an id; numbers tell sizes and versions of anything."""
ANCESTRY = 4
"""Steps up a line of models."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "task": tuple(name for name, r in RELATIONS.items() if r.object == "task"),
    "owner": tuple(name for name in RELATIONS if "_publish_" in name and "paper" not in name),
    "use": ("space_use_model", "space_use_dataset", "model_trainedOrFineTunedOn_dataset"),
    "collection": tuple(name for name in RELATIONS if name.startswith("collection_contain_")),
    "paper": ("model_cite_paper", "dataset_cite_paper"),
}
"""Kind of evidence → relations: items are alike that share what is at the other end."""


def items_of(likes: pl.DataFrame) -> pl.DataFrame:
    """The items by number: `item`, `kind`, `id`."""
    return likes.select("item", "kind", "id").unique("item").sort("item")


def vectors_of(items: pl.DataFrame, embeddings: pl.LazyFrame) -> np.ndarray:
    """Text vectors less their mean, of length 1: float32 [items, width]; zeros without a text.

    Args:
        items: from `items_of`.
        embeddings: `feature/embedding`; of its text variants the first is taken.
    """
    texts = embeddings.filter(pl.col("has_text"))
    texts = texts.filter(pl.col("variant") == pl.col("variant").min())
    wanted = items.lazy().join(texts.select("kind", "id", "embedding"), on=["kind", "id"])
    found = wanted.sort("item").collect()
    width = found.schema["embedding"].shape[0]  # type: ignore[attr-defined]
    vectors = np.zeros((items.height, width), dtype=np.float32)
    if found.height:
        known = found["embedding"].to_numpy()
        known = known - known.mean(axis=0)
        known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-9)
        vectors[found["item"].to_numpy()] = known
    return vectors


def words_of(items: pl.DataFrame) -> csr_matrix:
    """TF-IDF of the words in the items' names, rows of length 1: all kinds have a name."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    names = items["id"].str.split("/").list.last().to_list()
    try:
        words = TfidfVectorizer(token_pattern=WORD, min_df=2, dtype=np.float32)
        return words.fit_transform(names).tocsr()
    except ValueError:  # no word stands in two names
        return csr_matrix((items.height, 1), dtype=np.float32)


def evidence_of(
    items: pl.DataFrame, nodes: pl.LazyFrame, edges: pl.LazyFrame
) -> dict[str, csr_matrix]:
    """Kind of evidence → items × what they are joined with, rows of length 1.

    Likes are no evidence. A Space is for the tasks, and of the line, of the models that it shows.

    Args:
        items: from `items_of`.
        nodes: `graph/node`.
        edges: `graph/edge`.
    """
    from scipy.sparse import identity

    known = nodes.select("node_id", kind="type", id="id").collect()
    size = known.select(pl.col("node_id").max().fill_null(0) + 1).item()
    rows = items.join(known, on=["kind", "id"], how="left", maintain_order="left")["node_id"]
    node = rows.fill_null(0).to_numpy()
    names = {*LINEAGE, *(name for group in GROUPS.values() for name in group)}
    chosen = edges.filter(pl.col("relation").is_in(sorted(names)))
    table = chosen.select("source", "target", "relation").collect()

    def joined(*relations: str) -> csr_matrix:
        return _adjacency(table.filter(pl.col("relation").is_in(relations)), size)

    shown = joined("space_use_model")
    up = joined(*LINEAGE).T.tocsr()  # lineage points from base to derived
    line = step = identity(size, dtype=np.float32, format="csr")
    for _ in range(ANCESTRY):
        step = step @ up
        line = line + step
    line = line + shown @ line
    found = {"lineage": line[node]}
    for name, relations in GROUPS.items():
        edge = joined(*relations)
        if name == "task":
            found[name] = (edge + shown @ edge)[node]
        elif name in ("owner", "collection"):
            found[name] = edge.T.tocsr()[node]
        elif name == "use":
            found[name] = (edge + edge.T + identity(size, dtype=np.float32)).tocsr()[node]
        else:
            found[name] = edge[node]
    return {name: _unit_rows(matrix) for name, matrix in found.items()}


def _adjacency(table: pl.DataFrame, size: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    ones = np.ones(table.height, dtype=np.float32)
    ends = (table["source"].to_numpy(), table["target"].to_numpy())
    return csr_matrix((ones, ends), shape=(size, size))


def _unit_rows(matrix: csr_matrix) -> csr_matrix:
    """Ones in place of counts, then rows of length 1; columns that no row has are dropped."""
    matrix = matrix.tocsr()
    matrix.data[:] = 1
    used = np.flatnonzero(np.diff(matrix.tocsc().indptr) > 0)
    matrix = matrix[:, used]
    counts = np.diff(matrix.indptr)
    matrix.data /= np.sqrt(np.repeat(np.maximum(counts, 1), counts)).astype(np.float32)
    return matrix
