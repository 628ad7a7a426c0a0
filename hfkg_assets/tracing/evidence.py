"""`tracing/evidence`: what each model says of itself that may tell its base.

Two sorts, kept apart. What says nothing of a base by itself: owner, name, creation, and the tokens
of the configuration (library, tasks, languages, licence, free tags; never the tags `base_model:`).
And what may hold the answer: the bases that the front matter declares, and the models that the
README names or links. `names_a_base` says whether the clean prose has the name of a known base:
an embedding of such a text may hold the answer too, and is not read where that would be a leak.

Ids are compared without regard to case, and old ones resolved. Belongs here: reading. Does not:
comparing two models (`pair_features`).
"""

import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import snapshot_asset
from hfkg_resources.table_schema import INSTANT, STRINGS, Column

EVIDENCE = (
    Column("id", pl.String(), "the model", required=True),
    Column("created_at", INSTANT, "its creation"),
    Column("owner", pl.String(), "what stands before the slash of its id; null where none does"),
    Column("name", pl.String(), "the last part of its id", required=True),
    Column("config", STRINGS, "library, tasks, languages, licence, tags, as `kind:value`", True),
    Column("declared", STRINGS, "models that the front matter declares as bases", required=True),
    Column("named", STRINGS, "models that the README names or links, itself not", required=True),
    Column("names_a_base", pl.Boolean(), "whether the prose has the name of a known base", True),
)

SHORTEST_NAME = 4
"""Characters of a base's name that is looked for in prose without its owner."""

_HUB = r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/"
_NAME = r"[\p{L}\p{N}_](?:[\p{L}\p{N}_.\-]*[\p{L}\p{N}_])?"
_TOKEN = rf"{_NAME}(?:/{_NAME})?"


def model_facts(
    models: pl.DataFrame, documents: pl.DataFrame, aliases: pl.DataFrame, bases: pl.Series
) -> pl.DataFrame:
    """What each model says of itself: `EVIDENCE`, in the order of the models.

    Args:
        models: `id`, `created_at`, `library_name`, `tasks`, `languages`, `license`, `other_tags`.
        documents: `id`, `clean`, `as_published`, `base_model` of models; some may lack.
        aliases: `id`, `canonical_id` of models that have another id now.
        bases: ids of the known bases.
    """
    known = known_ids(models["id"], aliases)
    texts = models.select("id").join(documents, on="id", how="left", maintain_order="left")
    declared = _resolved(texts.select("id", token="base_model").explode("token"), known)
    read = pl.col("as_published").str.replace_all(_HUB, " ")
    named = _resolved(_tokens(texts, read), known)
    names = _base_names(bases)
    speaking = (
        _tokens(texts, pl.col("clean"))
        .select("id", name=pl.col("token").str.to_lowercase().str.split("/").list.last())
        .join(names, on="name", how="semi")
        .filter(pl.col("name") != last_part("id").str.to_lowercase())
    )
    owns = pl.col("id").str.contains("/", literal=True)
    return (
        models.with_columns(
            owner=pl.when(owns).then(pl.col("id").str.split("/").list.first()),
            name=last_part("id"),
            config=config_tokens(),
            names_a_base=pl.col("id").is_in(speaking["id"].unique().implode()),
        )
        .join(declared.rename({"ids": "declared"}), on="id", how="left", maintain_order="left")
        .join(named.rename({"ids": "named"}), on="id", how="left", maintain_order="left")
        .with_columns(pl.col("declared", "named").fill_null([]))
        .select(pl.col(column.name).cast(column.dtype) for column in EVIDENCE)
    )


def last_part(name: str) -> pl.Expr:
    """The part of an id behind the slash."""
    return pl.col(name).str.split("/").list.last()


def config_tokens() -> pl.Expr:
    """What the Hub's structured fields say of a model, as a list of `kind:value`."""

    def each(kind: str, values: pl.Expr) -> pl.Expr:
        return values.fill_null([]).list.eval(pl.format(f"{kind}:{{}}", pl.element()))

    return pl.concat_list(
        each("library", pl.concat_list("library_name").list.drop_nulls()),
        each("task", pl.col("tasks")),
        each("language", pl.col("languages")),
        each("licence", pl.concat_list("license").list.drop_nulls()),
        each("tag", pl.col("other_tags")),
    ).list.unique(maintain_order=True)


def known_ids(ids: pl.Series, aliases: pl.DataFrame) -> pl.DataFrame:
    """Every way to write a model's id: `token` in lower case, once, and `model`, its id now."""
    own = pl.DataFrame({"token": ids.str.to_lowercase(), "model": ids})
    old = aliases.select(token=pl.col("id").str.to_lowercase(), model="canonical_id").join(
        own.select("model"), on="model", how="semi"
    )
    return pl.concat([own, old.sort("token", "model")]).unique(
        "token", keep="first", maintain_order=True
    )


def _tokens(texts: pl.DataFrame, text: pl.Expr) -> pl.DataFrame:
    """Words of texts that could be ids: `id`, `token`, each once."""
    return (
        texts.select("id", token=text.str.extract_all(_TOKEN))
        .explode("token")
        .drop_nulls("token")
        .unique()
    )


def _resolved(tokens: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The models that tokens stand for, but for the one that says it: `id`, `ids`, sorted."""
    return (
        tokens.drop_nulls("token")
        .with_columns(pl.col("token").str.to_lowercase().str.strip_prefix("/"))
        .join(known, on="token")
        .filter(pl.col("model") != pl.col("id"))
        .group_by("id")
        .agg(ids=pl.col("model").unique().sort())
    )


def _base_names(bases: pl.Series) -> pl.DataFrame:
    """Last parts of ids of bases that no word of a sentence is taken for: `name`, lower case.

    A name without a digit or a sign in it, such as `writer`, is only told from a word by its owner.
    """
    return (
        bases.unique()
        .to_frame("id")
        .select(name=last_part("id").str.to_lowercase())
        .filter(
            pl.col("name").str.len_chars() >= SHORTEST_NAME,
            pl.col("name").str.contains(r"[\d._\-]"),
        )
        .unique()
    )


@snapshot_asset(
    "tracing/evidence",
    description="What each model says of itself that may tell its base: name, owner, "
    "configuration, and the models that its card declares or names.",
    columns=EVIDENCE,
    ins={
        "model": "entity/model",
        "document": "feature/document",
        "aliases": "hub/aliases",
        "triples": "tracing/triples",
    },
    code_version=code_version(model_facts),
)
def evidence(
    model: pl.LazyFrame, document: pl.LazyFrame, aliases: pl.LazyFrame, triples: pl.LazyFrame
) -> pl.DataFrame:
    fields = ("created_at", "library_name", "tasks", "languages", "license", "other_tags")
    return model_facts(
        model.select("id", *fields).sort("id").collect(),
        document.filter(kind="model").select("id", "clean", "as_published", "base_model").collect(),
        aliases.filter(pl.col("kind") == "model", pl.col("canonical_id").is_not_null())
        .select("id", "canonical_id")
        .collect(),
        triples.select("base_id").unique().collect()["base_id"],
    )
