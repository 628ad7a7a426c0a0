"""Repositories of the sample world: what all kinds share, datasets, Spaces.

Belongs here: their dates, names and renames, what they refer to, tags. Does not: models and their
lineage (`models`), what a card says (`cards`), what files there are (`file_names`).

In every table the rows of the cast come first, then the crowd by date of creation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast, file_names, words
from hfkg_resources.sample_hub.drawing import (
    DAY,
    NEVER,
    creation_times,
    draw,
    draw_evenly,
    earlier,
    evenly,
    gathered,
    generator,
    instant,
    later,
    object_ids,
    written_by_hand,
)
from hfkg_resources.sample_hub.people import Crowd
from hfkg_resources.table_schema import STRINGS

KINDS = ("model", "dataset", "space")
CAST = {"model": cast.MODELS, "dataset": cast.DATASETS, "space": cast.SPACES}
"""Repositories written by hand, by kind."""
SHARES = {"model": 0.68, "dataset": 0.15, "space": 0.17}
"""Share of each kind in all repositories."""
ORG_SHARE = {"model": 0.107, "dataset": 0.25, "space": 0.042}
"""Share of repositories that an organization publishes."""
LABELLED = {"model": 0.62, "dataset": 0.46}
"""Share of repositories that name their task: more than the Hub's 44 % and 15 %, so that small
worlds have enough to learn from."""
_PLANTED = {
    "created": pl.Int64, "topic": pl.String, "library": pl.String, "license": pl.String,
    "language": pl.String, "popularity": pl.Float64, "extra_tasks": STRINGS,
    "relation": pl.String, "bases": STRINGS, "datasets": STRINGS,
    "papers": STRINGS, "free_tags": STRINGS, "layout": pl.String,
    "flaw": pl.String, "gated": pl.String, "gated_from": pl.Int64, "disabled_from": pl.Int64,
    "deleted": pl.Int64, "unlisted_likes": pl.Int64,
    "description": pl.String, "first_id": pl.String, "second_id": pl.String, "third_id": pl.String,
    "renamed_at": pl.Int64, "renamed_again_at": pl.Int64, "sdk": pl.String, "title": pl.String,
    "emoji": pl.String, "models": STRINGS,
}  # fmt: skip

_DATES = ("created", "deleted", "gated_from", "disabled_from")


def planted_repositories(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Repositories of the cast; what they leave out is null."""
    told = []
    for row in rows:
        names = [*row["names"], None, None]
        renamed = [*map(instant, row.get("renamed", ())), NEVER, NEVER]
        dates = {name: instant(row[name]) for name in _DATES if name in row}
        told.append(
            {"layout": "prose"}
            | row
            | dates
            | {"first_id": names[0], "second_id": names[1], "third_id": names[2]}
            | {"renamed_at": renamed[0], "renamed_again_at": renamed[1]}
        )
    return written_by_hand(told, _PLANTED).with_columns(
        pl.col("popularity").fill_null(300.0),
        pl.col("flaw").fill_null("none"),
        pl.col("deleted", "disabled_from", "renamed_at", "renamed_again_at").fill_null(NEVER),
        pl.col("extra_tasks", "free_tags", "papers").fill_null([]),
        pl.col("unlisted_likes").fill_null(0),
        pl.col("language").fill_null("en"),
        gated_from=pl.when(pl.col("gated").is_null())
        .then(NEVER)
        .otherwise(pl.coalesce("gated_from", "created")),
    )


def born(rng: np.random.Generator, kind: str, repositories: int, crowd: Crowd) -> pl.DataFrame:
    """The crowd of a kind: dates and owners."""
    # Some 7 % of what was ever created up to the nominal day is gone by then.
    nominal = max(4.0, SHARES[kind] * repositories / 0.93 - len(CAST[kind]))
    created = creation_times(rng, nominal)
    return _life(rng, created, crowd.owners(rng, created, ORG_SHARE[kind]), crowd)


def _life(rng: np.random.Generator, created: np.ndarray, owner: np.ndarray, crowd: Crowd
          ) -> pl.DataFrame:  # fmt: skip
    """Dates of deletion and of what befalls access, and how often each is looked for."""
    size = len(created)
    deleted = np.where(rng.random(size) < 0.08, later(rng, created, 220), NEVER)
    gate = rng.random(size)
    return pl.DataFrame(
        {
            "created": created,
            "owner": owner,
            "deleted": np.minimum(deleted, crowd.accounts["deleted"].to_numpy()[owner]),
            "gated": np.where(gate < 0.015, "auto", "manual"),
            "gated_from": np.where(gate < 0.02, later(rng, created, 90), NEVER),
            "disabled_from": np.where(rng.random(size) < 0.004, later(rng, created, 200), NEVER),
            "popularity": (rng.pareto(0.9, size) * 12 + 1).clip(0, 5e6),
            "unlisted_likes": np.zeros(size, dtype=np.int64),
        }
    )


def draw_identities(
    rng: np.random.Generator, life: pl.DataFrame, names: pl.Series, crowd: Crowd
) -> pl.DataFrame:
    """Up to three ids of each repository and the dates at which one replaces another.

    A repository is renamed with its owner, or by its owner, also by moving it to an organization.
    """
    size = life.height
    owner, created = life["owner"].to_numpy(), life["created"].to_numpy()
    name = _unique_names(names, life["owner"])
    accounts = crowd.accounts
    now_owner = accounts["name"].gather(owner)
    then_owner = accounts["first_name"].gather(owner)
    moves_at = accounts["renamed_at"].to_numpy()[owner]
    own_rename = later(rng, created, 150)
    new_owner = accounts["name"].gather(crowd.org_at(rng, own_rename, 1.6))
    chance = rng.random(size)
    frame = pl.DataFrame(
        {
            "name": name, "now": now_owner, "then": then_owner, "moves_at": moves_at,
            "created": created, "own_rename": own_rename, "again": later(rng, own_rename, 100),
            "new_owner": new_owner, "chance": chance,
            "suffix": draw(rng, ("-preview", "-dev", "_test", ".wip"), size),
        }
    )  # fmt: skip
    with_owner = (pl.col("moves_at") < NEVER) & (pl.col("created") < pl.col("moves_at"))
    settled = (pl.col("moves_at") == NEVER) & (pl.col("chance") < 0.04)
    to_org = settled & (pl.col("chance") < 0.008)
    twice = settled & (pl.col("chance") > 0.037)
    here = pl.format("{}/{}", "now", "name")
    before = pl.format("{}/{}{}", "now", "name", "suffix")
    return frame.select(
        pl.when(with_owner).then(pl.format("{}/{}", "then", "name"))
        .when(settled & ~to_org).then(before).otherwise(here).alias("first_id"),
        pl.when(with_owner).then(here)
        .when(to_org).then(pl.format("{}/{}-by-{}", "new_owner", "name", "now"))
        .when(settled).then(here).alias("second_id"),
        pl.when(twice).then(pl.format("{}/{}-final", "now", "name")).alias("third_id"),
        pl.when(with_owner).then("moves_at").when(settled).then("own_rename").otherwise(NEVER)
        .alias("renamed_at"),
        pl.when(twice).then("again").otherwise(NEVER).alias("renamed_again_at"),
        "name",
    )  # fmt: skip


def _unique_names(names: pl.Series, within: pl.Series) -> pl.Series:
    """Numbers whatever is there twice, letter case aside: the Hub's names are unique so."""
    frame = pl.DataFrame({"name": names, "within": within})
    number = pl.int_range(pl.len()).over("within", pl.col("name").str.to_lowercase())
    renamed = frame.with_columns(number=number).select(
        pl.when(pl.col("number") > 0)
        .then(pl.format("{}-n{}", "name", pl.col("number") + 1))
        .otherwise("name")
    )
    return renamed.to_series().alias("name")


def written(table: pl.DataFrame, rows: np.ndarray, moments: np.ndarray) -> pl.Series:
    """The ids that repositories had at these moments, as somebody then wrote them down."""
    moment = pl.Series("moment", moments)
    return (
        table.select("first_id", "second_id", "third_id", "renamed_at", "renamed_again_at")[rows]
        .with_columns(moment)
        .select(id_at(pl.col("moment")))
        .to_series()
    )


def id_at(moment: pl.Expr) -> pl.Expr:
    """The id in force at a moment."""
    return (
        pl.when(pl.col("renamed_again_at") <= moment).then("third_id")
        .when(pl.col("renamed_at") <= moment).then("second_id")
        .otherwise("first_id").alias("id")
    )  # fmt: skip


def misspelt(rng: np.random.Generator, ids: pl.Series, wrong_case: float, dangling: float
              ) -> pl.Series:  # fmt: skip
    """A few references in the wrong case, a few to what has never been."""
    chance = pl.Series(rng.random(len(ids)))
    ghost = pl.select(
        pl.format("vanished-lab/{}-{}", draw(rng, words.NOUNS, len(ids)),
                  draw(rng, words.SIZES, len(ids)))
    ).to_series()  # fmt: skip
    return pl.select(
        pl.when(chance < dangling).then(ghost)
        .when(chance < dangling + wrong_case).then(ids.str.to_uppercase())
        .otherwise(ids)
    ).to_series()  # fmt: skip


def draw_citations(rng: np.random.Generator, created: np.ndarray, papers: pl.DataFrame, share: float
           ) -> pl.Series:  # fmt: skip
    """arXiv ids as tags name them: some with a version, some the Hub has no paper for."""
    size = len(created)
    counts = np.where(rng.random(size) < share, 1 + (rng.random(size) < 0.2), 0)
    rows = np.repeat(np.arange(size), counts)
    first = len(cast.PAPERS)
    known = earlier(rng, papers["published"].to_numpy()[first:], created[rows], 1.5)
    ids = papers["id"].gather(first + known)
    chance = rng.random(len(rows))
    version = pl.select(pl.format("{}v{}", ids, pl.Series(rng.integers(1, 4, len(rows)))))
    unknown = pl.select(
        pl.format("{}.{}", pl.Series(rng.integers(2001, 2013, len(rows))),
                  pl.Series(rng.integers(10_000, 20_000, len(rows))))
    )  # fmt: skip
    named = pl.select(
        pl.when(pl.Series(chance < 0.15)).then(pl.lit(cast.BOILERPLATE_PAPER))
        .when(pl.Series(chance < 0.33)).then(version.to_series())
        .when(pl.Series(chance < 0.42)).then(unknown.to_series())
        .otherwise(ids)
    ).to_series()  # fmt: skip
    return gathered(rows, named, size)


def _free_tags(rng: np.random.Generator, size: int) -> pl.Series:
    counts = np.array([0, 0, 1, 2, 4, 9])[rng.integers(6, size=size)]
    rows = np.repeat(np.arange(size), counts)
    odd = pl.Series(rng.random(len(rows)) < 0.03)
    tags = pl.select(
        pl.when(odd).then(draw(rng, words.ODD_TAGS, len(rows)))
        .otherwise(draw(rng, words.FREE_TAGS, len(rows)))
    ).to_series()  # fmt: skip
    return gathered(rows, tags, size)


_LAYOUTS = {
    "model": {"prose": 0.63, "trainer": 0.12, "template": 0.06, "empty": 0.015, "head_only": 0.025,
              "": 0.15},
    "dataset": {"prose": 0.72, "template": 0.05, "empty": 0.01, "head_only": 0.07, "": 0.15},
    "space": {"head_only": 0.95, "": 0.05},
}  # fmt: skip
"""How the README is laid out; none at all for the empty name."""
_FLAWS = {"none": 0.95, "no_head": 0.02, "crlf": 0.02, "bom": 0.005, "broken_head": 0.005}


def draw_appearance(rng: np.random.Generator, kind: str, size: int) -> dict[str, pl.Series]:
    """What the card looks like, its language, licence and free tags."""
    return {
        "layout": draw(rng, _LAYOUTS[kind], size).replace("", None),
        "flaw": draw(rng, _FLAWS, size),
        "language": draw(rng, words.LANGUAGES, size),
        "license": draw(rng, words.LICENSES, size).set(pl.Series(rng.random(size) < 0.3), None),
        "free_tags": _free_tags(rng, size),
    }


def draw_extra_tasks(
    rng: np.random.Generator, tasks: Mapping[str, float], labelled: pl.Series, share: float
) -> pl.Series:
    """Further tasks for a share of those that name one."""
    rows = np.flatnonzero(labelled.to_numpy() & (rng.random(len(labelled)) < share))
    return gathered(rows, draw(rng, tasks, len(rows)), len(labelled))


def finished(rng: np.random.Generator, planted: pl.DataFrame, crowd: pl.DataFrame) -> pl.DataFrame:
    """Cast and crowd in one table, with what every repository has."""
    table = pl.concat([planted, crowd], how="diagonal_relaxed")
    size = table.height
    created = table["created"].to_numpy()
    every = (rng.lognormal(4.0, 1.2, size).clip(0.2, 900) * DAY).astype(np.int64)
    name = pl.coalesce("third_id", "second_id", "first_id").str.split("/").list.last()
    return table.with_columns(
        object_ids(rng, created).alias("_id"),
        key=rng.integers(2**63, size=size, dtype=np.int64),
        edit_every=every,
        edits=rng.geometric(0.2, size) - 1,
        name=name,
    )


def tagged(prefix: str, column: str) -> pl.Expr:
    """A tag: prefix and value; null without a value."""
    return pl.lit(prefix) + pl.col(column)


def each_tagged(prefix: str, column: str) -> pl.Expr:
    """A tag for each value of a list."""
    return pl.col(column).list.eval(pl.lit(prefix) + pl.element())


def tag_list(*parts: pl.Expr) -> pl.Expr:
    """One list of tags, each once, in the order given."""
    return pl.concat_list(*parts).list.drop_nulls().list.unique(maintain_order=True).alias("tags")


def template_citation() -> pl.Expr:
    """The tag of what the default card cites, where the card is that."""
    tag = pl.lit(f"arxiv:{cast.BOILERPLATE_PAPER}")
    return pl.when(pl.col("layout") == "template").then(tag)


def make_datasets(seed: int, repositories: int, crowd: Crowd, papers: pl.DataFrame) -> pl.DataFrame:
    """All datasets; columns as in `Population.repositories`."""
    rng = generator(seed, "datasets")
    planted = planted_repositories(cast.DATASETS).with_columns(pipeline_tag="topic")
    life = born(rng, "dataset", repositories, crowd)
    size = life.height
    topic = draw_evenly(rng, words.DATASET_TASKS, size)
    labelled = pl.Series(evenly(size, LABELLED["dataset"]))
    name = pl.select(
        pl.format(
            "{}-{}-{}", draw(rng, words.DOMAINS, size), draw(rng, words.NOUNS, size),
            draw(rng, ("corpus", "set", "bench", "10k", "v2", "mini_v1.0"), size),
        )
    ).to_series()  # fmt: skip
    drawn = life.with_columns(
        draw_identities(rng, life, name, crowd).drop("name"),
        topic=topic,
        pipeline_tag=topic.set(~labelled, None),
        extra_tasks=draw_extra_tasks(rng, words.DATASET_TASKS, labelled, 0.12),
        papers=draw_citations(rng, life["created"].to_numpy(), papers, 0.07),
        **draw_appearance(rng, "dataset", size),
    )
    table = finished(rng, planted, drawn)
    size = table.height
    rows = rng.lognormal(8, 2.5, size)
    described = pl.Series(rng.random(size) < 0.7)
    table = table.with_columns(
        size_category=draw(rng, words.SIZE_CATEGORIES, size),
        format=draw(rng, words.FORMATS, size),
        modality=draw(rng, {"text": 0.7, "image": 0.15, "audio": 0.1, "tabular": 0.05}, size),
        main_size=pl.Series((rows * 700).astype(np.int64)).set(
            pl.Series(rng.random(size) < 0.15), None
        ),
        description=pl.when(pl.col("description").is_null() & described)
        .then(pl.format("{} examples about {}. See the full description on the dataset page.",
                        pl.col("name").str.to_titlecase(), draw(rng, words.DOMAINS, size)))
        .otherwise("description"),
        citation=pl.when(pl.Series(rng.random(size) < 0.1))
        .then(pl.format("@misc{{{{{}, title={{{{{}}}}}}}}}", "name", "name")),
    ).with_columns(
        tag_list(
            tagged("task_categories:", "pipeline_tag"),
            each_tagged("task_categories:", "extra_tasks"),
            tagged("language:", "language"), tagged("license:", "license"),
            tagged("size_categories:", "size_category"), tagged("format:", "format"),
            tagged("modality:", "modality"), pl.lit("library:datasets"),
            pl.lit("library:mlcroissant"), each_tagged("arxiv:", "papers"),
            template_citation(), pl.lit("region:us"), pl.col("free_tags"),
        ),
    )  # fmt: skip
    return table.with_columns(siblings=file_names.dataset_files(table))


def make_spaces(
    seed: int, repositories: int, crowd: Crowd, models: pl.DataFrame, datasets: pl.DataFrame
) -> pl.DataFrame:
    """All Spaces; columns as in `Population.repositories`."""
    rng = generator(seed, "spaces")
    life = born(rng, "space", repositories, crowd)
    size, created = life.height, life["created"].to_numpy()
    noun, title = draw(rng, words.NOUNS, size), draw(rng, words.SPACE_TITLES, size)
    name = pl.select(pl.format("{}-{}", noun, title.str.to_lowercase())).to_series()
    used = {
        "models": _used(rng, created, models, len(cast.MODELS), 0.5),
        "datasets": _used(rng, created, datasets, len(cast.DATASETS), 0.1),
    }
    drawn = life.with_columns(
        draw_identities(rng, life, name, crowd).drop("name"),
        sdk=draw(rng, words.SDKS, size),
        title=pl.select(pl.format("{} {}", noun.str.to_titlecase(), title)).to_series(),
        emoji=draw(rng, words.EMOJI, size),
        **used,
        **draw_appearance(rng, "space", size),
    )
    table = finished(
        rng, planted_repositories(cast.SPACES).with_columns(layout=pl.lit("head_only")), drawn
    )
    return table.with_columns(
        tag_list(pl.col("sdk"), pl.lit("region:us"), pl.col("free_tags")),
        siblings=file_names.space_files(table),
    )


def _used(
    rng: np.random.Generator, created: np.ndarray, table: pl.DataFrame, first: int, share: float
) -> pl.Series:
    """What Spaces say they use: a list, an empty one, or nothing at all."""
    size = len(created)
    counts = np.where(rng.random(size) < share, rng.geometric(0.5, size), 0)
    rows = np.repeat(np.arange(size), counts)
    chosen = first + earlier(rng, table["created"].to_numpy()[first:], created[rows], 2.0)
    ids = misspelt(rng, written(table, chosen, created[rows]), 0.005, 0.02)
    absent = pl.Series((counts == 0) & (rng.random(size) < 0.8))
    lists = gathered(rows, ids, size)
    return pl.select(pl.when(~absent).then(lists)).to_series()


def cast_size(kind: str) -> int:
    """Number of repositories written by hand."""
    return len(CAST[kind])


def cast_rows(kind: str) -> dict[str, int]:
    """Rows of the repositories written by hand, by the last of their names."""
    return {row["names"][-1]: number for number, row in enumerate(CAST[kind])}
