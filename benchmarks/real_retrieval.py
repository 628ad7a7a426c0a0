"""How well search finds what the Hub's own task pages name, among real cards.

    .venv/bin/python benchmarks/real_retrieval.py --data DIR [--cache DIR] [--json FILE]

`DIR` holds `cards.jsonl.gz`, one README a line, `edges.tsv.gz`, one relation a line, `tasks.json`,
the Hub's task pages, and the listings that likes and downloads are read from. Vectors are kept in
the cache by the digest of their text: an interrupted run goes on.

The corpus is the newest card of each model and dataset, read as `feature/document` reads it: front
matter cut off, task names that stand as tags masked. Words of the name are indexed too; declared
tasks are not. Of each text the packaged MiniLM reads the first 256 tokens.

A question is a task of the Hub, asked once by its label ("Text Classification") and once by the
summary of its page, for models and for datasets. Answers are, under `examples`, what the task's
page names as examples, those that have a card (old names without an owner are the same model as
the new ones with one); under `declared`, the cards whose repository declares the task. The task
pages date from 2026, the cards from 2019 to 2025.

Reranking has what the data has: likes and downloads of the newest listing that holds the
repository, lineage, use by Spaces, training on datasets. No likes by user.

Tasks are drawn into two halves. Weights (`reranking.Weights`) were chosen on the validation half,
see `--tune`; the figures are of the test half, and of all.
"""

import argparse
import gzip
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.real_cards import DataMissing, _existing, read_cards
from hfkg_assets.features.embeddings import EmbeddingStore, embed
from hfkg_assets.features.readme import parse_cards
from hfkg_assets.retrieval.evaluation import METRICS, RANKERS, Question, evaluate, means_of
from hfkg_assets.retrieval.facts import FACTS, model_size
from hfkg_assets.retrieval.links import Links, links_of
from hfkg_assets.retrieval.reranking import WEIGHTS, Weights
from hfkg_assets.retrieval.search import DocumentSearch
from hfkg_assets.retrieval.texts import Texts
from hfkg_assets.retrieval.vector_index import VectorIndex
from hfkg_assets.retrieval.word_index import WordIndex
from hfkg_resources.table_schema import schema_of
from hfkg_resources.text_encoder import TextEncoder, file_name

LISTINGS = (  # newest first
    ("hub2026_models.jsonl.gz", "model", "likes", "downloads_30d"),
    ("nexus2025_repos.jsonl.gz", "model", "likes", "downloads"),
    ("datasets2023_index.jsonl.gz", "dataset", None, "downloads"),
    ("hub2022_models.jsonl.gz", "model", "likes", "downloads"),
)
"""File, kind, and its fields of likes and downloads."""

RELATION = {
    "adapter": "model_adapter_model",
    "finetune": "model_finetune_model",
    "merge": "model_merge_model",
    "quantized": "model_quantized_model",
    "trained_or_finetuned_on": "model_trainedOrFineTunedOn_dataset",
}
"""Relations of `edges.tsv.gz` and their names in the graph; `use` is by its object."""

LABEL, SUMMARY = "label", "summary"


def read_corpus(folder: Path) -> pl.DataFrame:
    """The documents: `kind`, `id`, `clean`, `labels`, by kind and id.

    Raises:
        DataMissing: the folder has no cards, or they have no fields.
    """
    cards = read_cards(folder)
    tasks = read_tasks(folder)
    names = set(cards["labels"].explode().drop_nulls())
    names |= {name for task in tasks.values() for name in (task["id"], task["label"])}
    pages = json.loads(_existing(folder, "tasks.json").read_text(encoding="utf-8"))
    names |= {name for id, page in pages["pipelines"].items() for name in (id, page["name"])}
    texts = cards["card"].unique(maintain_order=True)
    parsed = parse_cards(texts.to_list(), sorted(names)).select("clean", card=texts)
    return (
        cards.join(parsed, on="card", how="left").select("kind", "id", "clean", "labels")
        .sort("kind", "id")
    )  # fmt: skip


def read_tasks(folder: Path) -> dict[str, dict[str, Any]]:
    """The task pages, by id."""
    return json.loads(_existing(folder, "tasks.json").read_text(encoding="utf-8"))["tasks"]


def read_edges(folder: Path) -> pl.DataFrame:
    """All relations as they stand: subject and object with their types."""
    path = _existing(folder, "edges.tsv.gz")
    return pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)


def read_popularity(folder: Path) -> pl.DataFrame:
    """`kind`, `id`, `likes`, `downloads` of the newest listing that holds a repository."""
    rows = []
    for name, kind, likes, downloads in LISTINGS:
        if not (folder / name).is_file():
            continue
        with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                own = record.get("kind", kind)
                id = record.get("id") or record["modelId"]
                counts = [record.get(field) or 0 if field else 0 for field in (likes, downloads)]
                rows.append((own, id, *map(int, counts)))
    schema = {"kind": pl.String, "id": pl.String, "likes": pl.Int64, "downloads": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.unique(["kind", "id"], keep="first", maintain_order=True)


def graph_of(edges: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The edges as `graph/node` (`node_id`, `type`, `id`) and `graph/edge`."""
    lineage = pl.col("relation").is_in([r for r in RELATION if r != "trained_or_finetuned_on"])
    use = pl.format("space_use_{}", pl.col("object_type"))
    kept = edges.filter(
        pl.col("relation").is_in(list(RELATION))
        | ((pl.col("relation") == "use") & pl.col("object_type").is_in(["model", "dataset"]))
    ).select(
        lineage.alias("lineage"),
        pl.struct(type="subject_type", id="subject").alias("subject"),
        pl.struct(type="object_type", id="object").alias("object"),
        pl.when(pl.col("relation") == "use")
        .then(use)
        .otherwise(pl.col("relation").replace_strict(RELATION, default=None))
        .alias("relation"),
    )
    ends = pl.when("lineage").then("object").otherwise("subject")  # the base is the graph's subject
    others = pl.when("lineage").then("subject").otherwise("object")
    pairs = kept.select("relation", source=ends, target=others).unique()
    nodes = pl.concat([pairs["source"], pairs["target"]]).unique().sort().to_frame("node")
    number = nodes.with_row_index("node_id").cast({"node_id": pl.Int64})
    for end in ("source", "target"):
        numbered = number.rename({"node": end, "node_id": f"{end}_id"})
        pairs = pairs.join(numbered, on=end).drop(end).rename({f"{end}_id": end})
    return number.unnest("node"), pairs.select("source", "target", "relation")


def open_search(
    folder: Path, corpus: pl.DataFrame, vectors: np.ndarray, encoder: TextEncoder
) -> DocumentSearch:
    """Search over the corpus, as `DocumentSearch.open` would make it of a snapshot."""
    node, edge = graph_of(read_edges(folder))
    facts = (
        corpus.join(read_popularity(folder), on=["kind", "id"], how="left", maintain_order="left")
        .join(node.rename({"type": "kind"}), on=["kind", "id"], how="left", maintain_order="left")
        .with_columns(
            tasks="labels",
            size=pl.when(pl.col("kind") == "model").then(model_size(pl.col("id"))),
            likes=pl.col("likes").fill_null(0),
            downloads=pl.col("downloads").fill_null(0),
        )
    )
    schema = schema_of(FACTS)
    missing = {
        n: pl.lit(None, dtype=t).alias(n) for n, t in schema.items() if n not in facts.columns
    }
    return DocumentSearch(
        "real cards",
        facts=facts.with_columns(**missing).select(schema.names()),
        labels={id: page["label"] for id, page in read_tasks(folder).items()},
        words=WordIndex.build(corpus["clean"], corpus["id"]),
        vectors=VectorIndex(vectors, encoder.identity),
        texts=Texts.build(corpus["clean"]),
        links=Links.load(links_of(edge.lazy()), node.height),
        names=node["id"],
        encoder=encoder,
    )


def questions_of(folder: Path, corpus: pl.DataFrame) -> list[Question]:
    """Every task asked by label and by summary, under both protocols, where there are answers."""
    tasks = read_tasks(folder)
    rows = corpus.select("kind", "id", "labels").with_row_index("row")
    edges = read_edges(folder)
    named = edges.filter(relation="example").select(task="subject", kind="object_type", id="object")
    bare = named.with_columns(pl.col("id").str.split("/").list.last())
    examples = pl.concat([named, bare]).unique().join(rows.drop("labels"), on=["kind", "id"])
    declared = rows.explode("labels").rename({"labels": "task"}).drop_nulls("task")
    questions = []
    for protocol, answers in (("examples", examples), ("declared", declared)):
        grouped = answers.group_by("task", "kind").agg(pl.col("row").unique().sort())
        for task, kind, relevant in grouped.sort("task", "kind").iter_rows():
            page = tasks.get(task)
            if page is None:
                continue
            for form, text in ((LABEL, page["label"]), (SUMMARY, page.get("summary"))):
                if text:
                    found = np.array(relevant, np.int64)
                    questions.append(Question(f"{protocol}, {form}", task, text, kind, found))
    return questions


def halves(questions: Sequence[Question]) -> dict[str, list[Question]]:
    """The questions of two halves of the tasks, drawn at random: `validation` and `test`."""
    tasks = sorted({question.name for question in questions})
    drawn = np.random.default_rng(7).permutation(len(tasks))
    validation = {tasks[i] for i in drawn[: len(tasks) // 2]}
    return {
        "validation": [q for q in questions if q.name in validation],
        "test": [q for q in questions if q.name not in validation],
    }


def candidates() -> Iterator[Weights]:
    """The weights that are tried: what the graph is worth, on an even grid."""
    grid: Mapping[str, Sequence[float]] = {
        "popularity": (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
        "use": (0.0, 0.05, 0.1, 0.2),
        "derived": (1.0, 0.97, 0.9, 0.8),
    }
    for values in itertools.product(*grid.values()):
        yield replace(WEIGHTS, **dict(zip(grid, values, strict=True)))


def tune(search: DocumentSearch, questions: Sequence[Question]) -> pl.DataFrame:
    """The mean over protocols of nDCG@10 on some questions, for each candidate, best first."""
    rows = []
    for weights in candidates():
        search.weights = weights
        means = means_of(evaluate(search, questions))
        told = means.filter(kind="all", method="reranked")["ndcg_at_10"].mean()
        rows.append({"ndcg_at_10": told, **vars(weights)})
    search.weights = WEIGHTS
    return pl.DataFrame(rows).sort("ndcg_at_10", descending=True)


def as_markdown(means: pl.DataFrame) -> str:
    """Means as a table."""
    lines = [
        "| protocol | kind | questions | method "
        "| R@1 | R@5 | R@10 | R@20 | R@100 | MRR | nDCG@10 |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in means.iter_rows(named=True):
        figures = " | ".join(f"{row[name]:.3f}" for name in METRICS)
        named = " | ".join(str(row[name]) for name in ("protocol", "kind", "questions", "method"))
        lines.append(f"| {named} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    """Asks every question by every method and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with cards.jsonl.gz")
    parser.add_argument("--cache", type=Path, default=Path("data/.embeddings"))
    parser.add_argument("--tune", action="store_true", help="try weights on the validation half")
    parser.add_argument("--json", type=Path, help="write the means there too")
    options = parser.parse_args()

    def log(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    started = time.perf_counter()
    try:
        corpus = read_corpus(options.data)
        questions = questions_of(options.data, corpus)
    except DataMissing as error:
        parser.exit(2, f"{error}\n")
    log(f"{corpus.height:,} cards read in {time.perf_counter() - started:.0f} s")
    encoder = TextEncoder(backend="auto", converted=str(options.cache / "converted"))
    store = EmbeddingStore(options.cache / file_name(encoder.identity), encoder.dimension)
    embedded = embed(corpus["clean"], encoder, store, log)
    log(f"{embedded.encoded:,} texts embedded, {embedded.reused:,} found in the cache")
    search = open_search(options.data, corpus, embedded.vectors, encoder)
    parts = halves(questions)
    if options.tune:
        with pl.Config(tbl_rows=20, tbl_cols=-1):
            print(tune(search, parts["validation"]))
    scores = {name: evaluate(search, asked) for name, asked in parts.items()}
    means = means_of(pl.concat(scores.values()))
    tested = means_of(scores["test"])
    print(f"{corpus.height:,} cards, {len({q.name for q in questions})} tasks; all tasks\n")
    print(as_markdown(means))
    print("\nTest half of the tasks\n")
    print(as_markdown(tested.filter(kind="all")))
    if options.json:
        told = {"all": means.to_dicts(), "test": tested.to_dicts()}
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    last = means.filter(kind="all", protocol=f"examples, {LABEL}")
    print(
        "\n"
        + json.dumps(
            {
                method: {
                    name: round(last.filter(method=method)[name].item(), 4)
                    for name in ("recall_at_10", "mrr")
                }
                for method in RANKERS
            }
        )
    )


if __name__ == "__main__":
    main()
