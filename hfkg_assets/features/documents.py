"""`feature/document`: the text of every model and dataset, without the answer in it.

Belongs here: which repository a text is of, and the table. How a README becomes text stands in
`readme`, which texts are alike in `near_duplicates`, which are written by a program in `templates`.
"""

import dagster as dg
import polars as pl

from hfkg_assets.features.near_duplicates import group_texts
from hfkg_assets.features.readme import FIELDS, parse_cards
from hfkg_assets.features.templates import find_templates
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

DOCUMENT = (
    Column("kind", pl.String(), "model or dataset", required=True),
    Column("id", pl.String(), "repository id", required=True),
    Column("created_at", INSTANT, "creation of the repository"),
    Column("last_modified_at", INSTANT, "last change: its text is of then or before"),
    Column("clean", pl.String(), "prose without front matter and task tags; may be empty", True),
    Column("code", pl.String(), "its code blocks without task names; may be empty", True),
    Column("as_published", pl.String(), "the README as it is; null where there is none"),
    Column("has_text", pl.Boolean(), "whether `clean` says anything", required=True),
    Column("truncated", pl.Boolean(), "whether the README was too long to be parsed whole", True),
    Column("front_matter_status", pl.String(), "ok, none or broken", required=True),
    *(Column(name, STRINGS, f"front matter: {name}", required=True) for name in FIELDS),
    Column("clean_sha256", pl.String(), "hex digest of `clean`; null where it is empty"),
    Column("detected_language", pl.String(), "language of `clean`, two letters; null: cannot tell"),
    Column("language_confidence", pl.Float32(), "how sure that is, up to 1"),
    Column("is_english", pl.Boolean(), "whether it is English; null: cannot tell"),
    Column("boilerplate", pl.String(), "the program whose template the README is made from"),
    Column("only_boilerplate", pl.Boolean(), "whether no line of `clean` is the author's", True),
    Column("duplicate_of", pl.String(), "the oldest of its kind with nearly the same `clean`"),
    Column("duplicates", pl.Int32(), "others of its kind with nearly the same `clean`", True),
)


def documents(
    entities: dict[str, pl.LazyFrame], cards: dict[str, pl.LazyFrame], tasks: pl.LazyFrame
) -> pl.DataFrame:
    """The document of every model and dataset, with or without a README.

    Args:
        entities: `entity/model` and `entity/dataset` by kind.
        cards: `hub/model_cards` and `hub/dataset_cards` by kind.
        tasks: `entity/task`.

    Returns:
        `feature/document`, sorted by kind and id.
    """
    published = pl.concat(
        entities[kind]
        .select(pl.lit(kind).alias("kind"), "id", "created_at", "last_modified_at")
        .join(cards[kind].select("id", as_published="text"), on="id", how="left")
        for kind in sorted(entities)
    ).collect()
    texts = published["as_published"].drop_nulls().unique(maintain_order=True)
    names = pl.concat(
        tasks.select(pl.col(name).alias("name")) for name in ("id", "label")
    ).collect()
    parsed = parse_cards(texts.to_list(), names["name"].drop_nulls().unique().sort().to_list())
    parsed = parsed.hstack(find_templates(texts, parsed["clean"])).with_columns(as_published=texts)
    frame = published.join(parsed, on="as_published", how="left").with_columns(
        pl.col("clean", "code").fill_null(""),
        pl.col("truncated", "only_boilerplate").fill_null(False),
        pl.col("front_matter_status").fill_null("none"),
        pl.col(*FIELDS).fill_null([]),
        has_text=pl.col("clean_sha256").is_not_null(),
        is_english=pl.col("detected_language") == "en",
    )
    return mark_duplicates(frame).select(column.name for column in DOCUMENT).sort("kind", "id")


def mark_duplicates(documents: pl.DataFrame) -> pl.DataFrame:
    """Adds `duplicate_of` and `duplicates`: which documents of a kind say nearly the same.

    Equal texts are one text before any are compared.

    Args:
        documents: with `kind`, `id`, `created_at`, `clean` and its digest `clean_sha256`.
    """
    texts = documents.drop_nulls("clean_sha256").unique("clean_sha256").sort("clean_sha256")
    groups = texts.select("clean_sha256", group=pl.Series(group_texts(texts["clean"])))
    oldest = pl.col("id").sort_by("created_at", "id", nulls_last=True).first()
    return (
        documents.join(groups, on="clean_sha256", how="left")
        .with_columns(
            duplicate_of=oldest.over("kind", "group"),
            duplicates=pl.len().over("kind", "group").cast(pl.Int32) - 1,
        )
        .with_columns(
            duplicate_of=pl.when(
                pl.col("group").is_not_null() & (pl.col("duplicate_of") != pl.col("id"))
            ).then("duplicate_of"),
            duplicates=pl.when(pl.col("group").is_not_null()).then("duplicates").otherwise(0),
        )
        .drop("group")
    )


@snapshot_asset(
    "feature/document",
    description="The text of each model and dataset: clean, as published, front matter, flags.",
    columns=DOCUMENT,
    code_version="3",
    ins={
        "model": "entity/model",
        "dataset": "entity/dataset",
        "task": "entity/task",
        "model_cards": "hub/model_cards",
        "dataset_cards": "hub/dataset_cards",
    },
)
def document(
    context: dg.AssetExecutionContext,
    model: pl.LazyFrame,
    dataset: pl.LazyFrame,
    task: pl.LazyFrame,
    model_cards: pl.LazyFrame,
    dataset_cards: pl.LazyFrame,
) -> pl.DataFrame:
    frame = documents(
        {"model": model, "dataset": dataset},
        {"model": model_cards, "dataset": dataset_cards},
        task,
    )
    statuses = dict(frame.group_by("front_matter_status").len().iter_rows())
    context.add_output_metadata(
        {
            "hfkg/with_text": int(frame["has_text"].sum()),
            "hfkg/truncated": int(frame["truncated"].sum()),
            "hfkg/english": int(frame["is_english"].sum()),
            "hfkg/only_boilerplate": int(frame["only_boilerplate"].sum()),
            "hfkg/duplicates": int(frame["duplicate_of"].is_not_null().sum()),
            **{f"hfkg/front_matter_{name}": count for name, count in statuses.items()},
        }
    )
    return frame
