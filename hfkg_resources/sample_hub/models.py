"""Models of the sample world: who derives from whom, and what follows from that.

Belongs here: lineage, tasks, names, training data and tags of models. Does not: what all kinds of
repository share (`repositories`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast, words
from hfkg_resources.sample_hub.drawing import (
    draw,
    draw_evenly,
    earlier,
    evenly,
    gathered,
    generator,
)
from hfkg_resources.sample_hub.file_names import model_files
from hfkg_resources.sample_hub.people import Crowd
from hfkg_resources.sample_hub.repositories import (
    LABELLED,
    born,
    draw_appearance,
    draw_citations,
    draw_extra_tasks,
    draw_identities,
    each_tagged,
    finished,
    misspelt,
    planted_repositories,
    tag_list,
    tagged,
    template_citation,
    written,
)
from hfkg_resources.table_schema import STRINGS

RELATIONS = {"adapter": 0.474, "finetune": 0.326, "merge": 0.061, "quantized": 0.139}
DERIVED = 0.285
"""Share of models with a base."""
UNTYPED = 0.03
"""Share of those that name their base without the relation to it."""
_TASK_STRIDE = 2**43
"""More than any date: in a sorted key of task and date it keeps tasks apart."""


def make_models(
    seed: int, repositories: int, crowd: Crowd, papers: pl.DataFrame, datasets: pl.DataFrame
) -> pl.DataFrame:
    """All models; columns as in `Population.repositories`."""
    rng = generator(seed, "models")
    nothing = pl.lit([], dtype=STRINGS)
    planted = planted_repositories(cast.MODELS).with_columns(
        pl.col("bases", "datasets").fill_null(nothing), pipeline_tag="topic"
    )
    life = born(rng, "model", repositories, crowd)
    created, size = life["created"].to_numpy(), life.height
    lineage = _lineage(rng, created, planted.height)
    topic = _topics(rng, lineage, planted["topic"], size)
    labelled = pl.Series(evenly(size, LABELLED["model"]))
    identities = draw_identities(rng, life, _model_names(rng, lineage, topic), crowd)
    drawn = life.with_columns(
        identities.drop("name"),
        topic=topic,
        pipeline_tag=topic.set(~labelled, None),
        extra_tasks=draw_extra_tasks(rng, words.MODEL_TASKS, labelled, 0.05),
        papers=draw_citations(rng, created, papers, 0.16),
        datasets=_trained_on(rng, created, topic, datasets),
        library=_libraries(rng, topic, lineage.relation),
        relation=lineage.relation.set(pl.Series(rng.random(size) < UNTYPED), None),
        **draw_appearance(rng, "model", size),
    ).with_columns(_copied_layouts(rng, lineage.relation))
    table = finished(rng, planted, drawn)
    bases = _bases_as_written(rng, table, lineage, created)
    parent = np.concatenate([_parents_of_cast(), lineage.parent])
    base = table.select(
        base_key="key", base_topic="topic", base_name="name"
    )[np.maximum(parent, 0)]  # fmt: skip
    table = table.with_columns(
        base,
        has_base=parent >= 0,
        base_ids=pl.concat([planted["bases"], bases]),
        base_relation="relation",
    )
    table = table.with_columns(_model_tags(_typed_bases(table)), *_origins(table, parent))
    return table.with_columns(siblings=model_files(table))


def _origins(table: pl.DataFrame, parent: np.ndarray) -> list[pl.Series]:
    """Per model the keys of where its line begins, and of the model whose weights it holds."""
    adapts = table["library"].eq_missing("peft")
    copies = (
        table["layout"].eq_missing("copy") & table["relation"].eq_missing("finetune") & ~adapts
    ).to_numpy()
    every = np.ones(table.height, dtype=bool)
    return [
        table["key"].gather(_roots(parent, follow)).alias(name)
        for name, follow in (("family_key", every), ("weights_key", copies))
    ]


def _roots(parent: np.ndarray, follow: np.ndarray) -> np.ndarray:
    """Per row the one where its line begins, going up to `parent` only where `follow` is true.

    Pointers are doubled, so that even long lines take a few steps only.
    """
    up = np.where(follow & (parent >= 0), parent, np.arange(len(parent)))
    while not np.array_equal(further := up[up], up):
        up = further
    return up


def _bases_as_written(
    rng: np.random.Generator, table: pl.DataFrame, lineage: Lineage, created: np.ndarray
) -> pl.Series:
    """Per model of the crowd the ids that its card gave its bases when it was made."""
    ids = misspelt(rng, written(table, lineage.base, created[lineage.derived]), 0.005, 0.02)
    first = table["first_id"].gather(lineage.base)
    # Short ids went on being written after they had moved.
    is_short = ~first.str.contains("/", literal=True)
    ids = pl.select(pl.when(is_short).then(first).otherwise(ids)).to_series()
    return gathered(lineage.derived, ids, len(created))


def _typed_bases(table: pl.DataFrame) -> pl.Series:
    """Tags that name a base and the relation to it, one list per model."""
    pairs = (
        table.with_row_index("row")
        .select("row", "base_relation", "base_ids")
        .explode("base_ids")
        .drop_nulls()
    )
    tags = pairs.select(pl.format("base_model:{}:{}", "base_relation", "base_ids")).to_series()
    return gathered(pairs["row"].cast(pl.Int64).to_numpy(), tags, table.height)


def _model_tags(typed_bases: pl.Series) -> pl.Expr:
    """Tags in the Hub's order: libraries and languages bare, the rest with prefixes."""
    library = pl.col("library")
    served = library.is_in(["transformers", "diffusers", "sentence-transformers"])
    writes = pl.col("pipeline_tag") == "text-generation"
    return tag_list(
        library,
        pl.when(served | library.is_in(["peft", "timm"])).then(pl.lit("pytorch")),
        pl.when(pl.col("layout") == "trainer").then(pl.lit("tensorboard")),
        pl.when(library.is_in(["transformers", "peft", "timm"])).then(pl.lit("safetensors")),
        pl.when(pl.col("base_relation") == "quantized").then(pl.lit("gguf")),
        pl.col("pipeline_tag"),
        pl.col("extra_tasks"),
        pl.when(pl.col("layout") == "trainer").then(pl.lit("generated_from_trainer")),
        pl.col("free_tags"),
        pl.when(writes).then(pl.lit("conversational")),
        each_tagged("dataset:", "datasets"),
        pl.col("language"),
        each_tagged("arxiv:", "papers"),
        template_citation(),
        each_tagged("base_model:", "base_ids"),
        pl.lit(typed_bases),
        tagged("license:", "license"),
        pl.when(served).then(pl.lit("autotrain_compatible")),
        pl.when(writes & (library == "transformers")).then(pl.lit("text-generation-inference")),
        pl.when(served).then(pl.lit("endpoints_compatible")),
        pl.when(served & pl.col("pipeline_tag").is_not_null()).then(pl.lit("deploy:azure")),
        pl.lit("region:us"),
    )


@dataclass(frozen=True)
class Lineage:
    """Who derives from whom among the models of the crowd.

    Attributes:
        relation: per model, null for those without a base.
        parent: per model the row of its first base in the whole table, or -1.
        derived: per pair of model and base the number of the model in the crowd.
        base: per pair the row of the base in the whole table.
        first: rows before the crowd.
    """

    relation: pl.Series
    parent: np.ndarray
    derived: np.ndarray
    base: np.ndarray
    first: int

    def roots(self, follow: np.ndarray) -> np.ndarray:
        """Per model the row where its line begins, going up only where `follow` is true."""
        cast_rows = np.full(self.first, -1)
        parent = np.concatenate([cast_rows, self.parent])
        return _roots(parent, np.concatenate([cast_rows < 0, follow]))[self.first :]


def _lineage(rng: np.random.Generator, created: np.ndarray, first: int) -> Lineage:
    """Bases are earlier models: mostly a few foundation models, sometimes any."""
    size = len(created)
    is_derived = rng.random(size) < DERIVED
    foundation = np.flatnonzero(~is_derived & (rng.random(size) < 0.15))
    if not len(foundation):
        foundation = np.array([0])
    is_derived[: foundation[0] + 1] = False
    relation = draw(rng, RELATIONS, size).set(pl.Series(~is_derived), None)
    merges = (relation == "merge").fill_null(False).to_numpy()
    counts = np.where(is_derived, 1, 0) + np.where(merges, rng.integers(1, 4, size), 0)
    derived = np.repeat(np.arange(size), counts)
    known = foundation[earlier(rng, created[foundation], created[derived], 2.2)]
    known = np.where(known < derived, known, foundation[0])
    anything = (derived * rng.random(len(derived))).astype(np.int64)
    base = first + np.where(rng.random(len(derived)) < 0.72, known, anything)
    # The two short ids that everybody still writes.
    base = np.where(rng.random(len(derived)) < 0.05, rng.integers(0, 2, len(derived)), base)
    parent = np.full(size, -1)
    parent[derived[::-1]] = base[::-1]
    return Lineage(relation, parent, derived, base, first)


def _parents_of_cast() -> np.ndarray:
    """Rows of the first bases of the cast's models, under whatever name they are written."""
    rows = {name.lower(): row for row, model in enumerate(cast.MODELS) for name in model["names"]}
    firsts = [model.get("bases", [""])[0].lower() for model in cast.MODELS]
    return np.array([rows.get(name, -1) for name in firsts], dtype=np.int64)


def _topics(rng: np.random.Generator, lineage: Lineage, planted: pl.Series, size: int) -> pl.Series:
    """What each model is for: mostly what its base is for."""
    own = pl.concat([planted, draw_evenly(rng, words.MODEL_TASKS, size)])
    return own.gather(lineage.roots(rng.random(size) < 0.9)).alias("topic")


def _libraries(rng: np.random.Generator, topic: pl.Series, relation: pl.Series) -> pl.Series:
    usual = topic.replace_strict(words.TASK_LIBRARIES, default="transformers")
    unknown = pl.Series(rng.random(len(topic)) < 0.2)
    return pl.select(
        pl.when(relation == "adapter").then(pl.lit("peft"))
        .when(unknown).then(None)
        .otherwise(usual)
    ).to_series()  # fmt: skip


def _copied_layouts(rng: np.random.Generator, relation: pl.Series) -> pl.Expr:
    """Most quantizations and some other derived models copy their base's card."""
    copies = pl.Series(rng.random(len(relation)))
    share = pl.when(relation == "quantized").then(0.7).when(relation.is_not_null()).then(0.2)
    return pl.when(copies < share).then(pl.lit("copy")).otherwise("layout").alias("layout")


def _model_names(rng: np.random.Generator, lineage: Lineage, topic: pl.Series) -> pl.Series:
    """Names that tell family, size, sometimes the task, and how a derived model was made."""
    size = len(topic)
    family, scale = draw(rng, words.FAMILIES, size), draw(rng, words.SIZES, size)
    domain, noun = draw(rng, words.DOMAINS, size), draw(rng, words.NOUNS, size)
    hints = {
        f"{task}/{number}": hints[number % len(hints)]
        for task, hints in words.TASK_HINTS.items()
        for number in range(12)
    }
    number = pl.Series(rng.integers(12, size=size))
    hint = pl.select(
        pl.format("{}/{}", topic, number).replace_strict(
            hints, default=None, return_dtype=pl.String
        )
    ).to_series()
    style = pl.Series(rng.integers(4, size=size))
    own = pl.select(
        pl.when(hint.is_null() | (style == 0)).then(pl.format("{}-{}-{}", family, noun, scale))
        .when(style == 1).then(pl.format("{}_{}-{}", family, hint, domain))
        .when(style == 2).then(pl.format("{}-{}-{}", noun, hint, scale))
        .otherwise(pl.format("{}.{}-{}", family, noun, domain))
    ).to_series()  # fmt: skip
    short = pl.Series([row["names"][-1].rpartition("/")[2] for row in cast.MODELS])
    root = pl.concat([short, own]).gather(lineage.roots(np.ones(size, dtype=bool)))
    kind = lineage.relation
    return pl.select(
        pl.when(kind == "adapter").then(pl.format("{}-lora-{}", root, domain))
        .when(kind == "finetune").then(pl.format("{}-{}-ft", root, domain))
        .when(kind == "merge").then(pl.format("{}-x-{}-merge", root, noun))
        .when(kind == "quantized").then(pl.format("{}-{}", root, draw(
            rng, ("GGUF", "AWQ", "4bit", "GPTQ-Int4"), size)))
        .otherwise(own)
    ).to_series().alias("name")  # fmt: skip


def _trained_on(
    rng: np.random.Generator, created: np.ndarray, topic: pl.Series, datasets: pl.DataFrame
) -> pl.Series:
    """Datasets that models name: mostly such as are made for the same task and already exist."""
    size = len(created)
    counts = np.where(rng.random(size) < 0.085, 1 + (rng.random(size) < 0.25), 0)
    rows = np.repeat(np.arange(size), counts)
    first = len(cast.DATASETS)
    known = datasets.slice(first)
    tasks = {task: number for number, task in enumerate(sorted(set(words.DATASET_TASKS)))}
    task = known["topic"].replace_strict(tasks, return_dtype=pl.Int64).to_numpy()
    order = np.lexsort((known["created"].to_numpy(), task))
    # One sorted key of task and date: how many of a task existed then is a difference of ranks.
    key = task[order] * _TASK_STRIDE + known["created"].to_numpy()[order]
    wanted = topic.replace_strict(tasks, default=-1, return_dtype=pl.Int64).to_numpy()[rows]
    start = np.searchsorted(key, wanted * _TASK_STRIDE)
    count = np.searchsorted(key, wanted * _TASK_STRIDE + created[rows], side="right") - start
    same = order[np.minimum(start + (count * rng.random(len(rows)) ** 2).astype(int), len(key) - 1)]
    anything = earlier(rng, known["created"].to_numpy(), created[rows], 2.0)
    fits = (wanted >= 0) & (count > 0) & (rng.random(len(rows)) < 0.8)
    chosen = first + np.where(fits, same, anything)
    ids = misspelt(rng, written(datasets, chosen, created[rows]), 0.01, 0.03)
    short = pl.Series(rng.random(len(rows)) < 0.06)
    return gathered(rows, ids.set(short, "tiny-squad"), size)
