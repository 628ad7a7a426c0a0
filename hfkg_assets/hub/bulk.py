"""The raw tables that published files give: listings, papers and cards without a request a row.

`cfahlgren1/hub-stats` has the Hub's listings and papers of each day, the card dumps of
`librarian-bots` the READMEs; what those lack is asked of the Hub. Belongs here: which file and
column becomes what. Does not: finding and downloading the files (`hfkg_resources.bulk_files`), and
what a value of another type means (`file_columns`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from hfkg_assets.hub import observations
from hfkg_assets.hub.cards import ask_for_cards, carded, sorted_cards
from hfkg_assets.hub.crawling import CrawledTable, Refusals, Table, crawled_table
from hfkg_assets.hub.file_columns import FileRows, read_columns
from hfkg_assets.hub.listings import (
    PAGE,
    most_downloaded,
    parse_repository,
    trained_on,
    using,
    walks,
)
from hfkg_assets.hub.papers import cited_ids, crawl_papers
from hfkg_assets.hub.plan import PLAN, beyond_listings, card_row, figures, priced
from hfkg_resources.crawl import Crawl
from hfkg_resources.disk_sort import sort_on_disk
from hfkg_resources.record_table import PageReader, RecordTable
from hfkg_resources.scope import Scope
from hfkg_resources.table_schema import INSTANT, Column, schema_of
from hfkg_resources.warehouse import ROW_GROUP_ROWS

HUB_STATS = "cfahlgren1/hub-stats"
PAPERS_FILE = "arxiv_papers.parquet"
CARD_DUMPS = {
    "models": ("librarian-bots/model_cards_with_metadata", "modelId"),
    "datasets": ("librarian-bots/dataset_cards_with_metadata", "datasetId"),
}
"""By kind, the repository that holds its READMEs, and the column that names whose each is."""

CARD_FILES = r"data/train-\d+-of-\d+\.parquet"

SORTED_ROWS = 1_000_000
"""Rows of a listing that are sorted at once: about a gigabyte."""

_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "models": observations.MODELS,
    "datasets": observations.DATASETS,
    "spaces": observations.SPACES,
}
_MADE_HERE = ("files", "has_readme", "observed_at")
_ASKED_OF_SPACES = ("models", "datasets", "disabled")

USES = (
    *(c for c in observations.SPACES if c.name in ("_id", *_ASKED_OF_SPACES)),
    *(c for c in observations.SPACES if c.name in ("files", "has_readme")),
)
"""What the files do not tell of Spaces, and the API's listing does."""


# -- files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """Files of one revision, on disk.

    Attributes:
        paths: where they lie.
        source: what they are, for people.
        committed_at: when their commit was made.
        requests: what they took.
    """

    paths: list[Path]
    source: str
    committed_at: datetime
    requests: int

    def scan(self) -> pl.LazyFrame:
        """Their rows; a column that only some of the files have is null in the others."""
        frames = [pl.scan_parquet(path, hive_partitioning=False) for path in self.paths]
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")

    def observed_at(self) -> pl.Expr:
        """The moment that they tell of."""
        return pl.lit(self.committed_at).cast(INSTANT).alias("observed_at")


def take(crawl: Crawl, repo_id: str, pattern: str) -> Taken:
    """The files of a repository that the day has."""
    assert crawl.bulk is not None
    before = crawl.client.requests_of_thread
    files = crawl.bulk.files(repo_id, pattern)
    got = [crawl.bulk.fetch(file) for file in files]
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return Taken(
        [path for path, _ in got],
        f"{files[0]}{more}",
        files[0].revision.committed_at,
        crawl.client.requests_of_thread - before + sum(requests for _, requests in got),
    )


def each_once(rows: pl.LazyFrame, key: str) -> tuple[pl.LazyFrame, int]:
    """The rows with each key once, the last counts, and their number."""
    numbered = rows.with_row_index("_row")
    keys = numbered.select("_row", key).collect(engine="streaming")
    last = keys.group_by(key).agg(pl.col("_row").max())["_row"]
    if last.len() == keys.height:
        return rows, keys.height
    return numbered.join(last.to_frame().lazy(), on="_row", how="semi").drop("_row"), last.len()


# -- listings -------------------------------------------------------------------------------------


def listing_rows(file: pl.LazyFrame, kind: str, source: str) -> FileRows:
    """The rows of a listing's file in the raw table's columns, less `observed_at`.

    Args:
        file: as published.
        kind: `models`, `datasets` or `spaces`.
        source: what the file is called in messages.

    Raises:
        MissingColumn: it has no ids.
    """
    lacks = (*_MADE_HERE, *(_ASKED_OF_SPACES if kind == "spaces" else ()))
    columns = [column for column in _COLUMNS[kind] if column.name not in lacks]
    card = Column("cardData", pl.String(), "the README's front matter as JSON")
    read = read_columns(file, [*columns, card], source, instead={"_id": "id"})
    # A README without front matter shows in no column: null says that it is not known.
    is_told = ~pl.col("cardData").str.strip_chars().is_in(["", "{}", "null"])
    empty = {column.name: pl.lit(None, column.dtype) for column in _COLUMNS[kind]}
    rows = read.rows.with_columns(
        pl.col("tags").fill_null([]),
        has_readme=pl.when(is_told).then(True),
        **{name: empty[name] for name in lacks if name not in ("has_readme", "observed_at")},
    )
    names = [column.name for column in _COLUMNS[kind] if column.name != "observed_at"]
    return FileRows(rows.select(names), read.aside, read.aside_records)


def in_scope(rows: pl.LazyFrame, kind: str, scope: Scope) -> pl.LazyFrame:
    """What the Hub's listing would give of the rows: those that its filters let pass."""
    match scope.kind:
        case "author":
            return rows.filter(pl.col("author").is_in(scope.names))
        case "task" if kind != "spaces":
            prefix = "task_categories:" if kind == "datasets" else ""
            wanted = [pl.col("tags").list.contains(f"{prefix}{task}") for task in scope.names]
            return rows.filter(pl.any_horizontal(wanted))
        case "limit":
            order = ["createdAt", "_id"]
            newest = rows.sort(order, descending=[True, False], nulls_last=True)
            return newest.head(scope.limit)
    return rows


def read_listing(crawl: Crawl, kind: str) -> pl.LazyFrame:
    """The listing of `models`, `datasets` or `spaces` from its file, as far as the scope asks.

    Returns:
        One row per stable id, sorted by id.
    """
    taken = take(crawl, HUB_STATS, f"{kind}\\.parquet")
    read = listing_rows(taken.scan(), kind, taken.source)
    rows, count = each_once(in_scope(read.rows, kind, crawl.scope), "_id")
    crawl.from_file(
        kind, taken.source, rows=count, aside=read.aside, aside_records=read.aside_records,
        requests=taken.requests,
    )  # fmt: skip
    names = [column.name for column in _COLUMNS[kind]]
    dated = rows.with_columns(taken.observed_at()).select(names)
    return sort_on_disk(
        dated, "id", pl.lit(0), crawl.directory / "sorted",
        range_rows=SORTED_ROWS, group_rows=ROW_GROUP_ROWS,
    )  # fmt: skip


def with_uses(crawl: Crawl, spaces: pl.LazyFrame) -> pl.LazyFrame:
    """The Spaces with what only the API's listing tells of them, where it can be asked."""
    names = spaces.collect_schema().names()
    reader = PageReader(
        RecordTable(USES), parse_repository,
        RecordTable([*(c for c in USES if c.name not in ("files", "has_readme")),
                     observations.SIBLINGS]),
        _with_files,
    )  # fmt: skip
    asked = [
        crawl.walk(
            stage.replace("spaces", "space_uses"), USES, "/api/spaces",
            {"limit": PAGE, "sort": "createdAt", **filters,
             "expand": [*_ASKED_OF_SPACES, "siblings"]},
            reader, max_records=crawl.scope.limit or None,
        )
        for stage, filters in walks(crawl, "spaces")
    ]  # fmt: skip
    uses = pl.concat(asked).unique("_id", keep="last", maintain_order=True)
    told = [column.name for column in USES if column.name != "_id"]
    return (
        spaces.drop(told)
        .join(uses, on="_id", how="left", maintain_order="left")
        .select(names)
    )  # fmt: skip


def _with_files(served: pl.DataFrame) -> pl.DataFrame:
    names = pl.col("siblings").list.eval(pl.element().struct.field("rfilename"))
    return served.with_columns(files=names.list.len(), has_readme=names.list.contains("README.md"))


@crawled_table(
    "hub/models",
    description="The models of `hub-stats` at the day's commit.",
    columns=observations.MODELS,
    bucket="resolvers",
)
def models_table(crawl: Crawl) -> pl.LazyFrame:
    models = read_listing(crawl, "models")
    return most_downloaded(models, crawl.scope.share) if crawl.scope.kind == "top" else models


@crawled_table(
    "hub/datasets",
    description="The datasets of `hub-stats` at the day's commit.",
    columns=observations.DATASETS,
    ins={"models": "hub/models"},
    bucket="resolvers",
)
def datasets_table(crawl: Crawl, models: Table) -> pl.LazyFrame:
    datasets = read_listing(crawl, "datasets")
    return trained_on(datasets, models()) if crawl.scope.kind == "top" else datasets


@crawled_table(
    "hub/spaces",
    description="The Spaces of `hub-stats`, with the models and datasets each uses from the API.",
    columns=observations.SPACES,
    ins={"models": "hub/models", "datasets": "hub/datasets"},
)
def spaces_table(crawl: Crawl, models: Table, datasets: Table) -> pl.LazyFrame:
    spaces = with_uses(crawl, read_listing(crawl, "spaces"))
    if crawl.scope.kind in ("top", "task"):
        return using(spaces, models(), datasets())
    return spaces


# -- papers ---------------------------------------------------------------------------------------

_PAPER_COLUMNS = tuple(
    column for column in observations.PAPERS if column.name not in ("observed_at", "carried")
)

_AUTHORS_JSON = """[{
    "name": "VARCHAR", "status": "VARCHAR",
    "user": {"_id": "VARCHAR", "id": "VARCHAR", "user": "VARCHAR", "name": "VARCHAR",
             "fullname": "VARCHAR"}
}]"""
"""What is read of the authors, in DuckDB's words."""

_SERVED = "_authors"
"""The authors as published, beside what was read of them."""


def with_authors(path: Path, to: Path) -> pl.LazyFrame:
    """A file of papers whose authors, JSON or a list of structs, are read.

    DuckDB reads JSON that differs from row to row; one wrong row ends Polars' reading of all.

    Args:
        path: as published.
        to: where the result is written.
    """
    import duckdb

    dtype = pl.scan_parquet(path).collect_schema().get("authors")
    if dtype is None:
        return pl.scan_parquet(path)
    text = "authors" if dtype == pl.String else "to_json(authors)"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE (CASE WHEN json_valid({text}) "
            f"THEN json_transform({text}, $layout) END AS authors), authors AS {_SERVED} "
            "FROM read_parquet($path)) TO $to (FORMAT parquet)",
            {"layout": _AUTHORS_JSON, "path": str(path), "to": str(to)},
        )
    user = pl.element().struct.field("user").struct.field
    author = pl.struct(
        pl.element().struct.field("name"),
        pl.coalesce(user("user"), user("name")).alias("user"),
        pl.coalesce(user("_id"), user("id")).alias("user_id"),
        user("fullname").alias("fullname"),
        pl.element().struct.field("status"),
    )
    return pl.scan_parquet(to).with_columns(pl.col("authors").list.eval(author))


def paper_rows(file: pl.LazyFrame, source: str) -> FileRows:
    """The rows of the papers' file in the raw table's columns, less `observed_at`, `carried`.

    Args:
        file: of `with_authors`.
        source: what the file is called in messages.
    """
    broken = {}
    if _SERVED in file.collect_schema():
        broken["authors"] = pl.col(_SERVED).is_not_null() & pl.col("authors").is_null()
    return read_columns(file, _PAPER_COLUMNS, source, broken=broken)


def read_papers(crawl: Crawl) -> pl.LazyFrame:
    """The indexed papers from their file."""
    taken = take(crawl, HUB_STATS, PAPERS_FILE.replace(".", r"\."))
    read = paper_rows(with_authors(taken.paths[0], crawl.directory / "authors"), taken.source)
    rows, count = each_once(read.rows, "id")
    crawl.from_file(
        "papers", taken.source, rows=count, aside=read.aside, aside_records=read.aside_records,
        requests=taken.requests,
    )  # fmt: skip
    names = [column.name for column in observations.PAPERS]
    return rows.with_columns(taken.observed_at(), carried=pl.lit(False)).select(names)


@crawled_table(
    "hub/papers",
    description="The papers of `hub-stats`, and cited ones that it lacks from the API.",
    columns=observations.PAPERS,
    ins={"models": "hub/models", "datasets": "hub/datasets", "collections": "hub/collections"},
)
def papers_table(crawl: Crawl, models: Table, datasets: Table, collections: Table) -> pl.LazyFrame:
    cited = lambda: cited_ids(models(), datasets(), collections())  # noqa: E731
    return crawl_papers(crawl, cited, read_papers)


# -- cards ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DumpedCards:
    """The READMEs of one kind's dump, beside the listing.

    Attributes:
        texts: rows of the dump: `id`, `text`.
        held: listed repositories that it has, as `carded` has them, with `is_current`: whether the
            repository has not changed since, so that the text is that of the listing's commit.
        asked: listed repositories whose README it lacks, or has an older one of.
        taken: the files.
        read: what could not be read of them.
    """

    texts: pl.LazyFrame
    held: pl.DataFrame
    asked: pl.DataFrame
    taken: Taken
    read: FileRows


def card_columns(kind: str) -> tuple[Column, ...]:
    """The columns of a card dump that are read."""
    return (
        Column(CARD_DUMPS[kind][1], pl.String(), "the repository", required=True),
        Column("last_modified", INSTANT, "last change of the repository when it was read"),
        Column("card", pl.String(), "README.md"),
    )


def dumped_cards(crawl: Crawl, kind: str, repositories: pl.LazyFrame) -> DumpedCards:
    """What the dump tells of the listed repositories, and what it leaves to ask for.

    A README is asked for where front matter proves that there is one and the dump has none, or an
    older one. Where neither tells of a README none is asked for.
    """
    repo_id, id_column = CARD_DUMPS[kind]
    taken = take(crawl, repo_id, CARD_FILES)
    read = read_columns(taken.scan(), card_columns(kind), taken.source, needs=(id_column, "card"))
    rows = read.rows.rename({id_column: "id", "card": "text"}).filter(pl.col("text").is_not_null())
    rows, _ = each_once(rows, "id")
    dates = rows.select("id", "last_modified").collect(engine="streaming")
    listed = repositories.join(
        dates.lazy().with_columns(is_held=pl.lit(True)), on="id", how="left"
    ).with_columns(
        pl.col("is_held").fill_null(False),
        is_current=(pl.col("last_modified") == pl.col("lastModified")).fill_null(False),
    )
    may_have_one = pl.col("has_readme").fill_null(False) | pl.col("is_held")
    wanted = carded(listed.with_columns(has_readme=may_have_one))
    flags = listed.select("is_held", "is_current", unit="_id").collect()
    wanted = wanted.join(flags, on="unit", maintain_order="left")
    return DumpedCards(
        rows.select("id", "text"),
        wanted.filter("is_held"),
        wanted.filter(~pl.col("is_current")).drop("is_held", "is_current"),
        taken,
        read,
    )


def read_cards(crawl: Crawl, kind: str, repositories: pl.LazyFrame) -> pl.LazyFrame:
    """The READMEs of a kind: those of the dump, and the others asked for at their commit.

    One that the dump has in an older version and the Hub does not give is kept without a commit.
    """
    dump = dumped_cards(crawl, kind, repositories)
    stage = f"{kind.removesuffix('s')}_cards"
    current = dump.held.filter("is_current")
    crawl.from_file(
        f"{stage}_bulk", dump.taken.source, rows=current.height, aside=dump.read.aside,
        aside_records=dump.read.aside_records, requests=dump.taken.requests,
        units=current.select("unit", "basis"), of_stage=stage,
    )  # fmt: skip
    answers = ask_for_cards(crawl, kind, dump.asked)
    given = answers.filter(pl.col("bytes").is_not_null()).select("_id").collect()
    older = dump.held.filter(~pl.col("is_current")).join(
        given, left_on="unit", right_on="_id", how="anti"
    )
    told = pl.concat([current, older.with_columns(sha=pl.lit(None, pl.String))])
    rows = dump.texts.join(told.lazy().select("id", "sha", _id="unit"), on="id").select(
        "_id", "id", "sha",
        pl.lit("ok").alias("status"),
        pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes"),
        "text", dump.taken.observed_at(), pl.lit(False).alias("carried"),
    )  # fmt: skip
    names = schema_of(observations.CARDS).names()
    asked = answers.join(older.lazy(), left_on="_id", right_on="unit", how="anti")
    rows = pl.concat([rows.select(names), asked.select(names)])
    return sorted_cards(crawl, rows, shuffled=True)


def card_table(kind: str) -> CrawledTable:
    """The table of one kind's READMEs (`models` or `datasets`)."""

    @crawled_table(
        f"hub/{kind.removesuffix('s')}_cards",
        description=f"README.md of the {kind}: of the card dump, and what it lacks from the Hub.",
        columns=observations.CARDS,
        ins={"repositories": f"hub/{kind}"},
        bucket="resolvers",
        row_group_rows=1_000,  # a text may have megabytes
    )
    def cards_table(crawl: Crawl, repositories: Table) -> pl.LazyFrame:
        return read_cards(crawl, kind, repositories())

    return cards_table


# -- plan -----------------------------------------------------------------------------------------


def bulk_plan(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Requests per stage and the least time they take, where files tell of most.

    Args:
        crawl: the crawl; it says what is wanted and what is known.
        repositories: the listings by kind (`model`, `dataset`, `space`).
    """
    assert crawl.bulk is not None
    card_files = [crawl.bulk.files(repo_id, CARD_FILES) for repo_id, _ in CARD_DUMPS.values()]
    files = len(_COLUMNS) + 1 + sum(map(len, card_files))
    rows = [
        ("tasks and tags", "api", 3, "counted"),
        ("bulk revisions", "api", 2 * (1 + len(CARD_DUMPS)), "counted"),  # commits and tree of each
        ("bulk files", "resolvers", files, "counted"),
    ]
    for kind in CARD_DUMPS:
        one = kind.removesuffix("s")
        rows.append(card_row(crawl, one, dumped_cards(crawl, kind, repositories[one]).asked))
    if not crawl.no_past:
        spaces = repositories["space"].select(pl.len()).collect().item()
        rows += [
            ("space listing", "api", max(1, -(-spaces // PAGE)), "counted"),
            ("paper details", "api", _papers_asked(crawl, repositories), "counted"),
            *beyond_listings(crawl, repositories),
        ]
    return priced(rows)


def _papers_asked(crawl: Crawl, repositories: Mapping[str, pl.LazyFrame]) -> int:
    nothing = pl.LazyFrame(schema=schema_of(observations.COLLECTIONS))
    cited = cited_ids(repositories["model"], repositories["dataset"], nothing)
    taken = take(crawl, HUB_STATS, PAPERS_FILE.replace(".", r"\."))
    unseen = cited.join(taken.scan().select(pl.col("id").cast(pl.String)), on="id", how="anti")
    count = int(unseen.select(pl.len()).collect().item())
    return count if crawl.scope.kind != "all" else min(count, Refusals.ENOUGH)


@crawled_table(
    "hub/crawl_plan",
    description="Requests per stage and the least time per kind of account, from the files.",
    columns=PLAN,
    ins={"models": "hub/models", "datasets": "hub/datasets", "spaces": "hub/spaces"},
    figures=figures,
)
def plan_table(crawl: Crawl, models: Table, datasets: Table, spaces: Table) -> pl.LazyFrame:
    return bulk_plan(crawl, {"model": models(), "dataset": datasets(), "space": spaces()}).lazy()


TABLES = [
    models_table,
    datasets_table,
    spaces_table,
    papers_table,
    *(card_table(kind) for kind in CARD_DUMPS),
    plan_table,
]
"""The tables that are made otherwise than in a crawl."""
