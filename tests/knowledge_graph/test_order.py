"""Rows come in the same order each time, also of tables that several threads read.

Data versions are digests of stored bytes: an order by chance would make all that is below again.
"""

import polars as pl
import pytest

from hfkg_assets.hub import observations as raw
from hfkg_assets.knowledge_graph.entities import BUILDERS, build_entity
from hfkg_assets.knowledge_graph.relations import observe
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import schema_of
from hfkg_resources.warehouse import Warehouse

DAY = "2026-11-20"
ROWS = 150_000
ACCOUNTS = 5_000
TIMES = 4

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Stored raw tables: many accounts with many models and followers; all others are empty."""
    warehouse = Warehouse(root=str(tmp_path_factory.mktemp("store")))
    row = pl.int_range(ROWS)
    owner = pl.format("u{}", row % ACCOUNTS)
    name = pl.concat_str(owner, pl.format("/m{}", row))
    rows = pl.select(
        owner=owner,
        name=name,
        other=name.shuffle(seed=1),
        follower=pl.format("f{}", row.shuffle(seed=2) % 40_000),
        number=row.cast(pl.String),
    )
    filled = {
        "models": rows.select(
            id="name",
            likes=pl.lit(1),
            pipeline_tag=pl.lit("translation"),
            tags=pl.concat_list(
                pl.lit("translation"),
                pl.lit("summarization"),
                pl.format("base_model:finetune:{}", "other"),
                pl.format("dataset:{}", "other"),
            ),
        ),
        "accounts": rows.head(ACCOUNTS).select(
            name="owner",
            kind=pl.when(pl.col("number").str.ends_with("7")).then(pl.lit("org"))
            .otherwise(pl.lit("user")),
        ),
        # A follower is told of in several rows, each with another full name.
        "followers": rows.select(
            name="owner", kind=pl.lit("user"), user="follower", _id="number", fullname="number"
        ),
        "likers": rows.select(repo_kind=pl.lit("model"), repo_id="name", user="follower"),
        "tags": pl.DataFrame(
            {"kind": "model", "type": "pipeline_tag", "id": task}
            for task in ("translation", "summarization")
        ),
    }  # fmt: skip
    names = {table for relation in RELATIONS.values() for table in relation.sources}
    names |= {table for _, sources in BUILDERS.values() for table in sources}
    for table in names:
        columns = schema_of(getattr(raw, table.removeprefix("hub/").upper()))
        given = filled.get(table.removeprefix("hub/"), pl.DataFrame())
        whole = pl.concat([pl.DataFrame(schema=columns), given], how="diagonal_relaxed")
        warehouse.write(table, DAY, whole.select(columns.names()))
    return {table: warehouse.scan(table, DAY) for table in names}


@pytest.mark.parametrize("name", RELATIONS)
def test_a_relation_has_the_same_rows_in_the_same_order_each_time(tables, name):
    first, *others = (observe(RELATIONS[name], tables).collect() for _ in range(TIMES))
    assert all(other.equals(first) for other in others)


@pytest.mark.parametrize("name", ENTITIES)
def test_an_entity_has_the_same_rows_in_the_same_order_each_time(tables, name):
    sources = [tables[table] for table in BUILDERS[name][1]]
    first, *others = (build_entity(ENTITIES[name], *sources).collect() for _ in range(TIMES))
    assert all(other.equals(first) for other in others)
