"""`export/hub_dataset`: a snapshot as the folder of a dataset repository on the Hub.

Belongs here: which tables are published and what the card says. Does not: how the folder is
uploaded (`hfkg_resources.publishing`).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from hfkg_assets.exports.folder import Snapshot, export_asset
from hfkg_assets.knowledge_graph.statistics import as_markdown
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.atomic_write import link_or_copy
from hfkg_resources.warehouse import rows_of

STATISTICS, COVERAGE = "graph/statistics", "hub/coverage"
GRAPH_TABLES = ("graph/node", "graph/edge", STATISTICS)
TABLES = (
    *GRAPH_TABLES,
    *(f"entity/{name}" for name in ENTITIES),
    *(f"verified/{name}" for name in RELATIONS),
)
WHERE_MADE = ("graph/changes", COVERAGE)
"""Published where they are: a snapshot that was read from a dump has no coverage."""

DEFAULT_CONFIG = "graph/edge"
SIZES = {
    10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M",
    10**7: "1M<n<10M", 10**8: "10M<n<100M", 10**9: "100M<n<1B",
}  # fmt: skip
"""Number of rows below which the Hub's size category applies."""


@export_asset(
    "hub_dataset",
    description=(
        "The snapshot as a Hub dataset repository: Parquet files, each a configuration of the "
        "card, with statistics, provenance and how to load it. `hfkg publish` uploads it."
    ),
    tables=[*TABLES, *WHERE_MADE],
    kinds=["huggingface", "parquet"],
)
def hub_dataset_export(snapshot: Snapshot, folder: Path) -> dict[str, Any]:
    tables = [*TABLES, *filter(snapshot.has, WHERE_MADE)]
    for table in tables:
        place = folder / file_of(table)
        place.parent.mkdir(exist_ok=True)
        link_or_copy(snapshot.file(table), place)
    (folder / "README.md").write_text(card(snapshot, tables), encoding="utf-8")
    return {"hfkg/tables": len(tables)}


def file_of(table: str) -> str:
    """Where a table lies in the repository."""
    return f"{table}.parquet"


def config_of(table: str) -> str:
    """The name under which `datasets` loads a table: `graph_edge`."""
    return table.replace("/", "_")


def card(snapshot: Snapshot, tables: Iterable[str]) -> str:
    """The repository's README: metadata for the Hub, then text for people."""
    tables = list(tables)
    rows = {table: rows_of([snapshot.file(table)]) for table in tables}
    front = yaml.safe_dump(metadata(snapshot.day, tables, sum(rows.values())), sort_keys=False)
    statistics = snapshot.scan(STATISTICS).collect()
    parts = [
        f"---\n{front}---\n\n# The Hugging Face knowledge graph, {snapshot.day}",
        _introduction(snapshot.day, statistics),
        f"## Nodes\n\n{as_markdown(statistics, 'entity')}",
        f"## Edges\n\n{as_markdown(statistics, 'relation')}",
        f"## Tables\n\n{_table_of_tables(rows)}",
        LOADING.format(day=snapshot.day, edges=file_of(DEFAULT_CONFIG)),
        _provenance(snapshot, statistics),
        LICENCE,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def metadata(day: str, tables: Iterable[str], rows: int) -> dict[str, Any]:
    """The card's front matter."""
    return {
        "pretty_name": f"Hugging Face knowledge graph, {day}",
        "license": "other",
        "task_categories": ["graph-ml"],
        "tags": ["knowledge-graph", "huggingface-hub", "hfkg"],
        "size_categories": [next((s for n, s in SIZES.items() if rows < n), "n>1T")],
        "configs": [
            {
                "config_name": config_of(table),
                "data_files": file_of(table),
                **({"default": True} if table == DEFAULT_CONFIG else {}),
            }
            for table in tables
        ],
    }


LOADING = """\
## Loading

Each table is one Parquet file and one configuration. A revision is a snapshot: `main` is the one
published last, the tag `{day}` is this one.

```python
import duckdb
import polars as pl
from datasets import load_dataset
from huggingface_hub import snapshot_download

repository = "ACCOUNT/NAME"  # of this page
folder = snapshot_download(repository, repo_type="dataset", revision="{day}")
edges = pl.scan_parquet(f"{{folder}}/{edges}")
duckdb.sql(f"select relation, count(*) from '{{folder}}/{edges}' group by all").show()

edges = load_dataset(repository, "graph_edge", revision="{day}", split="train")
```

`source` and `target` of an edge are `node_id`s of `graph_node`, whose `type` and `id` lead to the
attributes in `entity_<type>`. `verified_<relation>` holds the same edges by name, with the ids as
they were observed before renamings were resolved."""

LICENCE = """\
## Licence

Compiled from metadata that the Hub shows to everyone: names, tags, dates, counters and links. No
file of any repository is contained. Each repository named here is under its own licence, given in
`license` where it states one. The Hub's terms of service apply to the use of its data; names of
people are personal data."""


def _introduction(day: str, statistics: pl.DataFrame) -> str:
    totals = dict(statistics.group_by("section").agg(pl.col("count").sum()).iter_rows())
    return (
        f"What the Hugging Face Hub held on {day} as a graph: {totals['entity']:,} nodes of "
        f"{len(ENTITIES)} types (models, datasets, Spaces, papers, collections, users, "
        f"organizations, tasks) and {totals['relation']:,} edges of {len(RELATIONS)} relations "
        "(fine-tuned from, trained on, cites, likes, follows, …). Both ends of every edge exist, "
        "and no edge stands twice. Relation names are those of HuggingKG (arXiv 2505.17507)."
    )


def _table_of_tables(rows: dict[str, int]) -> str:
    lines = ["| configuration | file | rows |", "| --- | --- | ---: |"]
    lines += [f"| `{config_of(t)}` | `{file_of(t)}` | {n:,} |" for t, n in rows.items()]
    return "\n".join(lines)


def _provenance(snapshot: Snapshot, statistics: pl.DataFrame) -> str:
    relations = statistics.filter(section="relation")
    observed, verified = relations["observed"].sum(), relations["count"].sum()
    text = (
        "## Provenance\n\nMade by hfkg from the Hub's public API. "
        f"{observed:,} assertions were observed, {verified:,} of them hold and are contained; the "
        "others name something that does not exist, or repeat each other (by relation and reason "
        "in `graph_statistics`)."
    )
    if not snapshot.has(COVERAGE):
        return text
    coverage = snapshot.scan(COVERAGE).collect()
    lines = [coverage.columns, ["---", *["---:"] * (coverage.width - 1)]]
    lines += [["" if v is None else str(v) for v in row] for row in coverage.iter_rows()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text} What was asked of the Hub and what came of it:\n\n{table}"
