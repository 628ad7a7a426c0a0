"""`export/sslrec`: users × what they like, in the three input formats of SSLRec.

Belongs here: how SSLRec's data handlers want likes and knowledge, and splits that recommendation
does not make. Does not: the split of `recommendation/likes`, any recommender.

File names are those that SSLRec's handlers open, which differ between its scenarios: `general_cf`
reads `train_mat.pkl`, `valid_mat.pkl`, `test_mat.pkl`; `social` reads `trn_mat.pkl`, `val_mat.pkl`,
`tst_mat.pkl`, `trust_mat.pkl`, `category.pkl`; `kg` reads `train.txt`, `valid.txt`, `test.txt`,
`kg_final.txt` and the four lists of ids.
"""

import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
import numpy as np
import polars as pl
from pydantic import Field

from hfkg_assets.exports.folder import Snapshot, export_asset
from hfkg_assets.exports.random_split import TRAIN
from hfkg_assets.recommendation.likes import (
    LIKE_RELATIONS,
    SEED,
    TEST_SHARE,
    VALID_SHARE,
    likes_of,
    numbered,
    split_at_random,
)
from hfkg_assets.vocabulary import RELATIONS, REPOSITORY_TYPES, Publisher
from hfkg_resources.atomic_write import link_or_copy

if TYPE_CHECKING:
    from scipy.sparse import coo_matrix

LIKES = LIKE_RELATIONS
PUBLISHES = [name for name, r in RELATIONS.items() if isinstance(r.rule, Publisher)]
FOLLOWS = "user_follow_user"
RECOMMENDATION = "recommendation/likes"
KNOWLEDGE = {name: r for name, r in RELATIONS.items() if name not in LIKES}
"""Relations of the knowledge graph: likes are what is to be predicted."""

SPLITS = (TRAIN, "valid", "test")
GENERAL_NAMES = {"train": "train_mat", "valid": "valid_mat", "test": "test_mat"}
SOCIAL_NAMES = {"train": "trn_mat", "valid": "val_mat", "test": "tst_mat"}


class SslrecOptions(dg.Config):
    """Which likes, how they are split, and which knowledge goes with them."""

    split: Literal["auto", "random", "time", "own"] = Field(
        default="auto",
        description=(
            "random or time: exactly that of recommendation/likes; own: made here, by the options "
            "below; auto: recommendation's random one where it is there and no option asks for "
            "another"
        ),
    )
    items: list[str] = Field(
        default=list(REPOSITORY_TYPES), description="types of items: model, dataset, space"
    )
    core: int = Field(
        default=1, ge=1, description="users and items with fewer likes are dropped, repeatedly"
    )
    valid: float = Field(
        default=VALID_SHARE, ge=0, lt=1, description="share of the likes; a user keeps one"
    )
    test: float = Field(
        default=TEST_SHARE, ge=0, lt=1, description="share of the likes; a user keeps one"
    )
    seed: int = Field(default=SEED, description="of the random split")
    knowledge: Literal["1hop", "2hop", "homo", "publish"] = Field(
        default="1hop",
        description=(
            "edges in kg_final.txt: 1hop, those of items; 2hop, also those of their neighbours; "
            "homo, those between items; publish, who published the items"
        ),
    )


OWN_OPTIONS = {
    name: SslrecOptions.model_fields[name].default
    for name in ("items", "core", "valid", "test", "seed")
}
"""Options of a split that is made here, and what they are where nothing is asked for."""


@export_asset(
    "sslrec",
    description=(
        "Likes as SSLRec reads them: sparse matrices for general and social recommendation, text "
        "files for knowledge graphs, and the names of all users and items."
    ),
    tables=["graph/node", "graph/edge", RECOMMENDATION],
    kinds=["scipy"],
    options=SslrecOptions,
)
def sslrec_export(snapshot: Snapshot, folder: Path, options: SslrecOptions) -> dict[str, Any]:
    users, items, split = split_of(snapshot, options)
    users.write_csv(folder / "users.tsv", separator="\t")
    items.write_csv(folder / "items.tsv", separator="\t")
    shape = (users.height, items.height)
    matrices = {
        name: _matrix(part["user"], part["item"], shape)
        for name in SPLITS
        for part in [split.filter(split=name)]
    }
    write_general(matrices, folder / "general_cf")
    write_social(snapshot, matrices, users, items, folder / "social")
    triples = write_knowledge(snapshot, split, users, items, options.knowledge, folder / "kg")
    return {
        "hfkg/users": users.height,
        "hfkg/items": items.height,
        **{f"hfkg/{name}": int(matrix.nnz) for name, matrix in matrices.items()},
        "hfkg/triples": triples,
    }


# --- likes ---------------------------------------------------------------------------------------


def split_of(
    snapshot: Snapshot, options: SslrecOptions
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Users and items with their numbers, and the likes between them.

    Returns:
        `user`, `node_id`, `type`, `id`; `item`, `node_id`, `type`, `id`; `user`, `item`, `split`.

    Raises:
        MissingTable: recommendation's split is asked for, and has not been materialized.
        ValueError: a type that nobody can like; options that do not go together; a protocol that
            recommendation left out.
    """
    own = {name: value for name, value in options.model_dump().items() if name in OWN_OPTIONS}
    is_default = own == OWN_OPTIONS
    if options.split == "own" or (
        options.split == "auto" and not (is_default and snapshot.has(RECOMMENDATION))
    ):
        return _own_split(snapshot, options)
    if not is_default:
        raise ValueError(
            f"{', '.join(OWN_OPTIONS)} are of a split made here: choose `own`, or leave them"
        )
    protocol = "random" if options.split == "auto" else options.split
    likes = snapshot.scan(RECOMMENDATION).collect()
    if likes.filter(protocol=protocol).is_empty():
        raise ValueError(f"{RECOMMENDATION} has no protocol {protocol} on {snapshot.day}")
    nodes = snapshot.scan("graph/node").select("node_id", "type", "id")
    named = {
        "user": likes.select("user", pl.lit("user").alias("type"), id="user_id"),
        "item": likes.select("item", "id", type="kind"),
    }
    users, items = (
        ends.unique()
        .lazy()
        .join(nodes, on=["type", "id"], how="left")
        .select(name, "node_id", "type", "id")
        .sort(name)
        .collect()
        for name, ends in named.items()
    )
    split = likes.filter(protocol=protocol).select("user", "item", "split").sort("user", "item")
    return users, items, split


def _own_split(
    snapshot: Snapshot, options: SslrecOptions
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    likes = core_of(
        likes_of(snapshot.scan("graph/edge"), options.items).drop("liked_at"), options.core
    )
    nodes = snapshot.scan("graph/node")
    users, items = (
        numbered(nodes, likes[end], name) for end, name in (("source", "user"), ("target", "item"))
    )
    split = (
        split_at_random(likes, options.valid, options.test, options.seed)
        .join(users.select("user", source="node_id"), on="source")
        .join(items.select("item", target="node_id"), on="target")
        .select("user", "item", "split")
        .sort("user", "item")
    )
    return users, items, split


def core_of(likes: pl.DataFrame, core: int) -> pl.DataFrame:
    """The largest part of the likes in which every user and every item has at least `core`."""
    while True:
        enough = likes.filter(pl.len().over("source") >= core, pl.len().over("target") >= core)
        if enough.height == likes.height:
            return likes
        likes = enough


# --- general and social --------------------------------------------------------------------------


def write_general(matrices: dict[str, "coo_matrix"], folder: Path) -> None:
    """Users × items, one matrix per split."""
    folder.mkdir()
    for split, name in GENERAL_NAMES.items():
        write_matrix(matrices[split], folder / name)


def write_social(
    snapshot: Snapshot,
    matrices: dict[str, "coo_matrix"],
    users: pl.DataFrame,
    items: pl.DataFrame,
    folder: Path,
) -> None:
    """The same matrices, who follows whom among the users, and the categories of items.

    An item's categories are its type and its tasks.
    """
    folder.mkdir()
    for split, name in SOCIAL_NAMES.items():
        for ending in ("pkl", "npz"):
            made = folder.parent / "general_cf" / f"{GENERAL_NAMES[split]}.{ending}"
            link_or_copy(made, folder / f"{name}.{ending}")
    follows = (
        snapshot.scan("graph/edge")
        .filter(relation=FOLLOWS)
        .join(users.lazy().select(source="node_id", row="user"), on="source")
        .join(users.lazy().select(target="node_id", column="user"), on="target")
        .select("row", "column")
        .sort("row", "column")
        .collect()
    )
    trust = _matrix(follows["row"], follows["column"], (users.height, users.height))
    write_matrix(trust, folder / "trust_mat")
    category, names = item_categories(snapshot, items)
    write_matrix(category, folder / "category")
    names.write_csv(folder / "categories.tsv", separator="\t")


def item_categories(snapshot: Snapshot, items: pl.DataFrame) -> tuple["coo_matrix", pl.DataFrame]:
    """Items × categories, and the categories' numbers and names."""
    meant_for = [name for name, relation in RELATIONS.items() if relation.object == "task"]
    tasks = snapshot.scan("graph/node").filter(type="task").select(target="node_id", task="id")
    kinds = items.lazy().select("item", name="type")
    meant = (
        snapshot.scan("graph/edge")
        .filter(pl.col("relation").is_in(meant_for))
        .join(items.lazy().select("item", source="node_id"), on="source")
        .join(tasks, on="target")
        .select("item", name=pl.concat_str(pl.lit("task:"), "task"))
    )
    pairs = pl.concat([kinds, meant]).unique().sort("item", "name").collect()
    names = pairs.select(pl.col("name").unique().sort()).with_row_index("category")
    pairs = pairs.join(names, on="name", maintain_order="left")
    shape = (items.height, names.height)
    return _matrix(pairs["item"], pairs["category"], shape), names


def _matrix(rows: pl.Series, columns: pl.Series, shape: tuple[int, int]) -> "coo_matrix":
    from scipy.sparse import coo_matrix

    ones = np.ones(rows.len(), dtype=np.float32)
    places = (rows.to_numpy().astype(np.int32), columns.to_numpy().astype(np.int32))
    return coo_matrix((ones, places), shape=shape)


def write_matrix(matrix: "coo_matrix", path: Path) -> None:
    """Writes `<path>.pkl` as SSLRec opens it, and the same as `<path>.npz`, which runs no code."""
    from scipy.sparse import save_npz

    path.with_suffix(".pkl").write_bytes(portable_pickle(matrix))
    save_npz(path.with_suffix(".npz"), matrix)


def portable_pickle(matrix: "coo_matrix") -> bytes:
    """A pickle that every version of SciPy and NumPy can open.

    As SciPy and NumPy pickle it, the file names private modules that the versions which SSLRec was
    made with (SciPy 1.7.3, NumPy 1.22.3) do not have.
    """
    from scipy.sparse import coo_matrix

    class Pickler(pickle.Pickler):
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, coo_matrix):
                return coo_matrix, ((value.data, (value.row, value.col)), value.shape)
            if isinstance(value, np.ndarray):
                return np.frombuffer, (value.tobytes(), value.dtype.str)
            return NotImplemented

    buffer = io.BytesIO()
    Pickler(buffer, protocol=3).dump(matrix)  # 3 is the last that tells names as plain lines
    private, public = (
        f"c{module}\n".encode() for module in (coo_matrix.__module__, "scipy.sparse")
    )
    return buffer.getvalue().replace(private, public, 1)


# --- knowledge graph -----------------------------------------------------------------------------


def write_knowledge(
    snapshot: Snapshot, split: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame,
    variant: str, folder: Path,
) -> int:  # fmt: skip
    """Likes and triples as text, and what the numbers mean.

    Args:
        snapshot: where edges are read.
        split: `user`, `item`, `split`.
        users, items: numbers of the nodes, `node_id`, `type`, `id`.
        variant: see `SslrecOptions.knowledge`.
        folder: written to; made.

    Returns:
        The number of triples.
    """
    folder.mkdir()
    for name in SPLITS:
        lines = split.lazy().filter(split=name).group_by("user").agg("item").sort("user")
        text = pl.col("item").list.eval(pl.element().cast(pl.String)).list.join(" ")
        _sink(lines.select(pl.col("user"), text), folder / f"{name}.txt")
    edges = knowledge_edges(snapshot, items["node_id"], variant)
    entities = entities_of(snapshot, edges, items)
    relations = pl.DataFrame({"relation": list(KNOWLEDGE)}).with_row_index("r")
    triples = (
        edges.join(relations.lazy(), on="relation")
        .join(entities.lazy().select(source="node_id", h="entity"), on="source")
        .join(entities.lazy().select(target="node_id", t="entity"), on="target")
        .select("h", "r", "t")
        .sort("h", "r", "t")
        .collect()
    )
    _sink(triples.lazy(), folder / "kg_final.txt")
    entities.write_csv(folder / "entities.tsv", separator="\t")
    lists = {
        "user": users.select(org_id=_word("id"), remap_id="user"),
        "item": items.select(org_id=_word("id"), remap_id="item", freebase_id=_word("type", "id")),
        "entity": entities.select(freebase_id=_word("type", "id"), remap_id="entity"),
        "relation": relations.select(org_id="relation", remap_id="r"),
    }
    for name, frame in lists.items():
        _sink(frame.lazy(), folder / f"{name}_list.txt", include_header=True)
    return triples.height


def knowledge_edges(snapshot: Snapshot, items: pl.Series, variant: str) -> pl.LazyFrame:
    """The edges that `SslrecOptions.knowledge` names.

    Args:
        snapshot: where edges are read.
        items: node ids of the items.
        variant: the option's value.

    Returns:
        `source`, `target`, `relation`; never a like.
    """
    chosen = PUBLISHES if variant == "publish" else list(KNOWLEDGE)
    edges = (
        snapshot.scan("graph/edge")
        .select("source", "target", "relation")
        .filter(pl.col("relation").is_in(chosen))
    )
    ends = [pl.col(end).is_in(items.implode()) for end in ("source", "target")]
    if variant == "homo":
        return edges.filter(*ends)
    near = edges.filter(pl.any_horizontal(ends))
    if variant != "2hop":
        return near
    found = near.select(pl.col("source").append(pl.col("target")).unique()).collect()["source"]
    ends = [pl.col(end).is_in(found.implode()) for end in ("source", "target")]
    return edges.filter(pl.any_horizontal(ends))


def entities_of(snapshot: Snapshot, edges: pl.LazyFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The entities: the items with their own numbers, as SSLRec wants it, then all other ends."""
    ends = edges.select(node_id=pl.col("source").append(pl.col("target"))).unique()
    known = items.select("node_id", "type", "id")
    others = (
        snapshot.scan("graph/node")
        .join(ends, on="node_id", how="semi")
        .join(known.lazy(), on="node_id", how="anti")
        .select("node_id", "type", "id")
        .sort("node_id")
        .collect()
    )
    return pl.concat([known, others]).with_row_index("entity")


def _word(*columns: str) -> pl.Expr:
    """Columns as one word: SSLRec splits at whitespace, and takes `#` for a comment."""
    return pl.concat_str(columns, separator=":").str.replace_all(r"[\s#]", "_")


def _sink(lines: pl.LazyFrame, path: Path, include_header: bool = False) -> None:
    lines.sink_csv(path, separator=" ", include_header=include_header, quote_style="never")
