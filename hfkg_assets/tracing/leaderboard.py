"""`tracing/leaderboard`: every ranker on the same questions, published figures beside.

All are judged by their stored ranks. `reads_the_answer` is `card` where a ranker reads cards as
they are: most cards of derived models name the base, so these rows are the ceiling of that leak and
what may be expected where cards are there; they do not compare with the others.
"""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from hfkg_assets import figures
from hfkg_assets.check_results import none_found
from hfkg_assets.classification.leaderboard import figure
from hfkg_assets.classification.plots import draw_bars
from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import SNAPSHOTS, key_of, snapshot_asset
from hfkg_assets.text_table import markdown_table
from hfkg_assets.tracing.published import published_figures
from hfkg_assets.tracing.rankers import (
    COMBINED,
    COMBINED_WITH_CARD,
    EMBEDDINGS,
    READS_CARD,
    ROLES,
)
from hfkg_assets.tracing.ranking import HITS, METRICS, mrr_interval, ranking_metrics
from hfkg_assets.tracing.triples import HELD, TRIPLE
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

BOARD = "tracing/leaderboard"
READS_THE_ANSWER = "no: reads the card"

_TEXTS = {
    "mrr": "mean reciprocal rank of the true base",
    **{f"hits_at_{k}": f"share of true bases among the first {k}" for k in HITS},
}

LEADERBOARD = (
    Column("model", pl.String(), "what ranked", required=True),
    Column("role", pl.String(), "trivial, evidence, embedding, combination, published", True),
    Column("protocol", pl.String(), "random or time", required=True),
    Column("split", pl.String(), "validation or test", required=True),
    *(Column(name, pl.Float64(), f"mean over seeds: {text}") for name, text in _TEXTS.items()),
    *(Column(f"{name}_sd", pl.Float64(), "standard deviation over seeds") for name in _TEXTS),
    Column("mrr_low", pl.Float64(), "lower end of the MRR's 95 % interval over questions"),
    Column("mrr_high", pl.Float64(), "upper end of it"),
    Column("seeds", pl.Int64(), "runs: draws of the triples"),
    Column("questions", pl.Int64(), "triples judged, of all runs together"),
    Column("candidates", pl.Float64(), "models that take a place, mean over questions"),
    Column("source", pl.String(), "hfkg, or where a figure was published", required=True),
    Column("reads_the_answer", pl.String(), "no, or card: cards may name the base", True),
    Column("comparable", pl.String(), "yes, or why not", required=True),
)


def leaderboard_of(ranks: pl.DataFrame) -> pl.DataFrame:
    """What the ranks come to, and what is published.

    Args:
        ranks: `tracing/scores`.

    Returns:
        Own rows by protocol, split (test first), those that read no card first, falling MRR;
        published ones after them.
    """
    group = ["model", "protocol", "split"]
    own = [
        _row(dict(zip(group, key, strict=True)), rows)
        for key, rows in ranks.group_by(group, maintain_order=True)
    ]
    schema = {column.name: column.dtype for column in LEADERBOARD}
    board = (
        pl.DataFrame(own, schema=schema)
        .with_columns(
            role=pl.col("model").replace_strict(ROLES, return_dtype=pl.String),
            source=pl.lit("hfkg"),
            reads_the_answer=pl.when(pl.col("model").is_in(READS_CARD))
            .then(pl.lit("card"))
            .otherwise(pl.lit("no")),
        )
        .with_columns(
            comparable=pl.when(pl.col("reads_the_answer") == "no")
            .then(pl.lit("yes"))
            .otherwise(pl.lit(READS_THE_ANSWER))
        )
        .sort(
            "protocol",
            pl.col("split") != "test",
            pl.col("reads_the_answer") != "no",
            -pl.col("mrr"),
            maintain_order=True,
        )
    )
    rows = pl.concat([board, published_figures()], how="diagonal_relaxed")
    return rows.select(pl.col(column.name).cast(column.dtype) for column in LEADERBOARD)


def _row(key: dict[str, object], rows: pl.DataFrame) -> dict[str, object]:
    of_seeds = pl.DataFrame(
        [
            ranking_metrics(part["rank"].to_numpy())
            for _, part in rows.group_by("seed", maintain_order=True)
        ]
    )
    low, high = mrr_interval(rows["rank"].to_numpy())
    return {
        **key,
        **{name: of_seeds[name].mean() for name in METRICS},
        **{f"{name}_sd": of_seeds[name].std() for name in METRICS},
        "mrr_low": low,
        "mrr_high": high,
        "seeds": of_seeds.height,
        "questions": rows.height,
        "candidates": rows["candidates"].mean(),
    }


def in_words(board: pl.DataFrame) -> pl.DataFrame:
    """Rows of the leaderboard to read."""
    is_own = pl.col("source") == "hfkg"
    note = pl.when(is_own).then("comparable").otherwise(pl.format("no: {}", "source"))
    interval = pl.format(
        "{} to {}", figure("mrr_low", deviation=False), figure("mrr_high", deviation=False)
    )
    return board.select(
        "protocol",
        "model",
        figure("mrr").alias("MRR"),
        pl.when(is_own).then(interval).otherwise(pl.lit("")).alias("95 % interval"),
        *(figure(f"hits_at_{k}", deviation=False).alias(f"Hits@{k}") for k in HITS),
        *(pl.col(name).cast(pl.String).fill_null("") for name in ("seeds", "questions")),
        pl.col("candidates").round().cast(pl.Int64).cast(pl.String).fill_null(""),
        note.alias("comparable"),
    )


@snapshot_asset(
    BOARD,
    description="All rankers of bases judged alike, beside trivial ones and published figures.",
    columns=LEADERBOARD,
    ins={"ranks": "tracing/scores"},
    code_version=code_version(leaderboard_of),
)
def leaderboard(context: dg.AssetExecutionContext, ranks: pl.LazyFrame) -> pl.DataFrame:
    board = leaderboard_of(ranks.collect())
    tested = board.filter(split="test", source="hfkg")
    drawn = draw_bars(
        "MRR of the base on test triples",
        dict(zip(tested["protocol"] + ": " + tested["model"], tested["mrr"], strict=True)),
        deviations=tested["mrr_sd"].to_list(),
        pale=(tested["reads_the_answer"] != "no").to_list(),
    )
    context.add_output_metadata(
        {
            "hfkg/leaderboard": dg.MetadataValue.md(
                markdown_table(in_words(board.filter(split="test")))
            ),
            "hfkg/test_mrr": dg.MetadataValue.md(figures.as_markdown(drawn)),
        }
    )
    return board


# --- checks --------------------------------------------------------------------------------------


def not_ahead(board: pl.DataFrame) -> pl.DataFrame:
    """Rankers on test triples that the combination which reads as much is not ahead of.

    Args:
        board: `tracing/leaderboard`.

    Returns:
        `protocol`, `model`, `mrr`, `combination`, `combination_mrr`.
    """
    tested = board.filter(split="test", source="hfkg").select(
        "protocol", "model", "mrr", "reads_the_answer"
    )
    combined = tested.filter(pl.col("model").is_in([COMBINED, COMBINED_WITH_CARD])).select(
        "protocol", "reads_the_answer", combination="model", combination_mrr="mrr"
    )
    parts = tested.filter(~pl.col("model").is_in([COMBINED, COMBINED_WITH_CARD]))
    return (
        parts.join(combined, on=["protocol", "reads_the_answer"], maintain_order="left")
        .filter(pl.col("mrr") >= pl.col("combination_mrr"))
        .drop("reads_the_answer")
    )


def unranked(ranks: pl.LazyFrame, triples: pl.LazyFrame) -> pl.DataFrame:
    """Runs of rankers that do not have exactly one rank for every held-out triple.

    Args:
        ranks: `tracing/scores`.
        triples: `tracing/triples`.

    Returns:
        `model`, `protocol`, `seed`, `split` with `missing`, `unasked`, `repeated` rows.
    """
    run = ["model", "protocol", "seed", "split"]
    asked = (
        triples.filter(pl.col("split").is_in(HELD))
        .join(pl.LazyFrame({"model": list(ROLES)}), how="cross")
        .with_columns(asked=pl.lit(1))
    )
    found = ranks.group_by(*run, *TRIPLE).len("found")
    return (
        asked.join(found, on=[*run, *TRIPLE], how="full", coalesce=True)
        .group_by(run)
        .agg(
            missing=pl.col("found").is_null().sum(),
            unasked=pl.col("asked").is_null().sum(),
            repeated=(pl.col("found") > 1).sum(),
        )
        .filter(pl.sum_horizontal("missing", "unasked", "repeated") > 0)
        .sort(run)
        .collect()
    )


AHEAD, COMPLETE = "combination_beats_its_parts", "every_question_is_ranked"

_CHECKS = [
    dg.AssetCheckSpec(
        AHEAD,
        asset=key_of(BOARD),
        description="On test triples the combination's MRR is above that of each of its parts.",
        partitions_def=SNAPSHOTS,
    ),
    dg.AssetCheckSpec(
        COMPLETE,
        asset=key_of(BOARD),
        description="Every ranker has one rank for every held-out triple of every run.",
        partitions_def=SNAPSHOTS,
        additional_deps=[key_of(f"tracing/{name}") for name in ("triples", "scores", *EMBEDDINGS)],
    ),
]


@dg.multi_asset_check(name="check_tracing_leaderboard", specs=_CHECKS, can_subset=True)
def leaderboard_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """Whether combining is worth its while, which warns, and whether all were asked the same."""
    day = context.partition_key
    wanted = {key.name for key in context.selected_asset_check_keys}
    if AHEAD in wanted:
        found = not_ahead(warehouse.scan(BOARD, day).collect())
        yield none_found(key_of(BOARD), AHEAD, found, dg.AssetCheckSeverity.WARN)
    if COMPLETE in wanted:
        scores, triples = (
            warehouse.scan(name, day) for name in ("tracing/scores", "tracing/triples")
        )
        yield none_found(key_of(BOARD), COMPLETE, unranked(scores, triples))
