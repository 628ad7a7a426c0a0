"""How well hfkg tells the base of real derived models: every ranker, triples divided two ways.

    .venv/bin/python benchmarks/real_tracing.py --data DIR [--split random|time|both]
        [--seeds 3] [--day 2026-08-22] [--store DIR] [--json FILE]

`DIR` holds `edges.tsv.gz`, typed lineage a line; `cards.jsonl.gz`, READMEs; and
`hub2026_models.jsonl.gz`, `trees2025_models.jsonl.gz`, `hub2022_models.jsonl.gz`, what the Hub says
of models. Vectors of texts are kept in the store and found there again.

Triples are the edges `adapter`, `finetune`, `merge`, `quantized` between two different models,
whatever their origin: tags of August 2026, pages of April 2025, packages, and the sentence that
trainers write into cards. Candidates are all models that any of the files knows. The creation of a
model is the Hub's; where it is not told, a derived model is taken to be as old as its edge, and
any other model to have been there always.

Splits, features, embeddings, combinations and ranks are those of the assets `tracing/*`: the same
functions on other tables. What may hold the answer is kept from all rows but those marked `card`:
tags with a colon (`base_model:…`) are no configuration. Where the data have no card, the summary
that others wrote of it stands in for its prose. Edges taken from a card's own sentence are answered
by the rows marked `card` by reading that sentence again.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.real_cards import DataMissing, read_cards
from hfkg_assets.features.embeddings import EmbeddingStore, Encoder, embed
from hfkg_assets.features.readme import parse_cards
from hfkg_assets.tracing.embeddings import Loaded, embedding_ranks, train_embedding
from hfkg_assets.tracing.evidence import model_facts
from hfkg_assets.tracing.graph_embeddings import EmbeddingOptions
from hfkg_assets.tracing.leaderboard import in_words, leaderboard_of
from hfkg_assets.tracing.questions import Run
from hfkg_assets.tracing.rankers import EMBEDDINGS
from hfkg_assets.tracing.ranking import METRICS
from hfkg_assets.tracing.scores import as_markdown, read_models, score_runs
from hfkg_assets.tracing.triples import PROTOCOLS, TRIPLE, split_triples
from hfkg_resources.table_schema import INSTANT

RELATION = {name: f"model_{name}_model" for name in ("adapter", "finetune", "merge", "quantized")}

FIELDS = {
    "id": pl.String(),
    "created_at": pl.String(),
    "library_name": pl.String(),
    "tasks": pl.List(pl.String()),
    "languages": pl.List(pl.String()),
    "license": pl.String(),
    "other_tags": pl.List(pl.String()),
}


TEXT_CHARACTERS = 400
"""Of a card's clean text, from its beginning, that are embedded: what it is about stands there."""

Log = Callable[[str], None]


# --- reading -------------------------------------------------------------------------------------


def read_lineage(folder: Path) -> pl.DataFrame:
    """Typed lineage, each triple once: `relation`, `base_id`, `derived_id`, `date`, the earliest.

    Raises:
        DataMissing: the folder has no such file.
    """
    edges = pl.read_csv(
        _existing(folder, "edges.tsv.gz"), separator="\t", quote_char=None, infer_schema=False
    )
    return (
        edges.filter(
            pl.col("relation").is_in(list(RELATION)), pl.col("subject") != pl.col("object")
        )
        .select(
            pl.col("relation").replace_strict(RELATION),
            base_id="object",
            derived_id="subject",
            date="date",
        )
        .group_by(TRIPLE)
        .agg(pl.col("date").min())
        .sort(*TRIPLE)
    )


def read_models_told(folder: Path) -> pl.DataFrame:
    """What the Hub says of models, the newest file's word first: `FIELDS`.

    Raises:
        DataMissing: the folder lacks one of the files.
    """
    rows = [
        *map(_of_2026, _lines(folder, "hub2026_models.jsonl.gz")),
        *map(_of_2025, _lines(folder, "trees2025_models.jsonl.gz")),
        *map(_of_2022, _lines(folder, "hub2022_models.jsonl.gz")),
    ]
    return pl.DataFrame(rows, schema=FIELDS, orient="row").unique(
        "id", keep="first", maintain_order=True
    )


def _of_2026(record: Mapping[str, Any]) -> tuple[Any, ...]:
    languages = record.get("languages") or []
    return (
        record["id"],
        record.get("created_at"),
        record.get("library"),
        _listed(record.get("pipeline_tag")),
        languages,
        record.get("license"),
        free_tags(record.get("tags"), languages),
    )


def _of_2025(record: Mapping[str, Any]) -> tuple[Any, ...]:
    told = record.get("metadata") or {}
    return (
        record["id"],
        told.get("created_at"),
        told.get("library_name"),
        _listed(told.get("pipeline_tag")),
        [],
        _tagged(told.get("tags"), "license:"),
        free_tags(told.get("tags"), []),
    )


def _of_2022(record: Mapping[str, Any]) -> tuple[Any, ...]:
    config = record.get("config") or {}
    kinds = [*(config.get("architectures") or []), *_listed(config.get("model_type"))]
    return (
        record["modelId"],
        None,
        record.get("library_name"),
        _listed(record.get("pipeline_tag")),
        [],
        _tagged(record.get("tags"), "license:"),
        [*free_tags(record.get("tags"), []), *kinds],
    )


def free_tags(tags: Iterable[str] | None, languages: Iterable[str]) -> list[str]:
    """Tags that are neither `kind:value`, which may name the base, nor a language."""
    return [tag for tag in tags or [] if ":" not in tag and tag not in set(languages)]


def _listed(value: str | None) -> list[str]:
    return [value] if value else []


def _tagged(tags: Iterable[str] | None, prefix: str) -> str | None:
    return next((t.removeprefix(prefix) for t in tags or [] if t.startswith(prefix)), None)


def _lines(folder: Path, name: str) -> Iterable[Mapping[str, Any]]:
    with gzip.open(_existing(folder, name), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise DataMissing(f"there is no {path}: --data wants the folder of the real records")
    return path


# --- the tables of the assets --------------------------------------------------------------------


def model_table(lineage: pl.DataFrame, told: pl.DataFrame, with_cards: pl.Series) -> pl.DataFrame:
    """All models: `FIELDS` with `created_at` as a moment, sorted by id.

    Args:
        lineage: from `read_lineage`.
        told: from `read_models_told`.
        with_cards: ids of models with a card.
    """
    ends = pl.concat([lineage["base_id"], lineage["derived_id"], with_cards]).unique()
    first_seen = lineage.group_by(id="derived_id").agg(pl.col("date").min())
    everyone = pl.concat([told.select("id"), ends.to_frame("id")]).unique().sort("id")
    moment = pl.coalesce("created_at", "date").str.slice(0, 10).str.to_date(strict=False)
    return (
        everyone.join(told, on="id", how="left")
        .join(first_seen, on="id", how="left")
        .with_columns(
            pl.col("tasks", "languages", "other_tags").fill_null([]),
            created_at=moment.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").cast(INSTANT),
        )
        .drop("date")
        .sort("id")
    )


def card_table(cards: pl.DataFrame, lineage: pl.DataFrame) -> pl.DataFrame:
    """The cards of models that lineage knows: `id`, `clean`, `as_published`, `base_model`.

    Args:
        cards: `id`, `card`, `labels` of models.
        lineage: from `read_lineage`.
    """
    ends = pl.concat([lineage["base_id"], lineage["derived_id"]]).unique()
    names = sorted(set(cards["labels"].explode().drop_nulls()))
    own = cards.filter(pl.col("id").is_in(ends.implode()))
    parsed = parse_cards(own["card"].to_list(), names)
    return own.select("id", as_published="card").hstack(parsed.select("clean", "base_model"))


def summary_table(folder: Path, lineage: pl.DataFrame, carded: pl.Series) -> pl.DataFrame:
    """Summaries in place of the cards that the data lack, in the columns of `card_table`.

    They are in Spanish, written from the cards by a language model. Like prose of a card they are
    not read by the row `text` where they name a known base.

    Args:
        folder: the real records.
        lineage: from `read_lineage`.
        carded: ids of models with a card.
    """
    ends = pl.concat([lineage["base_id"], lineage["derived_id"]]).unique()
    told = {
        record["id"]: record["resumen_es"]
        for record in _lines(folder, "hub2026_models.jsonl.gz")
        if record.get("resumen_es")
    }
    rows = pl.DataFrame({"id": list(told), "clean": list(told.values())}, schema=_SUMMARY)
    return rows.filter(
        pl.col("id").is_in(ends.implode()) & ~pl.col("id").is_in(carded.implode())
    ).select("id", "clean", as_published="clean", base_model=pl.lit([], pl.List(pl.String())))


_SUMMARY = {"id": pl.String(), "clean": pl.String()}


def measure(
    folder: Path,
    encoder: Encoder,
    store: EmbeddingStore,
    day: date,
    protocols: Iterable[str] = PROTOCOLS,
    options: EmbeddingOptions | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    log: Log = lambda message: None,
) -> pl.DataFrame:
    """The leaderboard of real lineage, as the asset has it.

    Args:
        folder: the real records.
        encoder: makes the vectors that the store lacks.
        store: keeps them.
        day: the snapshot date.
        protocols: which are judged.
        options: how embeddings are trained.
        seeds: of the random draws.
        log: told of progress.

    Raises:
        DataMissing: the folder lacks a file.
    """
    lineage = read_lineage(folder)
    cards = read_cards(folder).filter(kind="model").drop("kind")
    models = model_table(lineage, read_models_told(folder), cards["id"])
    own = card_table(cards, lineage)
    summaries = summary_table(folder, lineage, own["id"])
    documents = pl.concat([own, summaries.select(own.columns)], how="vertical_relaxed").sort("id")
    log(
        f"{lineage.height:,} triples, {models.height:,} models, {own.height:,} cards and "
        f"{summaries.height:,} summaries read"
    )
    triples = split_triples(lineage.select(TRIPLE), models, day, seeds=seeds)
    triples = triples.filter(pl.col("protocol").is_in(list(protocols)))
    facts = model_facts(
        models,
        documents,
        pl.DataFrame(schema={"id": pl.String, "canonical_id": pl.String}),
        lineage["base_id"],
    )
    beginnings = documents["clean"].str.slice(0, TEXT_CHARACTERS)
    vectors = embed(beginnings, encoder, store, log).vectors
    texts = documents.select(
        "id", pl.Series("embedding", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))
    )
    matrices = read_models(facts, texts)
    log("models are matrices")
    ranks: list[pl.DataFrame] = []

    def embeddings(run: Run) -> Loaded:
        known = {}
        for name in EMBEDDINGS:
            made = train_embedding(name, run, options or EmbeddingOptions(), log)
            ranks.append(embedding_ranks(name, run, made and made[0], facts["id"]))
            if made is not None:
                known[name] = made[0]
                log(f"{name}, {run.protocol} {run.seed}: best epoch {made[1].best_epoch}")
        return known

    others, fitted = score_runs(triples, facts, matrices, embeddings, log=log)
    log("weights:\n" + as_markdown(fitted))
    return leaderboard_of(pl.concat([*ranks, others]))


# --- telling -------------------------------------------------------------------------------------


def report(board: pl.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Protocol → method → figures on test triples.

    Args:
        board: from `measure`.
    """
    tested = board.filter(split="test", source="hfkg")
    return {
        protocol: {
            row["model"]: {name: round(row[name], 4) for name in METRICS}
            | {"questions": row["questions"]}
            for row in tested.filter(protocol=protocol).iter_rows(named=True)
        }
        for protocol in tested["protocol"].unique(maintain_order=True)
    }


def main() -> None:
    """Measures all rankers and prints their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real records")
    parser.add_argument("--split", choices=[*PROTOCOLS, "both"], default="both")
    parser.add_argument("--day", type=date.fromisoformat, default=date(2026, 8, 22))
    parser.add_argument("--seeds", type=int, default=3, help="random draws")
    parser.add_argument("--store", type=Path, default=Path("real-cards-vectors"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()

    def log(message: str) -> None:
        print(f"{time.perf_counter() - started:7.0f} s  {message}", file=sys.stderr, flush=True)

    from hfkg_resources.text_encoder import TextEncoder

    encoder = TextEncoder()
    store = EmbeddingStore(options.store, encoder.dimension)
    protocols = PROTOCOLS if options.split == "both" else [options.split]
    try:
        board = measure(
            options.data, encoder, store, options.day, protocols, None, range(options.seeds), log
        )
    except DataMissing as error:
        sys.exit(str(error))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, fmt_str_lengths=40):
        print(in_words(board.filter(split="test")).drop("comparable"))
    result: dict[str, Any] = report(board)
    result |= {"seconds": round(time.perf_counter() - started)}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
