"""The `hfkg` command: thin, over the same definitions and tables that the assets use."""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
from pydantic import ValidationError

from hfkg_assets.classification import report
from hfkg_assets.classification.comparison import in_words
from hfkg_assets.classification.graph import DOCUMENT_KINDS
from hfkg_assets.classification.leaderboard import main_rows
from hfkg_assets.classification.single_text import (
    CannotClassify,
    NothingToClassify,
    TextPrediction,
    classify_text,
    read_source,
)
from hfkg_assets.exports.folder import exported_dates
from hfkg_assets.hub.plan import TIERS, least_times
from hfkg_assets.knowledge_graph.catalog import CATALOG
from hfkg_assets.knowledge_graph.provenance import (
    NoSnapshot,
    Provenance,
    UnknownRelation,
    why,
)
from hfkg_assets.knowledge_graph.verification import REASONS
from hfkg_assets.rerun import waves
from hfkg_assets.retrieval import commands
from hfkg_assets.retrieval.answers import RetrievalError
from hfkg_assets.text_table import printable, text_table
from hfkg_resources.publishing import Publication, PublishFailed
from hfkg_resources.settings import SettingError
from hfkg_resources.sources import PUBLIC_ENDPOINT, tokens
from hfkg_resources.text_encoder import EncoderNotFound
from hfkg_resources.warehouse import MissingTable, Warehouse

SHOWN = 8
"""Names on a line."""

BAR = 24
"""Width of a bar that stands for a probability of 1."""

ERRORS = (
    SettingError, ValidationError, MissingTable, PublishFailed, CannotClassify, EncoderNotFound,
    RetrievalError, UnknownRelation, NoSnapshot,
)  # fmt: skip
"""What a user can set right: told in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a subcommand; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="hfkg", description=__doc__.splitlines()[0])
    subcommands = parser.add_subparsers(required=True)
    today = datetime.now(UTC).date()

    run = subcommands.add_parser("run", help="materialize a job for one date, then print a summary")
    run.add_argument("--date", type=_date, default=today, help="snapshot date, default today (UTC)")
    run.add_argument(
        "--job",
        default="everything",
        choices=("crawl", "snapshot", "train", "export", "torrent", "everything"),
    )
    run.add_argument(
        "--changed",
        action="store_true",
        help="only what is missing for the date, has new code or stands on changed data",
    )
    run.set_defaults(command=run_job)

    plan = subcommands.add_parser(
        "plan", help="requests and least time of a crawl, before it is made"
    )
    plan.add_argument(
        "--date", type=_date, default=today, help="snapshot date, default today (UTC)"
    )
    plan.add_argument("--stored", action="store_true", help="show the plan that was made last")
    plan.set_defaults(command=show_plan)

    show = subcommands.add_parser("summary", help="what a snapshot holds")
    show.add_argument("--date", type=_date, default=None, help="default: the newest snapshot")
    show.set_defaults(command=show_summary)

    origin = subcommands.add_parser("why", help="where an edge of the graph comes from")
    origin.add_argument("subject", help="id, such as old/base")
    origin.add_argument("relation", help="such as model_finetune_model")
    origin.add_argument("object", help="id")
    origin.add_argument("--date", type=_date, help="snapshot date, default the newest")
    origin.add_argument("--json", action="store_true", help="one JSON object")
    origin.set_defaults(command=explain_edge)

    classify = subcommands.add_parser("classify", help="which tasks one README is probably for")
    classify.add_argument("file", metavar="README.md", help="a text file; - for standard input")
    classify.add_argument("--date", type=_date, default=None, help="default: the newest trained")
    classify.add_argument("--kind", default="model", choices=DOCUMENT_KINDS[::-1])
    classify.add_argument("--top", type=_positive, default=5, help="how many tasks, default 5")
    classify.add_argument("--json", action="store_true", help="one JSON object")
    classify.set_defaults(command=classify_readme)

    commands.add_to(subcommands, date_of=_date, positive=_positive)

    publish = subcommands.add_parser(
        "publish", help="upload a snapshot as a Hub dataset repository"
    )
    publish.add_argument("repository", metavar="REPO", help="such as account/name")
    publish.add_argument("--date", type=_date, default=None, help="default: the newest export")
    publish.add_argument("--dry-run", action="store_true", help="list what would be sent, no more")
    publish.add_argument("--private", action="store_true", help="if the repository is made now")
    publish.set_defaults(command=publish_snapshot)

    sample = subcommands.add_parser("sample-hub", help="serve the sample Hub until interrupted")
    sample.add_argument("--port", type=int, default=8765)
    sample.add_argument("--repositories", type=int, default=1_500)
    sample.add_argument("--seed", type=int, default=7)
    sample.set_defaults(command=serve_sample_hub)

    options = parser.parse_args(arguments)
    try:
        return options.command(options)
    except NothingToClassify as error:
        print(f"hfkg: {error}", file=sys.stderr)
        return 1
    except ERRORS as error:
        print(f"hfkg: {_reason(error)}", file=sys.stderr)
        return 2


def run_job(options: argparse.Namespace) -> int:
    """Materializes a job for one date in this process, on the project's Dagster instance."""
    started = time.monotonic()
    if not _materialize(options.job, options.date, only_changed=options.changed):
        return 1
    if options.job != "crawl":
        print(summary(_warehouse(), str(options.date)))
    print(f"\nThe {options.job} job took {time.monotonic() - started:.0f} s.")
    return 0


def show_plan(options: argparse.Namespace) -> int:
    """Lists the Hub's repositories, a thousand a request, and prints what all the rest costs."""
    if not options.stored and not _materialize("plan", options.date):
        return 1
    plan = _warehouse().scan("hub/crawl_plan", options.date).collect()
    print(plan_text(plan, str(options.date)))
    return 0


def _materialize(job: str, day: date, *, only_changed: bool = False) -> bool:
    """Runs a job; on failure tells its cause and returns false."""
    from hfkg_assets.definitions import build_defs

    if "DAGSTER_HOME" not in os.environ and Path("dagster.yaml").is_file():
        os.environ["DAGSTER_HOME"] = str(Path.cwd())
    defs = build_defs()
    definition = defs.resolve_job_def(job)
    with dg.DagsterInstance.get() as instance:
        if not only_changed:
            return _execute(definition, instance, day)
        keys = definition.asset_layer.selected_asset_keys
        made = 0
        for wave in waves(defs.resolve_asset_graph(), keys, instance, str(day)):
            print(wave_text(wave), flush=True)
            if not _execute(definition, instance, day, list(wave)):
                return False
            made += len(wave)
        print(f"{made} of {len(keys)} assets were out of date.")
        return True


def _execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    day: date,
    assets: list[dg.AssetKey] | None = None,
) -> bool:
    result = job.execute_in_process(
        instance=instance,
        partition_key=str(day),
        asset_selection=assets,
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
    )
    if not result.success:
        # The first failure is the cause; the others follow from it or repeat it.
        failures = result.get_step_failure_events()
        print(f"hfkg: {failures[0].step_key}: {_cause(failures[0])}", file=sys.stderr)
    return bool(result.success)


def wave_text(wave: Mapping[dg.AssetKey, str]) -> str:
    """What is about to be made again, and why: the assets of each reason on a line."""
    by_reason: dict[str, list[str]] = {}
    for key, reason in wave.items():
        by_reason.setdefault(reason, []).append(key.to_user_string())
    return "\n".join(
        f"{reason}: {', '.join(names[:SHOWN])}"
        + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        for reason, names in by_reason.items()
    )


def show_summary(options: argparse.Namespace) -> int:
    """Prints what a snapshot holds."""
    warehouse = _warehouse()
    days = warehouse.dates("graph/statistics")
    if options.date is None and not days:
        raise MissingTable("there is no snapshot yet; make one with: hfkg run")
    print(summary(warehouse, str(options.date or days[-1])))
    return 0


def explain_edge(options: argparse.Namespace) -> int:
    """Tells which answer of the Hub an edge comes from, and since when it is there."""
    day = str(options.date) if options.date else None
    found = why(_warehouse(), options.subject, options.relation, options.object, day)
    if options.json:
        print(json.dumps(asdict(found), ensure_ascii=False, default=str))
    else:
        print(provenance_text(found))
    return 0


def provenance_text(found: Provenance) -> str:
    """An edge's origin for people."""
    lines = [
        f"{found.subject} —{found.relation}→ {found.object}",
        f"snapshot of {found.snapshot}: {found.state}"
        + (f", {found.reason}" if found.reason else ""),
        *(f"  {name}: {value}" for name, value in found.attributes.items()),
    ]
    if found.written:
        lines.append(f"as the Hub wrote it: {found.written[0]} → {found.written[1]}")
    if seen := found.observation:
        carried = ", carried over from an earlier snapshot" if seen.is_carried else ""
        lines += [
            f"observed: {seen.table}, {seen.record}: {seen.said}",
            f"request:  {seen.request}, answered {seen.observed_at:%Y-%m-%d %H:%M:%S} UTC{carried}"
            if seen.observed_at
            else f"request:  {seen.request}",
        ]
    if found.first_seen:
        lines.append(
            f"verified in {found.snapshots} snapshots, {found.first_seen} to {found.last_seen}"
        )
    lines += [f"  {day}: {change}" for day, change in found.changes.items()]
    return "\n".join(map(printable, lines))


def classify_readme(options: argparse.Namespace) -> int:
    """Tells which tasks one README is probably for; 1 if it says nothing."""
    from hfkg_assets.definitions import resources

    def tell(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    parts = resources(os.environ)
    found = classify_text(
        read_source(options.file),
        options.kind,
        parts["warehouse"],
        parts["encoder"],
        day=str(options.date) if options.date else None,
        top=options.top,
        log=tell,
    )
    for warning in found.warnings:
        tell(f"warning: {warning}")
    print(prediction_json(options.file, found) if options.json else prediction_text(found))
    return 0


def prediction_text(found: TextPrediction) -> str:
    """A text's tasks for people: a bar each, and how far to trust them."""
    predictor, trust = found.predictor, found.trust()
    width = max(len(label) for label in found.tasks["label"])
    lines = [
        f"{found.words:,} words of a {found.kind} card, read by {predictor.learner} of the "
        f"snapshot of {found.snapshot}"
        + ("" if found.front_matter == "none" else "; the front matter was ignored"),
        "",
        *(
            f"{label:<{width}}  {probability:5.2f}  {'█' * round(BAR * probability):<{BAR}}"
            f"{'  chosen' if chosen else ''}".rstrip()
            for _, _, label, probability, chosen in found.tasks.iter_rows()
        ),
        "",
    ]
    if trust.rows:
        lines.append(
            f"A most probable task with {trust.level} or more was right for {trust.right:,} of "
            f"the {trust.rows:,} test texts that have one, of {trust.of:,}."
        )
    return "\n".join(lines)


def prediction_json(source: str, found: TextPrediction) -> str:
    """A text's tasks for programs."""
    predictor = found.predictor
    return json.dumps(
        {
            "source": source,
            "snapshot": found.snapshot,
            "kind": found.kind,
            "learner": predictor.learner,
            "variant": predictor.variant,
            "protocol": predictor.protocol,
            "words": found.words,
            "front_matter": found.front_matter,
            "warnings": found.warnings,
            "tasks": found.tasks.to_dicts(),
            "trust": [asdict(level) for level in predictor.trust],
        },
        ensure_ascii=False,
    )


def publish_snapshot(options: argparse.Namespace) -> int:
    """Uploads a snapshot's `export/hub_dataset`, or lists what that would send."""
    warehouse = _warehouse()
    days = [str(options.date)] if options.date else exported_dates(warehouse, "hub_dataset")
    folder = warehouse.directory("export/hub_dataset", days[-1]) if days else None
    if folder is None or not folder.is_dir():
        day = options.date or "DATE"
        raise MissingTable(
            "there is nothing to publish; make it with: dagster asset materialize "
            f"-m hfkg_assets.definitions --select 'key:export/hub_dataset' --partition {day}"
        )
    publication = Publication(
        folder=folder,
        repository=options.repository,
        tag=days[-1],
        endpoint=os.environ.get("HF_ENDPOINT") or PUBLIC_ENDPOINT,
        private=options.private,
    )
    print(publication.plan())
    if not options.dry_run:
        print(f"published   {publication.publish(next(iter(tokens(os.environ)), None))}")
    return 0


def serve_sample_hub(options: argparse.Namespace) -> int:
    """Serves the sample Hub on loopback, for HF_ENDPOINT or a browser."""
    from hfkg_resources.sample_hub.server import create_app, serve
    from hfkg_resources.sample_hub.world import World

    world = World(seed=options.seed, repositories=options.repositories)
    with serve(create_app(world), port=options.port) as server:
        print(f"sample Hub at {server.url}, as of a day at {server.url}/YYYY-MM-DD")
        try:
            while True:
                time.sleep(3_600)
        except KeyboardInterrupt:
            return 0


def summary(warehouse: Warehouse, day: str) -> str:
    """A snapshot's figures as text: graph, rejects, leaderboard, and where everything is."""
    statistics = warehouse.scan("graph/statistics", day).collect()
    parts = [f"Snapshot {day}"]
    for section, title in (("entity", "Nodes"), ("relation", "Edges")):
        rows = statistics.filter(pl.col("section") == section)
        total = rows.select(
            pl.lit("all").alias("name"), pl.col("count", "huggingkg_2024").sum()
        ).head(1)
        table = pl.concat([rows.select("name", "count", "huggingkg_2024"), total])
        parts.append(text_table(f"{title} by type, beside HuggingKG's of December 2024", table))
    relations = statistics.filter(pl.col("section") == "relation")
    parts.append(
        text_table(
            "Observed, verified and rejected by reason",
            relations.select("name", "observed", pl.col("count").alias("verified"), *REASONS),
        )
    )
    if warehouse.path("classification/leaderboard", day).is_file():
        board = warehouse.scan("classification/leaderboard", day).collect()
        parts.append(text_table("Task classification, test nodes", main_rows(board)))
    if warehouse.path("classification/comparison", day).is_file():
        compared = warehouse.scan("classification/comparison", day).filter("is_chosen").collect()
        parts.append(text_table("Best graph learner against best baseline", in_words(compared)))
    root = Path(warehouse.root).resolve()
    page = warehouse.directory(report.REPORT, day) / report.FILE
    parts.append(
        (f"Report     {page.resolve()}\n" if page.is_file() else "") + f"Files      {root}\n"
        f"SQL        {root / CATALOG}   (views over all snapshots, such as graph.edge)\n"
        "UI         make ui, then http://127.0.0.1:3000"
    )
    return "\n\n".join(parts)


def plan_text(plan: pl.DataFrame, day: str) -> str:
    """A crawl's plan as text: requests per stage, and the least time per kind of account."""
    stages = plan.select("stage", "bucket", "requests", "basis")
    total = plan.select(
        pl.lit("all").alias("stage"), pl.lit("").alias("bucket"), pl.col("requests").sum(),
        pl.lit("").alias("basis"),
    )  # fmt: skip
    times = pl.DataFrame(
        [
            (tier, *quotas.values(), str(timedelta(seconds=seconds)))
            for (tier, seconds), quotas in zip(
                least_times(plan).items(), TIERS.values(), strict=True
            )
        ],
        schema=["account", "api / 5 min", "resolvers / 5 min", "least time"],
        orient="row",
    )
    return "\n\n".join(
        [
            text_table(f"Crawl of {day}: requests", pl.concat([stages, total])),
            text_table("Least time, both quotas spent side by side", times),
        ]
    )


def _warehouse() -> Warehouse:
    from hfkg_assets.definitions import resources

    return resources(os.environ)["warehouse"]


def _cause(event: dg.DagsterEvent) -> str:
    """What an asset raised, without Dagster's wrapping around it."""
    error = event.step_failure_data.error
    while (
        error is not None
        and error.cause is not None
        and (error.cls_name or "").startswith("Dagster")
    ):
        error = error.cause
    return " ".join(error.message.split()) if error is not None else "failed"


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
    return str(error)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write YYYY-MM-DD") from None


if __name__ == "__main__":
    sys.exit(main())
