"""`graph/statistics`: nodes and edges by type, beside HuggingKG's counts of December 2024."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.knowledge_graph.verification import REASONS
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import Column

STATISTICS = (
    Column("section", pl.String(), "entity or relation", required=True),
    Column("name", pl.String(), "entity or relation type", required=True),
    Column("subject", pl.String(), "a relation's subject type"),
    Column("object", pl.String(), "a relation's object type"),
    Column("count", pl.Int64(), "nodes or edges of this snapshot", required=True),
    Column("huggingkg_2024", pl.Int64(), "HuggingKG's count of 15 December 2024", required=True),
    Column("observed", pl.Int64(), "assertions observed"),
    *(Column(reason, pl.Int64(), f"assertions rejected: {reason}") for reason in REASONS),
)


def statistics(
    node: pl.LazyFrame, edge: pl.LazyFrame, rejected: Mapping[str, pl.LazyFrame]
) -> pl.DataFrame:
    """Counts by type.

    Args:
        node, edge: the graph.
        rejected: rejected assertions by relation.

    Returns:
        One row per entity type, then one per relation type, in the vocabulary's order.
    """
    node_counts = dict(node.group_by("type").len().collect().iter_rows())
    edge_counts = dict(edge.group_by("relation").len().collect().iter_rows())
    reasons = (
        pl.concat(
            frame.select(pl.lit(name).alias("name"), "reason") for name, frame in rejected.items()
        )
        .group_by("name", "reason")
        .len()
        .collect()
    )
    by_reason = {(name, reason): count for name, reason, count in reasons.iter_rows()}
    rows: list[dict[str, object]] = [
        {
            "section": "entity",
            "name": entity.name,
            "count": node_counts.get(entity.name, 0),
            "huggingkg_2024": entity.published,
        }
        for entity in ENTITIES.values()
    ]
    for relation in RELATIONS.values():
        counts = {reason: by_reason.get((relation.name, reason), 0) for reason in REASONS}
        edges = edge_counts.get(relation.name, 0)
        rows.append(
            {
                "section": "relation",
                "name": relation.name,
                "subject": relation.subject,
                "object": relation.object,
                "count": edges,
                "huggingkg_2024": relation.published,
                "observed": edges + sum(counts.values()),
                **counts,
            }
        )
    return pl.DataFrame(rows, schema={column.name: column.dtype for column in STATISTICS})


def as_markdown(table: pl.DataFrame, section: str) -> str:
    """One section of the statistics as a Markdown table with a total."""
    rows = table.filter(pl.col("section") == section)
    lines = ["| type | this snapshot | HuggingKG, December 2024 |", "| --- | ---: | ---: |"]
    lines += [f"| {n} | {c:,} | {p:,} |" for n, c, p in rows[
        "name", "count", "huggingkg_2024"
    ].iter_rows()]  # fmt: skip
    totals = rows.select(pl.col("count", "huggingkg_2024").sum()).row(0)
    lines.append(f"| **all** | {totals[0]:,} | {totals[1]:,} |")
    return "\n".join(lines)


@snapshot_asset(
    "graph/statistics",
    description="Nodes and edges by type beside HuggingKG's of December 2024, rejects by reason.",
    columns=STATISTICS,
    ins={
        "node": "graph/node",
        "edge": "graph/edge",
        **{f"rejected_{name}": f"rejected/{name}" for name in RELATIONS},
    },
    code_version=code_version(
        statistics,
        [(e.name, e.published) for e in ENTITIES.values()],
        [(r.name, r.subject, r.object, r.published) for r in RELATIONS.values()],
    ),
)
def graph_statistics(
    context: dg.AssetExecutionContext,
    node: pl.LazyFrame,
    edge: pl.LazyFrame,
    **rejected: pl.LazyFrame,
) -> pl.DataFrame:
    by_relation = {name.removeprefix("rejected_"): frame for name, frame in rejected.items()}
    table = statistics(node, edge, by_relation)
    context.add_output_metadata(
        {
            "hfkg/entities": dg.MetadataValue.md(as_markdown(table, "entity")),
            "hfkg/relations": dg.MetadataValue.md(as_markdown(table, "relation")),
        }
    )
    return table
