"""`tracing/triples`: who derives from whom, divided into training, validation and test, two ways.

A triple is base, lineage relation, derived model: as in HuggingKG the base is the subject.

- `random`: as HuggingBench divides them, 0.83 % of the triples for validation and as many for test,
  every model of these also seen in training. That is few on a small graph: there the share grows
  until each has `FEWEST` triples, or a tenth of all. Since most derived models have one triple,
  which must stay in training, fewer are often free. Several draws are made, by seed.
- `time`: by the creation of the derived model relative to the snapshot date, with the boundaries of
  `classification/split` for models. All triples of a derived model are in one split, so one in test
  is new: no edge of it is known in training. A triple counts from the creation of its derived
  model; when the Hub first named the base is not on record.

Two relations between the same two models are never in different splits: one would give the other
away. A derived model without a date is in no split of `time`.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl
from pydantic import Field

from hfkg_assets.classification.splits import by_time
from hfkg_assets.code_versions import code_version
from hfkg_assets.exports.libkge import HELD_OUT
from hfkg_assets.exports.random_split import random_split
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.vocabulary import LINEAGE
from hfkg_resources.table_schema import Column

PROTOCOLS = ("random", "time")
SPLITS = ("train", "validation", "test")
HELD = SPLITS[1:]

FEWEST = 100
MOST_SHARE = 0.1

TRIPLES = (
    Column("protocol", pl.String(), f"one of {', '.join(PROTOCOLS)}", required=True),
    Column("seed", pl.Int64(), "of the draw; 0 for time, where nothing is drawn", required=True),
    Column("split", pl.String(), f"one of {', '.join(SPLITS)}", required=True),
    Column("relation", pl.String(), "lineage relation", required=True),
    Column("base_id", pl.String(), "the base: subject of the relation", required=True),
    Column("derived_id", pl.String(), "the derived model: its object", required=True),
)

TRIPLE = ("relation", "base_id", "derived_id")


class TriplesConfig(dg.Config):
    """The random draws."""

    seeds: list[int] = Field(default=[0, 1, 2], min_length=1, description="one draw each")
    held_out: float = Field(
        default=HELD_OUT, gt=0, lt=0.5, description="share in validation, and in test, at least"
    )
    fewest: int = Field(default=FEWEST, ge=1, description="triples wanted in each")


def lineage_triples(verified: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """The triples, each once: `relation`, `base_id`, `derived_id`, sorted.

    Args:
        verified: lineage relation → its `verified/*` table.
    """
    return (
        pl.concat(
            frame.select(
                pl.lit(name).alias("relation"), base_id="subject_id", derived_id="object_id"
            )
            for name, frame in verified.items()
        )
        .unique()
        .sort(*TRIPLE)
        .collect()
    )


def held_out_share(triples: int, least: float = HELD_OUT, fewest: int = FEWEST) -> float:
    """The share for validation, and for test: HuggingBench's, or more where that would be few."""
    return max(least, min(MOST_SHARE, fewest / max(triples, 1)))


def split_at_random(triples: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """The triples with `split`; each model, and each relation, is seen in training.

    Args:
        triples: `relation`, `base_id`, `derived_id`, in an order that does not change.
        share: of all pairs of models, in validation and in test.
        seed: of the order.
    """
    pair = ["base_id", "derived_id"]
    pairs = triples.group_by(pair).agg(pl.col("relation").min()).sort(pair)
    sides = random_split(
        pairs, dict.fromkeys(HELD, share), seen=[pair, ["relation"]], seed=seed
    ).drop("relation")
    return triples.join(sides, on=pair, maintain_order="left")


def split_by_time(triples: pl.DataFrame, created: pl.DataFrame, day: date) -> pl.DataFrame:
    """The triples of dated derived models with `split`.

    Args:
        triples: `relation`, `base_id`, `derived_id`.
        created: `id`, `created_at` of models.
        day: the snapshot date.
    """
    dated = triples.join(
        created.select(derived_id="id", created_at="created_at"),
        on="derived_id",
        how="left",
        maintain_order="left",
    ).with_columns(kind=pl.lit("model"))
    return triples.with_columns(by_time(dated, day)).drop_nulls("split")


def split_triples(
    triples: pl.DataFrame,
    created: pl.DataFrame,
    day: date,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    least: float = HELD_OUT,
    fewest: int = FEWEST,
) -> pl.DataFrame:
    """All protocols' splits of the triples: `TRIPLES`.

    Args:
        triples: `relation`, `base_id`, `derived_id`, sorted.
        created: `id`, `created_at` of models.
        day: the snapshot date.
        seeds: of the random draws.
        least, fewest: see `held_out_share`.
    """
    share = held_out_share(triples.height, least, fewest)
    runs = [("random", seed, split_at_random(triples, share, seed)) for seed in seeds]
    runs.append(("time", 0, split_by_time(triples, created, day)))
    return pl.concat(
        part.select(
            pl.lit(protocol).alias("protocol"),
            pl.lit(seed, dtype=pl.Int64).alias("seed"),
            "split",
            *TRIPLE,
        )
        for protocol, seed, part in runs
    )


def sizes(triples: pl.DataFrame) -> Mapping[str, int]:
    """Triples per protocol and split, of all draws together."""
    counted = triples.group_by("protocol", "split").len().sort("protocol", "split")
    return {f"hfkg/{protocol}_{split}": size for protocol, split, size in counted.iter_rows()}


@snapshot_asset(
    "tracing/triples",
    description="Verified lineage as triples, in training, validation and test: at random as "
    "HuggingBench divides them, and by the creation of the derived model.",
    columns=TRIPLES,
    ins={"model": "entity/model", **{name: f"verified/{name}" for name in LINEAGE}},
    code_version=code_version(split_triples, lineage_triples),
)
def triples(
    context: dg.AssetExecutionContext,
    config: TriplesConfig,
    model: pl.LazyFrame,
    **verified: pl.LazyFrame,
) -> pl.DataFrame:
    table = split_triples(
        lineage_triples({name: verified[name] for name in LINEAGE}),
        model.select("id", "created_at").collect(),
        date.fromisoformat(context.partition_key),
        seeds=config.seeds,
        least=config.held_out,
        fewest=config.fewest,
    )
    context.add_output_metadata(sizes(table))
    return table
