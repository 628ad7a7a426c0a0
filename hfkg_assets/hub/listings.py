"""`hub/tasks`, `hub/tags`, `hub/models`, `hub/datasets`, `hub/spaces`: the Hub's listings.

A listing walk costs one request per thousand repositories and gives everything that repositories
say of themselves: tags, counters, dates, and for Spaces the models and datasets they use. Walks
are sorted by creation, which never changes, so that rows do not move between pages.
"""

from collections.abc import Iterator
from typing import Any

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.crawling import Table, crawled_table, now, observed_now
from hfkg_resources.crawl import Crawl
from hfkg_resources.record_table import PageReader, RecordTable
from hfkg_resources.table_schema import Column

PAGE = 1_000

_SHARED = (
    "author", "createdAt", "lastModified", "sha", "likes", "tags", "private", "disabled",
    "siblings",
)  # fmt: skip
EXPAND = {
    "models": (*_SHARED, "gated", "downloads", "downloadsAllTime", "pipeline_tag", "library_name"),
    "datasets": (*_SHARED, "gated", "downloads", "downloadsAllTime", "description"),
    "spaces": (*_SHARED, "sdk", "models", "datasets"),
}
"""The fields asked for, per listing."""


def parse_repository(record: dict[str, Any]) -> dict[str, Any]:
    """A listing row as a row of the raw table."""
    siblings = record.get("siblings")
    gated = record.get("gated")
    return {
        **record,
        "gated": "false" if gated is False else gated,
        "tags": record.get("tags") or [],
        "files": None if siblings is None else len(siblings),
        "has_readme": None
        if siblings is None
        else "README.md" in [file["rfilename"] for file in siblings],
        "observed_at": now(),
    }


def repository_reader(columns: tuple[Column, ...]) -> PageReader:
    """Reads the pages of a repository listing into a table of these columns."""
    made_here = ("files", "has_readme", "observed_at")
    served = [column for column in columns if column.name not in made_here]
    return PageReader(
        RecordTable(columns),
        parse_repository,
        RecordTable([*served, observations.SIBLINGS], or_false=("gated",)),
        derive_repositories,
    )


def derive_repositories(served: pl.DataFrame) -> pl.DataFrame:
    """What `parse_repository` does, for a whole page."""
    names = pl.col("siblings").list.eval(pl.element().struct.field("rfilename"))
    return served.with_columns(
        pl.col("tags").fill_null([]),
        observed_now(),
        files=names.list.len(),
        has_readme=names.list.contains("README.md"),
    )


def list_repositories(crawl: Crawl, kind: str, columns: tuple[Column, ...]) -> pl.LazyFrame:
    """Walks the listing of `models`, `datasets` or `spaces` as far as the scope asks.

    Returns:
        One row per stable id, the last seen where a row moved between pages, sorted by id.
    """
    rows = [
        crawl.walk(
            stage,
            columns,
            f"/api/{kind}",
            {"limit": PAGE, "sort": "createdAt", **filters, "expand": list(EXPAND[kind])},
            repository_reader(columns),
            max_records=crawl.scope.limit or None,
        )
        for stage, filters in walks(crawl, kind)
    ]
    return pl.concat(rows).unique("_id", keep="last", maintain_order=True).sort("id")


def walks(crawl: Crawl, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The walks that the scope asks for: stage and filters of each."""
    scope = crawl.scope
    if scope.kind == "author":
        for number, name in enumerate(scope.names):
            yield f"{kind}-{number}", {"author": name}
    elif scope.kind == "task" and kind != "spaces":
        prefix = "task_categories:" if kind == "datasets" else ""
        for number, task in enumerate(scope.names):
            yield f"{kind}-{number}", {"filter": f"{prefix}{task}"}
    else:
        yield kind, {}


def most_downloaded(models: pl.LazyFrame, share: float) -> pl.LazyFrame:
    """The first int(n * share) models by downloads, ties by id."""
    total = models.select(pl.len()).collect().item()
    ranked = models.sort("downloads", "id", descending=[True, False], nulls_last=True)
    return ranked.head(int(total * share)).sort("id")


def trained_on(datasets: pl.LazyFrame, models: pl.LazyFrame) -> pl.LazyFrame:
    """The datasets that the models name as training data."""
    named = pl.col("tags").list.filter(pl.element().str.starts_with("dataset:"))
    wanted = (
        models.select(id=named).explode("id").drop_nulls()
        .with_columns(pl.col("id").str.strip_prefix("dataset:"))
    )  # fmt: skip
    return datasets.join(wanted.unique(), on="id", how="semi", maintain_order="left")


def using(spaces: pl.LazyFrame, models: pl.LazyFrame, datasets: pl.LazyFrame) -> pl.LazyFrame:
    """The Spaces that use one of the models or datasets."""
    uses = pl.concat(
        spaces.select(space="id", id=column)
        .explode("id")
        .join(listed.select("id"), on="id", how="semi")
        for column, listed in (("models", models), ("datasets", datasets))
    )
    wanted = uses.select(id="space").unique()
    return spaces.join(wanted, on="id", how="semi", maintain_order="left")


@crawled_table(
    "hub/tasks",
    description="The Hub's task pages: `GET /api/tasks`.",
    columns=observations.TASKS,
)
def tasks_table(crawl: Crawl) -> pl.LazyFrame:

    def fetch(path: str) -> list[dict[str, Any]]:
        pages = crawl.client.get_json(path)
        return [
            {"id": task["id"], "label": task["label"], "observed_at": now()}
            for task in pages.values()
        ]

    return crawl.units("tasks", observations.TASKS, _timeless("/api/tasks"), fetch).sort("id")


def _timeless(*units: str) -> pl.DataFrame:
    """Units of the Hub's vocabularies: they grow, but what they hold does not change."""
    return pl.DataFrame({"unit": units}).with_columns(is_timeless=pl.lit(True))


@crawled_table(
    "hub/tags",
    description="The tag vocabularies: `GET /api/{models,datasets}-tags-by-type`.",
    columns=observations.TAGS,
)
def tags_table(crawl: Crawl) -> pl.LazyFrame:

    def fetch(kind: str) -> list[dict[str, Any]]:
        groups = crawl.client.get_json(f"/api/{kind}s-tags-by-type")
        return [
            {
                "kind": kind,
                "type": group,
                "id": tag["id"],
                "label": tag.get("label"),
                "observed_at": now(),
            }
            for group, tags in groups.items()
            for tag in tags
        ]

    rows = crawl.units("tags", observations.TAGS, _timeless("model", "dataset"), fetch)
    return rows.sort("kind", "type", "id")


@crawled_table(
    "hub/models",
    description="The model listing: `GET /api/models?expand=…`, a thousand rows a page.",
    columns=observations.MODELS,
)
def models_table(crawl: Crawl) -> pl.LazyFrame:
    models = list_repositories(crawl, "models", observations.MODELS)
    return most_downloaded(models, crawl.scope.share) if crawl.scope.kind == "top" else models


@crawled_table(
    "hub/datasets",
    description="The dataset listing: `GET /api/datasets?expand=…`, a thousand rows a page.",
    columns=observations.DATASETS,
    ins={"models": "hub/models"},
)
def datasets_table(crawl: Crawl, models: Table) -> pl.LazyFrame:
    datasets = list_repositories(crawl, "datasets", observations.DATASETS)
    return trained_on(datasets, models()) if crawl.scope.kind == "top" else datasets


@crawled_table(
    "hub/spaces",
    description="The Space listing with the models and datasets each uses: `GET /api/spaces`.",
    columns=observations.SPACES,
    ins={"models": "hub/models", "datasets": "hub/datasets"},
)
def spaces_table(crawl: Crawl, models: Table, datasets: Table) -> pl.LazyFrame:
    spaces = list_repositories(crawl, "spaces", observations.SPACES)
    if crawl.scope.kind in ("top", "task"):
        return using(spaces, models(), datasets())
    return spaces


TABLES = [tasks_table, tags_table, models_table, datasets_table, spaces_table]
