"""How well hfkg tells the tasks of real cards: text alone, with BM25, with the graph, and the leak.

    .venv/bin/python benchmarks/real_cards.py --data DIR [--test-data DIR] [--store DIR]
        [--splits 5] [--networks 3] [--lines NAME ...] [--json FILE]

`DIR` holds `cards.jsonl.gz`, one README a line with `kind`, `id`, `date`, `card`, `labels`, and
`edges.tsv.gz`, one relation a line. Vectors of texts are kept in the store and found there again.

Records are the labelled cards of models and datasets, the newest of each id, whose body, front
matter cut off, has 50 characters at least. Model classes are the `pipeline_tag`s of 100 records
and more (14 in the data of `benchmarks/README.md`), dataset labels the `task_categories` of 40 and
more (22). A model has one class: the most probable is taken, and accuracy and macro-F1 over the
classes are told. A dataset has one label or several: told are the most probable one and all above
a threshold that is best on the validation records, and micro-F1 and macro-F1.

Owners are kept apart: a fifth of them, drawn at random, is tested on, 15 % of
the others are for validation, an owner of both kinds is on one side. A repository without an owner
in its id was given by many hands and is an owner of its own. With `--test-data` the test records
are the other folder's, of owners that the first has no record of; classes and labels are the first
folder's. Test records' labels are never read before they are judged: words are learnt from
training and validation records, each of which is scored by classifiers that saw no other record of
its owner; networks learn from training records and stop by validation records.

Edges are lineage between models and "trained or fine-tuned on" between models and datasets. Some
were read from cards (`datasets:`, `base_model:`): these fields are what the Hub's own tags hold,
structured facts of a repository and not its prose. `defined_for` edges are the labels and are not
read. Repositories at the other end of a record's edges are nodes too, without text or label.

Lines: `words` are the word classifiers alone, `text` is the mean of their probabilities and those
of an MLP that has their scores and the embedding as input; with a network's name, of that network
in its place; `text + graph` of the four that are named before it. `leak` reads the README as it is
published. The line whose validation figures are the highest is told as the best.

The floor is the plain way on the same records and splits: TF-IDF of words and pairs (sublinear)
with a linear SVM, which also learns from the validation records, for it has no other use of them.
Words of `clean` are those that the product reads: of prose and code, task names taken out.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hfkg_assets.classification.labels import multi_hot
from hfkg_assets.classification.metrics import count
from hfkg_assets.classification.splits import SPLITS
from hfkg_assets.classification.term_classifier import ABSENT, Corpus, read_corpus, stacked_scores
from hfkg_assets.classification.term_scores import words_of
from hfkg_assets.classification.training import TrainingOptions, train_network
from hfkg_assets.classification.training_data import TrainingData, prepare
from hfkg_assets.features.bm25 import bm25_scores
from hfkg_assets.features.embeddings import EmbeddingStore, Encoder, embed
from hfkg_assets.features.readme import parse_cards, split_front_matter

KINDS = ("dataset", "model")
FEWEST_CHARACTERS = 50
FEWEST_RECORDS = {"model": 100, "dataset": 40}
NO_CARD = "Error: the path 'README.md' does not exist"
"""How one of the origins writes that there is none."""

VARIANTS = ("body", "clean", "as_published")

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15
"""Of all owners, and of those that are left."""

THRESHOLDS = 200
"""How many are tried."""

PROTOCOL = "family"
"""Under which `prepare` shows all texts and edges, as befits a split by owner."""

RELATION = {
    "adapter": "model_adapter_model",
    "finetune": "model_finetune_model",
    "merge": "model_merge_model",
    "quantized": "model_quantized_model",
    "base_model": "model_finetune_model",  # of unknown kind: most are
    "trained_or_finetuned_on": "model_trainedOrFineTunedOn_dataset",
}
"""Relations of `edges.tsv.gz` that carry messages, and their names in the graph."""

FIGURES = ("model_accuracy", "model_macro_f1", "dataset_micro_f1", "dataset_macro_f1")
MEASURED_BEFORE = dict(zip(FIGURES, (0.848, 0.739, 0.612, 0.345), strict=True))
"""What was measured before by the floor's method; how owners were split is not on record."""

Log = Callable[[str], None]


class DataMissing(Exception):
    """A folder that is not of the form that is needed."""


# --- reading -------------------------------------------------------------------------------------


def read_cards(folder: Path) -> pl.DataFrame:
    """The newest card of each model and dataset: `kind`, `id`, `card`, `labels`, by kind and id.

    Raises:
        DataMissing: the folder has no such file, or a line lacks a field.
    """
    path = _existing(folder, "cards.jsonl.gz")
    fields = ("kind", "id", "date", "card", "labels")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        cards = (json.loads(line) for line in lines)
        try:
            rows = [[card[name] for name in fields] for card in cards if card["kind"] in KINDS]
        except KeyError as error:
            raise DataMissing(f"{path}: a line has no field {error}") from None
    types = (pl.String, pl.String, pl.String, pl.String, pl.List(pl.String))
    schema = dict(zip(fields, types, strict=True))
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .filter(~pl.col("card").str.starts_with(NO_CARD), pl.col("card").str.strip_chars() != "")
        .sort("kind", "id", "date")
        .unique(["kind", "id"], keep="last", maintain_order=True)
        .drop("date")
    )


def read_edges(folder: Path) -> pl.DataFrame:
    """The edges that carry messages, each once: kind and id of both ends, `relation`.

    The subject is the base of lineage, as in the graph.

    Raises:
        DataMissing: the folder has no such file.
    """
    path = _existing(folder, "edges.tsv.gz")
    edges = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    edges = edges.filter(
        pl.col("relation").is_in(list(RELATION)),
        pl.col("subject_type").is_in(KINDS),
        pl.col("object_type").is_in(KINDS),
    )
    lineage = pl.col("relation") != "trained_or_finetuned_on"

    def end(of_lineage: str, otherwise: str) -> pl.Expr:
        return pl.when(lineage).then(of_lineage).otherwise(otherwise)

    return (
        edges.select(
            source_kind=end("object_type", "subject_type"),
            source_id=end("object", "subject"),
            target_kind=end("subject_type", "object_type"),
            target_id=end("subject", "object"),
            relation=pl.col("relation").replace_strict(RELATION),
        )
        .unique()
        .sort(pl.all())
    )


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise DataMissing(
            f"there is no {path}: --data wants a folder with cards.jsonl.gz and edges.tsv.gz"
        )
    return path


def bodies(cards: pl.Series) -> pl.Series:
    """READMEs without their front matter, and otherwise as they are."""
    texts = (card.replace("\r\n", "\n").replace("\r", "\n") for card in cards)
    return pl.Series("body", [split_front_matter(text).body for text in texts], dtype=pl.String)


# --- the records and what is around them ---------------------------------------------------------


@dataclass(frozen=True)
class Cards:
    """Records and the repositories around them, as documents of one graph.

    Attributes:
        documents: `kind`, `id`, `owner`, `labels` (columns; null where it is no record), `held_out`
            (whether only for testing), `body`, `clean`, `as_published`; by kind and id, which is
            how nodes are numbered.
        edges: `source`, `target` (rows of `documents`), `relation`.
        tasks: the names of labels.
        classes: kind → columns of its labels.
    """

    documents: pl.DataFrame
    edges: pl.DataFrame
    tasks: list[str]
    classes: dict[str, np.ndarray]

    @cached_property
    def y(self) -> np.ndarray:
        """Zeros and ones [documents, tasks]."""
        return multi_hot(self.documents["labels"], len(self.tasks))

    @cached_property
    def owner(self) -> np.ndarray:
        """Owner number of each document, int64 [documents]."""
        return self.documents["owner"].rank("dense").to_numpy().astype(np.int64) - 1

    def rows(self, kind: str) -> np.ndarray:
        """Which documents are of a kind, bool [documents]."""
        return (self.documents["kind"] == kind).to_numpy()

    @cached_property
    def records(self) -> np.ndarray:
        """Which documents are records, bool [documents]."""
        return self.documents["labels"].is_not_null().to_numpy()


def load(data: Path, test_data: Path | None = None) -> Cards:
    """Reads the records of a folder, and of another those of owners that the first does not have.

    Raises:
        DataMissing: a folder lacks a file, or the first has too few records for any class.
    """
    folders = [data] if test_data is None else [data, test_data]
    cards = pl.concat(
        read_cards(folder).with_columns(held_out=pl.lit(number > 0))
        for number, folder in enumerate(folders)
    ).unique(["kind", "id"], keep="first", maintain_order=True)
    cards = cards.with_columns(bodies(cards["card"]), owner=owner_of("kind", "id"))
    candidates = cards.filter(
        pl.col("labels").list.len() > 0,
        pl.col("body").str.strip_chars().str.len_chars() >= FEWEST_CHARACTERS,
    )
    known = candidates.filter(~pl.col("held_out"))
    candidates = candidates.filter(
        ~pl.col("held_out") | ~pl.col("owner").is_in(known["owner"].unique().implode())
    )
    names = {
        kind: frequent_labels(known.filter(pl.col("kind") == kind)["labels"], fewest)
        for kind, fewest in FEWEST_RECORDS.items()
    }
    for kind, found in names.items():
        if not found:
            raise DataMissing(
                f"{data}: no label stands in {FEWEST_RECORDS[kind]} {kind} cards with text"
            )
    tasks = sorted({name for found in names.values() for name in found})
    index = {name: column for column, name in enumerate(tasks)}
    records = pl.concat(
        candidates.filter(pl.col("kind") == kind)
        .with_columns(pl.col("labels").list.set_intersection(found))
        .filter(pl.col("labels").list.len().is_between(1, 1 if kind == "model" else len(found)))
        for kind, found in names.items()
    ).with_columns(
        pl.col("labels").list.eval(pl.element().replace_strict(index, return_dtype=pl.Int64))
    )
    edges = pl.concat(map(read_edges, folders)).unique().sort(pl.all())
    documents, numbered = _with_neighbours(records, edges)
    return Cards(
        documents=_with_clean(documents, sorted(set(cards["labels"].explode().drop_nulls()))),
        edges=numbered,
        tasks=tasks,
        classes={k: np.array([index[n] for n in sorted(names[k])]) for k in KINDS},
    )


def owner_of(kind: str, name: str) -> pl.Expr:
    """The owner in an id; where there is none, the repository itself."""
    own = pl.format("{}:{}", kind, name)
    has_owner = pl.col(name).str.contains("/", literal=True)
    return pl.when(has_owner).then(pl.col(name).str.split("/").list.first()).otherwise(own)


def frequent_labels(labels: pl.Series, fewest: int) -> list[str]:
    """Labels of so many rows at least, by name."""
    counts = labels.list.unique().explode().drop_nulls().value_counts()
    return sorted(counts.filter(pl.col("count") >= fewest)["labels"])


def _with_neighbours(
    records: pl.DataFrame, edges: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The records and the other ends of their edges; and the edges, by rows."""
    key = ["kind", "id"]
    ends = {end: edges.select(kind=f"{end}_kind", id=f"{end}_id") for end in ("source", "target")}
    touched = [
        ends[end].with_row_index("edge").join(records, on=key, how="semi")["edge"] for end in ends
    ]
    near = edges[pl.concat(touched).unique().sort()]
    around = pl.concat(near.select(kind=f"{end}_kind", id=f"{end}_id") for end in ends).unique()
    context = around.join(records, on=key, how="anti").with_columns(owner=owner_of(*key))
    documents = pl.concat([records, context], how="diagonal").sort(key)
    number = documents.select(*key).with_row_index("node").cast({"node": pl.Int64})
    joined = near
    for end in ends:
        joined = joined.join(
            number.rename({"node": end}),
            left_on=[f"{end}_kind", f"{end}_id"],
            right_on=key,
            maintain_order="left",
        )
    return documents, joined.select("source", "target", "relation")


def _with_clean(documents: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Adds the clean text of each card; task names are those that stand as labels anywhere."""
    texts = documents["card"].drop_nulls().unique(maintain_order=True)
    parsed = parse_cards(texts.to_list(), names).select("clean", "code", card=texts)
    return (
        documents.join(parsed, on="card", how="left")
        .rename({"card": "as_published"})
        .sort("kind", "id")
    )


# --- splits --------------------------------------------------------------------------------------


def split_by_owner(cards: Cards, seed: int) -> np.ndarray:
    """The split of each document, empty where it is no record; str [documents]."""
    documents = cards.documents
    held_out = documents["held_out"].fill_null(False).to_numpy()
    side: dict[int, str] = {}
    for kind in ("model", "dataset"):  # an owner of both is where their models are
        rows = cards.rows(kind) & cards.records & ~held_out
        owners = np.array([o for o in np.unique(cards.owner[rows]) if o not in side], dtype=int)
        if len(owners):
            rest, test = train_test_split(owners, test_size=TEST_SHARE, random_state=seed)
            train, validation = train_test_split(
                np.sort(rest), test_size=VALIDATION_SHARE, random_state=seed
            )
            for name, part in zip(SPLITS, (train, validation, test), strict=True):
                side.update(dict.fromkeys(part.tolist(), name))
    if held_out.any():
        side = {owner: "train" if name == "test" else name for owner, name in side.items()}
    split = np.array([side.get(owner, "") for owner in cards.owner.tolist()])
    split[held_out] = "test"
    split[~cards.records] = ""
    return split


# --- features ------------------------------------------------------------------------------------


@dataclass
class Features:
    """What a text variant says of each document, by part.

    Attributes:
        cards: of whom.
        variant: which text.
        encoder, store: for the embedding.
        log: told of progress.
    """

    cards: Cards
    variant: str
    encoder: Encoder
    store: EmbeddingStore
    log: Log
    _terms: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def texts(self) -> pl.Series:
        """The texts of all documents; null where there is none."""
        return self.cards.documents[self.variant]

    @cached_property
    def embedding(self) -> np.ndarray:
        """Vectors, float32 [documents, dimension]."""
        return embed(self.texts, self.encoder, self.store, self.log).vectors

    @cached_property
    def bm25(self) -> np.ndarray:
        """BM25 of the texts against the names of the labels, float32 [documents, tasks]."""
        return bm25_scores(self.texts, self.cards.tasks)

    @cached_property
    def read(self) -> pl.Series:
        """The texts whose words are read, as the product reads them; null where there is none."""
        return self.cards.documents.select(words_of(self.variant)).to_series()

    @cached_property
    def corpora(self) -> dict[str, Corpus]:
        """The words of each kind's texts."""
        return {kind: read_corpus(self.read.filter(self.cards.rows(kind))) for kind in KINDS}

    def terms(self, split: np.ndarray, seed: int) -> np.ndarray:
        """Word scores of each kind's documents for its own labels, float32 [documents, tasks].

        Training and validation records are scored out of fold by owner.
        """
        if seed not in self._terms:
            cards = self.cards
            filled = self.read.str.strip_chars().fill_null("") != ""
            scores = np.full(cards.y.shape, ABSENT, np.float32) * filled.to_numpy()[:, None]
            for kind, corpus in self.corpora.items():
                rows, columns = np.flatnonzero(cards.rows(kind)), cards.classes[kind]
                own = np.ix_(rows, columns)
                learnt = np.isin(split[rows], ("train", "validation"))
                groups = cards.owner[rows]
                stacked = stacked_scores(corpus, cards.y[own], learnt, groups, seed=seed)
                scores[own] = stacked.scores
            self._terms[seed] = scores
        return self._terms[seed]


# --- judging -------------------------------------------------------------------------------------


def figures(
    cards: Cards, split: np.ndarray, scores: np.ndarray, name: str = "test"
) -> dict[str, float]:
    """The four figures of a split's records.

    Args:
        cards: whose labels are the truth.
        split: of each document.
        scores: zero or more [documents, tasks]; those of validation and the judged split are read.
        name: the judged split.
    """
    result = {}
    for kind, columns in cards.classes.items():
        rows = {n: np.ix_(cards.rows(kind) & (split == n), columns) for n in ("validation", name)}
        truth, told = cards.y[rows[name]], scores[rows[name]]
        if kind == "model":
            best = np.eye(len(columns))[told.argmax(axis=1)]
            hits = count(truth, best, 0.5)
            result["model_accuracy"] = float(hits.hits.sum() / len(truth))
            result["model_macro_f1"] = hits.macro_f1()
        else:
            validation = rows["validation"]
            threshold = best_threshold(cards.y[validation], scores[validation])
            hits = count(truth, with_most_probable(told, threshold), 0.5)
            result["dataset_micro_f1"] = hits.micro_f1()
            result["dataset_macro_f1"] = hits.macro_f1()
    return result


def with_most_probable(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Labels above a threshold, and each row's most probable one: zeros and ones, as `scores`."""
    told = scores > threshold
    told[np.arange(len(told)), scores.argmax(axis=1)] = True
    return told.astype(np.float64)


def best_threshold(truth: np.ndarray, scores: np.ndarray) -> float:
    """The threshold for all labels with the greatest micro-F1 besides the most probable ones."""
    candidates = np.quantile(scores, np.linspace(0.5, 1.0, THRESHOLDS))
    f1 = [count(truth, with_most_probable(scores, t), 0.5).micro_f1() for t in candidates]
    return float(candidates[int(np.argmax(f1))])


def floor(
    cards: Cards, corpora: Mapping[str, Corpus], split: np.ndarray, *, one_at_least: bool
) -> dict[str, float]:
    """The figures of TF-IDF with a linear SVM, as scikit-learn has them.

    Args:
        cards: the records.
        corpora: the words of each kind's texts.
        split: of each document.
        one_at_least: whether a dataset has its most probable label, too, if that is below zero.
    """
    result = {}
    for kind, columns in cards.classes.items():
        rows = np.flatnonzero(cards.rows(kind))
        y = cards.y[np.ix_(rows, columns)]
        learnt, judged = np.isin(split[rows], ("train", "validation")), split[rows] == "test"
        counts = corpora[kind].counts
        known = counts[:, np.bincount(counts[learnt].indices, minlength=counts.shape[1]) > 1]
        weigh = TfidfTransformer(sublinear_tf=True).fit(known[learnt])
        x, asked = weigh.transform(known[learnt]), weigh.transform(known[judged])
        if kind == "model":
            told = LinearSVC(random_state=0).fit(x, y[learnt].argmax(1)).predict(asked)
            predicted = np.eye(len(columns))[told]
        else:
            far = np.full((judged.sum(), len(columns)), -np.inf)
            for column in np.flatnonzero(y[learnt].any(0)):
                svm = LinearSVC(random_state=0).fit(x, y[learnt, column])
                far[:, column] = svm.decision_function(asked)
            predicted = with_most_probable(far, 0.0) if one_at_least else far > 0
        hits = count(y[judged], predicted, 0.5)
        if kind == "model":
            result |= {
                "model_accuracy": hits.hits.sum() / judged.sum(),
                "model_macro_f1": hits.macro_f1(),
            }
        else:
            result |= {"dataset_micro_f1": hits.micro_f1(), "dataset_macro_f1": hits.macro_f1()}
    return result


# --- the graph -----------------------------------------------------------------------------------


def training_data(
    cards: Cards, split: np.ndarray, x: np.ndarray, terms: np.ndarray | None = None
) -> TrainingData:
    """What the product's learners take, of features and word scores of one split.

    Args:
        cards: whose documents and edges are taken.
        split: of each document.
        x: float32 [documents, columns].
        terms: float32 [documents, tasks].
    """
    undated = pl.lit(None, pl.Datetime("us", "UTC"))
    nodes = cards.documents.select("kind", "id", created_at=undated, text_at=undated)
    nodes = nodes.with_row_index("node")
    key = nodes.select("kind", "id", variant=pl.lit(""), protocol=pl.lit(PROTOCOL))
    features = pl.Series("features", x, dtype=pl.Array(pl.Float32, x.shape[1]))
    words = None if terms is None else key.with_columns(scores=pl.Series(terms).arr.to_list())
    return prepare(
        nodes,
        cards.edges,
        key.with_columns(features),
        cards.documents.select("kind", "id", "labels").filter(cards.records),
        key.with_columns(split=pl.Series(split)).filter(pl.col("split") != ""),
        tasks=len(cards.tasks),
        protocol=PROTOCOL,
        variant="",
        day=date(2026, 1, 1),
        term_scores=words,
    )


def trained(cards: Cards, data: TrainingData, learner: str, seeds: Sequence[int]) -> np.ndarray:
    """Mean probabilities of networks of several seeds, float64 [documents, tasks].

    Zero where a document is neither of validation nor of test.
    """
    scores = np.zeros(cards.y.shape)
    for seed in seeds:
        network = train_network(learner, data, TrainingOptions(), seed)
        for name, values in network.scores.items():
            scores[data.masks[name].numpy()] += values / len(seeds)
    return scores


# --- lines ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One way to tell the tasks.

    Attributes:
        variant: the text: `body` and `clean` hold no front matter, `as_published` holds the leak.
        parts: of the features, out of `embedding`, `bm25` and `terms`.
        learners: networks by name, of which the mean is taken; none for a floor.
        words: the share that the word classifier's own probability has in the mean with theirs.
        one_at_least: whether a floor tells the most probable label of a dataset at any rate.
    """

    variant: str
    parts: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()
    words: float = 0.0
    one_at_least: bool = False


TEXT, HALF = ("embedding", "terms"), 0.5
GRAPH = ("gcn", "sage", "gat", "transformer")
LINES = {
    "floor, front matter cut off": Line("body"),
    "the same, one label at least": Line("body", one_at_least=True),
    "floor, clean text": Line("clean"),
    "words": Line("clean", ("terms",), words=1.0),
    "embedding": Line("clean", ("embedding",), ("mlp",)),
    "text": Line("clean", TEXT, ("mlp",), HALF),
    "text + BM25": Line("clean", (*TEXT, "bm25"), ("mlp",), HALF),
    **{f"text + {name}": Line("clean", TEXT, (name,), HALF) for name in (*GRAPH, "rgcn")},
    "text + graph": Line("clean", TEXT, GRAPH, HALF),
    "leak: words": Line("as_published", ("terms",), words=1.0),
    "leak: text": Line("as_published", TEXT, ("mlp",), HALF),
}


@dataclass
class Scorer:
    """Scores of lines on one split; lines that differ after the network share it.

    Attributes:
        features: by text variant.
        split: of each document.
        seed: of the split, and of the folds of words.
        networks: of how many the mean is taken.
    """

    features: Mapping[str, Features]
    split: np.ndarray
    seed: int
    networks: int
    _trained: dict[object, np.ndarray] = field(default_factory=dict)

    def __call__(self, line: Line) -> np.ndarray:
        """Scores from 0 to 1 [documents, tasks], of a line that is no floor."""
        features = self.features[line.variant]
        # The distance of 1 that the hinge loss asks for is as good as sure.
        terms = features.terms(self.split, self.seed).astype(np.float64) if line.words else 0.0
        scores = line.words / (1 + np.exp(-2 * terms)) * np.ones(features.cards.y.shape)
        for learner in line.learners:
            share = (1 - line.words) / len(line.learners)
            scores += share * self._network(line, learner, features)
        return scores

    def _network(self, line: Line, learner: str, features: Features) -> np.ndarray:
        key = (line.variant, line.parts, learner)
        if key not in self._trained:
            terms = features.terms(self.split, self.seed) if "terms" in line.parts else None
            parts = {"embedding": lambda: features.embedding, "bm25": lambda: features.bm25}
            x = np.hstack([make() for name, make in parts.items() if name in line.parts])
            data = training_data(features.cards, self.split, np.ascontiguousarray(x), terms)
            self._trained[key] = trained(features.cards, data, learner, range(self.networks))
        return self._trained[key]


def measure(
    cards: Cards,
    lines: Mapping[str, Line],
    encoder: Encoder,
    store: EmbeddingStore,
    splits: int,
    networks: int,
    log: Log,
) -> pl.DataFrame:
    """Figures of each line on each split: `line`, `seed`, `judged`, the figures, `seconds`.

    Args:
        cards: the records.
        lines: what is measured, by name.
        encoder, store: for the embedding.
        splits: how often owners are split.
        networks: of how many the mean is taken.
        log: told of each line.
    """
    features = {name: Features(cards, name, encoder, store, log) for name in VARIANTS}
    rows = []
    for seed in range(splits):
        split = split_by_owner(cards, seed)
        score = Scorer(features, split, seed, networks)
        for name, line in lines.items():
            started = time.perf_counter()
            if not line.parts:
                corpora = features[line.variant].corpora
                told = {"test": floor(cards, corpora, split, one_at_least=line.one_at_least)}
            else:
                scores = score(line)
                told = {part: figures(cards, split, scores, part) for part in SPLITS[1:]}
            seconds = time.perf_counter() - started
            rows += [
                {"line": name, "seed": seed, "judged": part, **values, "seconds": seconds}
                for part, values in told.items()
            ]
            log(f"split {seed + 1} of {splits}, {name}: {shown(told['test'])}, {seconds:.0f} s")
    return pl.DataFrame(rows)


def shown(values: Mapping[str, float]) -> str:
    """Figures in words."""
    return ", ".join(f"{name.replace('_', ' ')} {values[name]:.3f}" for name in FIGURES)


def summary(measured: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation over splits by line and judged split, in the order of lines."""
    return measured.group_by("line", "judged", maintain_order=True).agg(
        pl.col(*FIGURES).mean(),
        pl.col(*FIGURES).std(ddof=0).name.suffix("_sd"),
        pl.col("seconds").mean(),
    )


def best(summarised: pl.DataFrame, leak: bool) -> dict[str, float] | None:
    """The test figures of the line whose validation figures are the highest on the whole."""
    own = summarised.filter(pl.col("line").str.starts_with("leak") == leak)
    validation = own.filter(pl.col("judged") == "validation")
    if validation.is_empty():
        return None
    line = validation.sort(pl.sum_horizontal(FIGURES), maintain_order=True)["line"][-1]
    return own.filter(pl.col("line") == line, pl.col("judged") == "test").row(0, named=True)


def print_table(summarised: pl.DataFrame) -> None:
    """The test figures as a table in Markdown."""
    print("| " + " | ".join(["line", *(name.replace("_", " ") for name in FIGURES)]) + " |")
    print("| --- |" + " ---: |" * len(FIGURES))
    print("| measured before | " + " | ".join(f"{v:.3f}" for v in MEASURED_BEFORE.values()) + " |")
    for row in summarised.filter(pl.col("judged") == "test").iter_rows(named=True):
        cells = (f"{row[name]:.3f} ± {row[f'{name}_sd']:.3f}" for name in FIGURES)
        print(f"| {row['line']} | " + " | ".join(cells) + " |")


def report(cards: Cards, measured: pl.DataFrame) -> dict[str, object]:
    """All figures as one JSON object."""
    summarised = summary(measured)
    result: dict[str, object] = {}
    for prefix, leak in (("", False), ("leak_", True)):
        if (chosen := best(summarised, leak)) is not None:
            result[f"{prefix}line"] = chosen["line"]
            result |= {f"{prefix}{name}": round(chosen[name], 4) for name in FIGURES}
    counts = {
        kind: {
            "records": int((cards.rows(kind) & cards.records).sum()),
            "owners": len(np.unique(cards.owner[cards.rows(kind) & cards.records])),
            "labels": len(cards.classes[kind]),
        }
        for kind in KINDS
    }
    return result | {
        "counts": counts | {"nodes": cards.documents.height, "edges": cards.edges.height},
        "lines": summarised.to_dicts(),
    }


def main() -> None:
    """Measures all lines and prints their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="cards.jsonl.gz, edges.tsv.gz")
    parser.add_argument("--test-data", type=Path, help="a folder whose other owners are tested on")
    parser.add_argument("--store", type=Path, default=Path("real-cards-vectors"))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--lines", nargs="+", choices=LINES, default=list(LINES), metavar="NAME")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()

    def log(message: str) -> None:
        print(f"{time.perf_counter() - started:7.0f} s  {message}", file=sys.stderr, flush=True)

    try:
        cards = load(options.data, options.test_data)
    except DataMissing as error:
        sys.exit(str(error))
    log(f"{cards.records.sum():,} records, {cards.documents.height:,} nodes read")
    from hfkg_resources.text_encoder import TextEncoder

    encoder = TextEncoder()
    store = EmbeddingStore(options.store, encoder.dimension)
    lines = {name: LINES[name] for name in options.lines}
    measured = measure(cards, lines, encoder, store, options.splits, options.networks, log)
    print_table(summary(measured))
    result = report(cards, measured) | {"seconds": round(time.perf_counter() - started)}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
