"""Random snapshots for properties that must hold on every graph."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from hfkg_assets.classification.graph import DOCUMENT_KINDS, message_edges, node_table
from hfkg_assets.classification.labels import LABELS
from hfkg_assets.classification.splits import families, family_links, split_nodes
from hfkg_assets.features.documents import DOCUMENT
from hfkg_assets.knowledge_graph.graph import EDGE, NODE
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import schema_of

DAY = date(2024, 12, 15)
TASKS, WIDTH = 4, 6
VARIANTS = ("as_published", "clean")


class RandomGraph:
    """A snapshot's tables, drawn at random.

    Attributes:
        graph_nodes, graph_edges: `graph/node`, `graph/edge`.
        nodes, edges: `classification/node`, `classification/graph`.
        documents: the documents among the nodes.
        labels, split, features, texts: the tables of these names.
    """

    def __init__(self, seed: int, size: int = 60) -> None:
        rng = np.random.default_rng(seed)
        self.graph_nodes = _nodes(rng, size)
        self.graph_edges = _edges(rng, self.graph_nodes, size)
        self.nodes = node_table(self.graph_nodes)
        self.edges = message_edges(self.graph_nodes, self.graph_edges)
        self.documents = self.nodes.filter(pl.col("kind").is_in(DOCUMENT_KINDS))
        self.labels = _labels(rng, self.documents)
        self.texts = _texts(rng, self.documents)
        self.links = family_links(self.documents, self.edges, self.texts)
        self.families = families(self.documents.height, self.links)
        self.split = split_nodes(self.documents, self.labels, self.links, DAY)
        self.features = _features(rng, self.documents)


@cache
def random_graph(seed: int) -> RandomGraph:
    """The graph of a seed, drawn once; not to be changed."""
    return RandomGraph(seed)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _moments(rng: np.random.Generator, size: int, unknown: float = 0.1) -> list[datetime | None]:
    """Moments of the two years up to the end of the day; some unknown."""
    end = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(days=1)
    seconds = rng.integers(1, 2 * 365 * 86_400, size)
    return [
        None if rng.random() < unknown else end - timedelta(seconds=int(second))
        for second in seconds
    ]


def _nodes(rng: np.random.Generator, size: int) -> pl.DataFrame:
    rows = []
    for kind in ENTITIES:
        ids = sorted(f"{kind[0]}{i % 5}/{rng.integers(1e6)}-{i}" for i in range(size))
        created, later = _moments(rng, size), _moments(rng, size)
        for id, begin, change in zip(ids, created, later, strict=True):
            changed = change and max(change, begin or change)
            rows.append((len(rows), kind, id, begin, changed))
    return pl.DataFrame(rows, schema_of(NODE), orient="row")


def _edges(rng: np.random.Generator, nodes: pl.DataFrame, size: int) -> pl.DataFrame:
    of_kind = {kind: nodes.filter(type=kind)["node_id"].to_numpy() for kind in ENTITIES}
    rows = []
    for name, relation in RELATIONS.items():
        subjects, objects = of_kind[relation.subject], of_kind[relation.object]
        pairs = rng.choice(subjects, size // 2).tolist(), rng.choice(objects, size // 2).tolist()
        drawn = set(zip(*pairs, strict=True))
        for (source, target), liked in zip(sorted(drawn), _moments(rng, len(drawn)), strict=True):
            rows.append(
                {
                    "source": source,
                    "target": target,
                    "relation": name,
                    "liked_at": liked if name.startswith("user_like") else None,
                }
            )
    return pl.DataFrame(rows, schema_of(EDGE))


def _labels(rng: np.random.Generator, documents: pl.DataFrame) -> pl.DataFrame:
    labels = [
        sorted(set(rng.integers(0, TASKS, rng.integers(1, 3)).tolist())) for _ in documents["id"]
    ]
    table = documents.select("kind", "id", pl.Series("labels", labels, pl.List(pl.Int32)))
    return table.filter(rng.random(table.height) < 0.8).cast(dict(schema_of(LABELS)))


def _texts(rng: np.random.Generator, documents: pl.DataFrame) -> pl.DataFrame:
    """Some documents repeat another of their kind, some are made from a template."""
    rows = []
    for kind in DOCUMENT_KINDS:
        ids = documents.filter(kind=kind)["id"].to_list()
        originals = rng.choice(ids, len(ids)).tolist()
        for id, other in zip(ids, originals, strict=True):
            copied, template, bare = (rng.random(3) < (0.1, 0.2, 0.1)).tolist()
            rows.append(
                {
                    "kind": kind,
                    "id": id,
                    "duplicate_of": other if copied and other != id else None,
                    "boilerplate": "trainer" if template else None,
                    "only_boilerplate": template and bare,
                    "clean_sha256": f"{rng.integers(len(ids))}",
                }
            )
    return pl.DataFrame(rows, {name: dict(schema_of(DOCUMENT))[name] for name in rows[0]})


def _features(rng: np.random.Generator, documents: pl.DataFrame) -> pl.DataFrame:
    parts = []
    for variant in VARIANTS:
        values = rng.normal(size=(documents.height, WIDTH)).astype(np.float32)
        values[rng.random(documents.height) < 0.1] = 0.0
        parts.append(
            documents.select(
                pl.lit(variant).alias("variant"),
                "kind",
                "id",
                pl.Series("features", values, dtype=pl.Array(pl.Float32, WIDTH)),
            )
        )
    return pl.concat(parts)
