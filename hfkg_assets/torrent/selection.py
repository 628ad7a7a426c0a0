"""`torrent/selection`: which models are downloaded, most used ones first.

Belongs here: choosing rows of `entity/model`. Does not: the files of those chosen (`manifest`).
"""

from pathlib import Path

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.knowledge_graph.catalog import create_views, files_of
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_assets.torrent.settings import Selection, TorrentSettings
from hfkg_assets.vocabulary import ENTITIES, RELATIONS
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

SELECTION = (
    Column("rank", pl.Int64(), "from 1, by downloads", required=True),
    Column("id", pl.String(), "the model's id", required=True),
    Column("hub_id", pl.String(), "the Hub's `_id`: stable across renames"),
    Column("sha", pl.String(), "commit that is downloaded; null where the source tells none"),
    Column("downloads", pl.Int64(), "downloads of the last 30 days"),
    Column("gated", pl.String(), "`false`, `auto` or `manual`"),
    Column("disabled", pl.Boolean(), "whether the Hub has disabled it"),
)


TABLES = (
    *(f"entity/{name}" for name in ENTITIES), *(f"verified/{name}" for name in RELATIONS),
    "graph/node", "graph/edge",
)  # fmt: skip
"""What a condition may ask."""


class BadCondition(Exception):
    """The condition of a selection is no SQL, or names columns that there are not."""


def select_models(
    models: pl.LazyFrame, selection: Selection, fulfilling: pl.Series | None = None
) -> pl.DataFrame:
    """The models that a selection names.

    `top` takes the first int(n × share) of n models by downloads, ties by id, as PTMTorrent's
    shrinkage does. A name that the snapshot does not have is left out.

    Args:
        models: `entity/model`.
        selection: which.
        fulfilling: with `sql`, ids of the models that fulfil the condition.

    Returns:
        `torrent/selection`.
    """
    ranked = models.sort(pl.col("downloads").fill_null(0), "id", descending=[True, False]).collect()
    match selection.kind:
        case "top":
            chosen = ranked.head(int(ranked.height * selection.share))
        case "ids":
            chosen = ranked.filter(pl.col("id").is_in(selection.ids))
        case "sql":
            assert fulfilling is not None
            chosen = ranked.filter(pl.col("id").is_in(fulfilling.implode()))
    return (
        chosen.with_row_index("rank", offset=1)
        .with_columns(pl.col("rank").cast(pl.Int64))
        .select(column.name for column in SELECTION)
    )


def unknown_names(selection: Selection, chosen: pl.DataFrame) -> list[str]:
    """Names that a selection has and a snapshot has not."""
    return sorted(set(selection.ids) - set(chosen["id"]))


def fulfilling_models(root: Path, condition: str, day: str) -> pl.Series:
    """Ids of the models of a date that fulfil a condition over the catalog's `entity.model`.

    The condition may ask the catalog's other views too: those of the layers that a selection is
    made after. It can change nothing, and read nothing but these.

    Args:
        root: of the store.
        condition: SQL, such as `likes > 100`.
        day: snapshot date.

    Raises:
        BadCondition: it is no condition; the message is DuckDB's.
    """
    import duckdb

    of_day = "SELECT * FROM entity.model WHERE snapshot_date = $1"
    query = f"SELECT id FROM ({of_day}) AS model WHERE {condition}"
    views = files_of(root, TABLES)
    with duckdb.connect() as connection:
        create_views(connection, views)
        folders = [str(pattern.parent.parent) for pattern in views.values()]
        connection.execute("SET allowed_directories = $1", [folders])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            # A second statement cannot hide behind the first: only one is taken.
            statements = connection.extract_statements(query)
            if len(statements) != 1:
                raise BadCondition(f"{condition!r} is more than one condition")
            rows = connection.execute(statements[0], [day]).fetchnumpy()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise BadCondition(
                f"HFKG_TORRENT_SELECT=sql:{condition} is no condition over entity.model: {first}"
            ) from None
    return pl.Series("id", rows["id"].astype(object).tolist(), dtype=pl.String)


@snapshot_asset(
    "torrent/selection",
    description="The models that are downloaded, by downloads: a share, named ones, or by SQL.",
    columns=SELECTION,
    ins={"models": "entity/model"},
    deps=["graph/edge"],  # conditions may ask for relations
    code_version=code_version(select_models, fulfilling_models),
)
def selection(
    context: dg.AssetExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    torrent: TorrentSettings,
    models: pl.LazyFrame,
) -> pl.DataFrame:
    wanted = Selection.parse(torrent.select)
    fulfilling = None
    if wanted.kind == "sql":
        root = Path(warehouse.root)
        fulfilling = fulfilling_models(root, wanted.condition, context.partition_key)
    chosen = select_models(models, wanted, fulfilling)
    unknown = unknown_names(wanted, chosen)
    if unknown:
        context.log.warning("not in this snapshot: %s", ", ".join(unknown))
    context.add_output_metadata(
        {
            "hfkg/selection": torrent.select,
            "hfkg/gated": int((chosen["gated"] != "false").sum()),
            "hfkg/unknown": dg.MetadataValue.json(unknown),
        }
    )
    return chosen


@dg.asset_check(
    asset=key_of("torrent/selection"),
    name="every_named_model_exists",
    description="The snapshot has every model that the selection names, and at least one at all.",
    partitions_def=SNAPSHOTS,
)
def selection_check(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    torrent: TorrentSettings,
) -> dg.AssetCheckResult:
    wanted = Selection.parse(torrent.select)
    chosen = warehouse.scan("torrent/selection", context.partition_key).select("id").collect()
    unknown = unknown_names(wanted, chosen)
    return dg.AssetCheckResult(
        passed=not unknown and not chosen.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"hfkg/models": chosen.height, "hfkg/unknown": dg.MetadataValue.json(unknown)},
    )
