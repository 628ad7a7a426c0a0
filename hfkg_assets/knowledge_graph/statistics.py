"""`graph/statistics`: nodes and edges by type, beside HuggingKG's counts of December 2024.

Counts, shares and degrees of each type, and rejected assertions by reason; the materialization
shows them as tables and figures. For the figure of growth the tables of all other stored dates are
read from the store, which Dagster has no input for.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.knowledge_graph import plots
from hfkg_assets.knowledge_graph.degrees import Degrees, degrees
from hfkg_assets.knowledge_graph.verification import REASONS
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import Column, schema_of
from hfkg_resources.warehouse import Warehouse

STATISTICS = (
    Column("section", pl.String(), "entity or relation", required=True),
    Column("name", pl.String(), "entity or relation type", required=True),
    Column("subject", pl.String(), "a relation's subject type"),
    Column("object", pl.String(), "a relation's object type"),
    Column("count", pl.Int64(), "nodes or edges of this snapshot", required=True),
    Column("huggingkg_2024", pl.Int64(), "HuggingKG's count of 15 December 2024", required=True),
    Column("ratio_to_2024", pl.Float64(), "count, as a multiple of HuggingKG's", required=True),
    Column("share", pl.Float64(), "of all nodes, or of all edges"),
    Column("share_2024", pl.Float64(), "the same share in HuggingKG", required=True),
    Column("out_nodes", pl.Int64(), "nodes with out-edges: a relation's subjects", required=True),
    Column("out_mean", pl.Float64(), "mean out-degree of those"),
    Column("out_max", pl.Int64(), "greatest out-degree", required=True),
    Column("in_nodes", pl.Int64(), "nodes with in-edges: a relation's objects", required=True),
    Column("in_mean", pl.Float64(), "mean in-degree of those"),
    Column("in_max", pl.Int64(), "greatest in-degree", required=True),
    Column("isolated", pl.Int64(), "nodes of an entity type without any edge"),
    Column("observed", pl.Int64(), "assertions observed"),
    *(Column(reason, pl.Int64(), f"assertions rejected: {reason}") for reason in REASONS),
)


def statistics(
    node: pl.LazyFrame,
    edge: pl.LazyFrame,
    rejected: Mapping[str, pl.LazyFrame],
    degree: Degrees | None = None,
) -> pl.DataFrame:
    """Counts by type.

    Args:
        node, edge: the graph.
        rejected: rejected assertions by relation.
        degree: the graph's degrees, where they are known already.

    Returns:
        One row per entity type, then one per relation type, in the vocabulary's order.
    """
    degree = degree or degrees(node, edge)
    rows = [*_entity_rows(degree), *_relation_rows(degree, _reasons(rejected))]
    of_section = [pl.col(column).sum().over("section") for column in ("count", "huggingkg_2024")]
    table = pl.DataFrame(rows, schema_of(STATISTICS))
    return table.with_columns(
        ratio_to_2024=pl.col("count") / pl.col("huggingkg_2024"),
        share=pl.when(of_section[0] > 0).then(pl.col("count") / of_section[0]),
        share_2024=pl.col("huggingkg_2024") / of_section[1],
    )


def _entity_rows(degree: Degrees) -> Iterator[dict[str, Any]]:
    for name, entity in ENTITIES.items():
        yield {
            "section": "entity",
            "name": name,
            "count": int(degree.outgoing[name].sum()),
            "huggingkg_2024": entity.published,
            "isolated": degree.isolated[name],
            **_degree_columns(degree, name),
        }


def _relation_rows(
    degree: Degrees, reasons: Mapping[str, Mapping[str, int]]
) -> Iterator[dict[str, Any]]:
    for name, relation in RELATIONS.items():
        edges = _edges(degree.outgoing[name])
        yield {
            "section": "relation",
            "name": name,
            "subject": relation.subject,
            "object": relation.object,
            "count": edges,
            "huggingkg_2024": relation.published,
            "observed": edges + sum(reasons[name].values()),
            **reasons[name],
            **_degree_columns(degree, name),
        }


def _degree_columns(degree: Degrees, name: str) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for direction, found in (("out", degree.outgoing[name]), ("in", degree.incoming[name])):
        nodes = int(found[1:].sum())
        columns[f"{direction}_nodes"] = nodes
        columns[f"{direction}_mean"] = _edges(found) / nodes if nodes else None
        columns[f"{direction}_max"] = len(found) - 1
    return columns


def _edges(distribution: np.ndarray) -> int:
    return int(distribution @ np.arange(len(distribution)))


def _reasons(rejected: Mapping[str, pl.LazyFrame]) -> dict[str, dict[str, int]]:
    """Relation → reason → number of rejected assertions."""
    found = (
        pl.concat(
            frame.select(pl.lit(name).alias("name"), "reason") for name, frame in rejected.items()
        )
        .group_by("name", "reason")
        .len()
        .collect()
    )
    counts = {(name, reason): count for name, reason, count in found.iter_rows()}
    return {name: {r: counts.get((name, r), 0) for r in REASONS} for name in RELATIONS}


def as_markdown(table: pl.DataFrame, section: str) -> str:
    """One section of the statistics as a Markdown table with a total."""
    rows = table.filter(pl.col("section") == section)
    lines = [
        "| type | this snapshot | share | HuggingKG, December 2024 | share | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {count:,} | {share or 0:.1%} | {then:,} | {share_then:.1%} | {ratio:.3g} |"
        for name, count, share, then, share_then, ratio in rows[
            "name", "count", "share", "huggingkg_2024", "share_2024", "ratio_to_2024"
        ].iter_rows()
    ]
    count, then = rows.select(pl.col("count", "huggingkg_2024").sum()).row(0)
    lines.append(f"| **all** | {count:,} | | {then:,} | | {count / then:.3g} |")
    return "\n".join(lines)


def degrees_as_markdown(table: pl.DataFrame) -> str:
    """Degrees by type as a Markdown table."""
    lines = [
        "| type | with out-edges | mean | max | with in-edges | mean | max | isolated |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in table.iter_rows(named=True):
        cells = [row["name"]]
        for side in ("out", "in"):
            nodes, mean, most = (row[f"{side}_{column}"] for column in ("nodes", "mean", "max"))
            cells += [f"{nodes:,}", f"{mean or 0:.2f}", f"{most:,}"]
        cells.append("" if row["isolated"] is None else f"{row['isolated']:,}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figures(table: pl.DataFrame, degree: Degrees, others: pl.DataFrame, day: str) -> dict[str, str]:
    """The statistics as figures, each Markdown, by metadata key.

    Args:
        table: `graph/statistics` of the snapshot.
        degree: its degrees.
        others: `snapshot_date`, `section`, `name`, `count` of all other stored snapshots.
        day: the snapshot date.
    """
    today = table.select(pl.lit(day).str.to_date().alias("snapshot_date"), *_COUNTS)
    relations = table.filter(pl.col("observed") > 0)
    shares = {
        reason: dict(relations.select("name", pl.col(reason) / pl.col("observed")).iter_rows())
        for reason in REASONS
    }
    return {
        "hfkg/growth": plots.growth(pl.concat([today, others])),
        "hfkg/degrees_figure": plots.degrees(
            {name: degree.outgoing[name] for name in ENTITIES},
            {name: degree.incoming[name] for name in ENTITIES},
        ),
        "hfkg/rejected_by_reason": plots.rejected(shares),
    }


_COUNTS = ("section", "name", "count")


def counts_of_other_dates(warehouse: Warehouse, day: str) -> pl.DataFrame:
    """`snapshot_date`, `section`, `name`, `count` of all stored statistics but one date's."""
    empty = pl.LazyFrame(
        schema={"snapshot_date": pl.Date(), "section": pl.String(), "name": pl.String(),
                "count": pl.Int64()}
    )  # fmt: skip
    stored = (
        warehouse.scan("graph/statistics", date).select(
            pl.lit(date).str.to_date().alias("snapshot_date"), *_COUNTS
        )
        for date in warehouse.dates("graph/statistics")
        if date != day
    )
    return pl.concat([empty, *stored]).collect()


@snapshot_asset(
    "graph/statistics",
    description="Nodes and edges by type beside HuggingKG's of December 2024, rejects by reason.",
    columns=STATISTICS,
    deps=["graph/node", "graph/edge", *(f"rejected/{name}" for name in RELATIONS)],
    code_version=code_version(
        statistics,
        [(e.name, e.published) for e in ENTITIES.values()],
        [(r.name, r.subject, r.object, r.published) for r in RELATIONS.values()],
    ),
)
def graph_statistics(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> pl.DataFrame:
    day = context.partition_key
    node, edge = warehouse.scan("graph/node", day), warehouse.scan("graph/edge", day)
    rejected = {name: warehouse.scan(f"rejected/{name}", day) for name in RELATIONS}
    degree = degrees(node, edge)
    table = statistics(node, edge, rejected, degree)
    told = {
        "hfkg/entities": as_markdown(table, "entity"),
        "hfkg/relations": as_markdown(table, "relation"),
        "hfkg/degrees": degrees_as_markdown(table),
        **figures(table, degree, counts_of_other_dates(warehouse, day), day),
    }
    context.add_output_metadata({key: dg.MetadataValue.md(text) for key, text in told.items()})
    return table
