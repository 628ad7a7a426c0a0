"""`torrent/ptm_schema`: the selected models described in PTMTorrent's schema.

`json/huggingface.json` has one object per selected model, valid by `PTM_SCHEMA`, with what
PTMTorrent leaves empty for this hub: datasets with owners and papers, the papers' DOIs, the
architecture. `json/metadata/hf_metadata.json` has what the Hub tells of each model and its files.
An optional field that nothing is known for is left out: the schema wants no empty lists.

Belongs here: the schema and what its fields are made of. Does not: any download.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import ONE_RUN_PER_DATE, OWNERS, SNAPSHOTS, key_of
from hfkg_assets.torrent.download import OK
from hfkg_assets.torrent.manifest import MANIFEST
from hfkg_assets.torrent.repositories import REPOSITORIES
from hfkg_resources.atomic_write import write_folder
from hfkg_resources.warehouse import Warehouse

PTM = "torrent/ptm_schema"
HUB_NAME, HUB_URL = "Hugging Face", "https://huggingface.co"
SCHEMA_FILE = "json/huggingface.json"
METADATA_FILE = "json/metadata/hf_metadata.json"
ARXIV_DOI = "10.48550/arXiv."
"""arXiv's own DOI of a paper follows from its id (https://info.arxiv.org/help/doi.html)."""

CONFIG = "config.json"

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "contains": {"type": "string"}}
_DATASET = {
    "type": "object",
    "properties": {
        **dict.fromkeys(
            ("DatasetName", "DatasetOwner", "DatasetURL", "DatasetOwnerURL", "DatasetPaperDOI"),
            _TEXT,
        ),
        "DatasetUsages": _TEXTS,
    },
    "required": ["DatasetName", "DatasetOwner", "DatasetURL", "DatasetOwnerURL"],
}
PTM_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "ModelHub": {
            "type": "object",
            "properties": {
                "ModelHubName": _TEXT,
                "ModelHubURL": _TEXT,
                "MetadataFilePath": _TEXT,
                "MetadataObjectID": {"type": "integer"},
            },
            "required": ["ModelHubName", "ModelHubURL", "MetadataFilePath", "MetadataObjectID"],
        },
        **dict.fromkeys(
            (
                "ModelName", "ModelOwner", "ModelURL", "ModelOwnerURL", "LatestGitCommitSHA",
                "ModelTask", "ModelArchitecture",
            ),
            _TEXT,
        ),
        "Datasets": {"type": "array", "contains": _DATASET},
        "ModelPaperDOIs": _TEXTS,
    },
    "required": [
        "id", "ModelHub", "ModelName", "ModelOwner", "ModelURL", "ModelOwnerURL",
        "LatestGitCommitSHA",
    ],
}  # fmt: skip
"""PTMTorrent's rules for one model (its `ptmSchema.json`, MSR 2023, arXiv 2303.08934)."""


def stable_id(hub_id: str) -> int:
    """A number for a model that stays when it is renamed and from run to run.

    PTMTorrent numbers rows, which change with every run. 52 bits: JSON readers that know only
    floating-point numbers keep them exactly; two of 2 million models share one with a chance of
    1 in 2,000.
    """
    return int(hashlib.sha256(hub_id.encode()).hexdigest()[:13], 16)


def repository_address(kind: str, id: str) -> tuple[str, str, str, str]:
    """Name, owner, address and owner's address of a repository.

    Args:
        kind: `model` or `dataset`.
        id: of it; a bare one belongs to the Hub itself.
    """
    owner, _, name = id.rpartition("/")
    area = "" if kind == "model" else f"{kind}s/"
    return (
        name,
        owner or "huggingface",
        f"{HUB_URL}/{area}{id}",
        f"{HUB_URL}/{owner or 'huggingface'}",
    )


def ptm_record(
    model: Mapping[str, Any],
    *,
    datasets: Sequence[str],
    papers_of_dataset: Mapping[str, str],
    dois: Sequence[str],
    architecture: str | None,
) -> dict[str, Any]:
    """A model as an object of the PTM schema.

    Args:
        model: a row of `torrent/selection` with `pipeline_tag`.
        datasets: ids of the datasets that it is trained on.
        papers_of_dataset: dataset → DOI of the first paper that it cites.
        dois: of the papers that the model cites.
        architecture: its configuration's `model_type`.
    """
    name, owner, url, owner_url = repository_address("model", model["id"])
    number = stable_id(model["hub_id"] or model["id"])
    record: dict[str, Any] = {
        "id": number,
        "ModelHub": {
            "ModelHubName": HUB_NAME,
            "ModelHubURL": HUB_URL,
            "MetadataFilePath": METADATA_FILE,
            "MetadataObjectID": number,
        },
        "ModelName": name,
        "ModelOwner": owner,
        "ModelURL": url,
        "ModelOwnerURL": owner_url,
        "LatestGitCommitSHA": model["sha"],
        "ModelTask": model["pipeline_tag"],
        "ModelArchitecture": architecture,
        "ModelPaperDOIs": list(dois),
        "Datasets": [
            _dataset_record(dataset, papers_of_dataset.get(dataset)) for dataset in datasets
        ],
    }
    return {key: value for key, value in record.items() if value not in (None, [])}


def _dataset_record(dataset: str, doi: str | None) -> dict[str, Any]:
    name, owner, url, owner_url = repository_address("dataset", dataset)
    record = {
        "DatasetName": name, "DatasetOwner": owner, "DatasetURL": url, "DatasetOwnerURL": owner_url,
        "DatasetPaperDOI": doi,
    }  # fmt: skip
    return {key: value for key, value in record.items() if value is not None}


# --- what is known of the selected models --------------------------------------------------------


def dois_of(models: pl.LazyFrame, citations: pl.LazyFrame) -> pl.LazyFrame:
    """DOIs of the papers of repositories: those of their tags, and arXiv's own of cited papers.

    Args:
        models: `id` and `tags`.
        citations: a verified `…_cite_paper`.

    Returns:
        `id`, `dois`, without those that come with a card template.
    """
    tagged = (
        models.select("id", doi=pl.col("tags").list.eval(pl.element().str.extract(r"^doi:(.+)$")))
        .explode("doi")
        .drop_nulls()
    )
    cited = citations.filter(~pl.col("is_boilerplate").fill_null(False)).select(
        id="subject_id", doi=pl.lit(ARXIV_DOI) + pl.col("object_id")
    )
    return pl.concat([tagged, cited]).group_by("id").agg(dois=pl.col("doi").unique().sort())


def architectures(configs: pl.LazyFrame, folder: Path) -> dict[str, str]:
    """Model → what its `config.json` says it is: `model_type`, else its first architecture.

    Args:
        configs: rows of `torrent/repositories` of files called `config.json` that are there.
        folder: of the date.
    """
    found = dict[str, str]()
    for model, place in configs.select("id", "place").collect().iter_rows():
        try:
            config = orjson.loads((folder / place).read_bytes())
        except (orjson.JSONDecodeError, OSError):
            continue  # a configuration that no program reads says nothing
        if isinstance(config, dict):
            named = [config.get("model_type"), *(config.get("architectures") or [])[:1]]
            texts = [name for name in named if isinstance(name, str) and name]
            if texts:
                found[model] = texts[0]
    return found


def hub_metadata(
    selected: pl.LazyFrame, listing: pl.LazyFrame, models: pl.LazyFrame, manifest: pl.LazyFrame,
    datasets: pl.LazyFrame, architecture: Mapping[str, str],
) -> pl.DataFrame:  # fmt: skip
    """What the Hub tells of each selected model, in the names of its API.

    Args:
        selected: `torrent/selection`.
        listing: `hub/models`.
        models: `entity/model`.
        manifest: `torrent/manifest`.
        datasets: `id` and `datasets`, lists of ids.
        architecture: model → `model_type`.
    """
    siblings = manifest.group_by("id", maintain_order=True).agg(
        siblings=pl.struct(rfilename="path", size="bytes", blob_id="git_oid", lfs="sha256")
    )
    numbered = (
        pl.col("hub_id").fill_null(pl.col("id")).map_elements(stable_id, return_dtype=pl.Int64)
    )
    told = listing.select(
        "id", "tags", "likes", "lastModified", "private", "pipeline_tag", "library_name"
    )
    card = models.select("id", "license", "languages")
    types = pl.LazyFrame(
        {"id": list(architecture), "model_type": list(architecture.values())},
        schema={"id": pl.String, "model_type": pl.String},
    )
    return (
        selected.with_columns(MetadataObjectID=numbered)
        .join(told, on="id", how="left", maintain_order="left")
        .join(card, on="id", how="left", maintain_order="left")
        .join(datasets, on="id", how="left", maintain_order="left")
        .join(types, on="id", how="left", maintain_order="left")
        .join(siblings, on="id", how="left", maintain_order="left")
        .select(
            "MetadataObjectID", "id", pl.col("id").alias("modelId"),
            pl.col("hub_id").alias("_id"), "sha",
            pl.col("lastModified").dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ"),
            pl.col("id").str.extract("^([^/]+)/").alias("author"),
            "private", "gated", "disabled", "downloads", "likes", "pipeline_tag", "library_name",
            "tags",
            pl.struct("model_type").alias("config"),
            pl.struct("license", "datasets", language="languages").alias("cardData"),
            pl.col("siblings").fill_null([]),
        )
        .collect()
    )  # fmt: skip


def ptm_records(
    selected: pl.DataFrame, datasets: Mapping[str, Sequence[str]],
    dois: Mapping[str, Sequence[str]], papers_of_dataset: Mapping[str, str],
    architecture: Mapping[str, str],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The selected models as objects of the PTM schema, the most downloaded first.

    Args:
        selected: `torrent/selection` with `pipeline_tag`; models whose commit is known.
        datasets: model → datasets.
        dois: model → DOIs.
        papers_of_dataset: dataset → DOI.
        architecture: model → `model_type`.
    """
    for model in selected.iter_rows(named=True):
        id = model["id"]
        yield ptm_record(
            model,
            datasets=datasets.get(id, ()),
            papers_of_dataset=papers_of_dataset,
            dois=dois.get(id, ()),
            architecture=architecture.get(id),
        )


@dg.asset(
    key=key_of(PTM),
    description="The selected models in PTMTorrent's schema, with the Hub's metadata beside.",
    deps=[
        key_of(table)
        for table in (
            "torrent/selection", MANIFEST, REPOSITORIES, "hub/models", "entity/model",
            "verified/model_cite_paper", "verified/dataset_cite_paper",
            "verified/model_trainedOrFineTunedOn_dataset",
        )
    ],
    group_name="torrent",
    partitions_def=SNAPSHOTS,
    backfill_policy=ONE_RUN_PER_DATE,
    kinds={"json"},
    owners=OWNERS,
    tags={"layer": "torrent"},
    code_version=code_version(ptm_records, hub_metadata, dois_of, architectures, PTM_SCHEMA),
)  # fmt: skip
def ptm_schema(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.MaterializeResult:
    day = context.partition_key

    def table(name: str) -> pl.LazyFrame:
        return warehouse.scan(name, day)

    pinned = table(MANIFEST).select("id", "sha").unique()
    models = table("entity/model")
    selected = (
        table("torrent/selection")
        .join(pinned.rename({"sha": "listed"}), on="id", how="left", maintain_order="left")
        .with_columns(sha=pl.coalesce("sha", "listed"))
        .drop("listed")
    )
    trained = (
        table("verified/model_trainedOrFineTunedOn_dataset")
        .group_by(id="subject_id")
        .agg(datasets=pl.col("object_id").unique().sort())
    )
    chosen = selected.select("id")
    dois = dois_of(
        table("hub/models").join(chosen, on="id", how="semi"),
        table("verified/model_cite_paper").join(
            chosen, left_on="subject_id", right_on="id", how="semi"
        ),
    )
    cited = table("verified/dataset_cite_paper").sort("object_id")
    papers = cited.group_by("subject_id").agg(pl.lit(ARXIV_DOI) + pl.col("object_id").first())
    configs = table(REPOSITORIES).filter(pl.col("path") == CONFIG, pl.col("status") == OK)
    architecture = architectures(configs, warehouse.directory(REPOSITORIES, day))
    tagged = selected.join(
        models.select("id", "pipeline_tag"), on="id", how="left", maintain_order="left"
    ).collect()
    records = list(
        ptm_records(
            tagged.drop_nulls("sha"),
            dict(trained.join(chosen, on="id", how="semi").collect().iter_rows()),
            dict(dois.collect().iter_rows()),
            dict(papers.collect().iter_rows()),
            architecture,
        )
    )
    metadata = hub_metadata(
        selected, table("hub/models"), models, table(MANIFEST), trained, architecture
    )
    folder = warehouse.directory(PTM, day)
    write_folder(folder, lambda place: _write(place, records, metadata))
    filled = {
        field: sum(field in record for record in records)
        for field in ("ModelTask", "ModelArchitecture", "ModelPaperDOIs", "Datasets")
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": str(folder / SCHEMA_FILE),
            "hfkg/models": len(records),
            "hfkg/without_commit": tagged.height - len(records),
            **{f"hfkg/with_{field}": count for field, count in filled.items()},
        }
    )


def _write(folder: Path, records: Sequence[Mapping[str, Any]], metadata: pl.DataFrame) -> None:
    (folder / METADATA_FILE).parent.mkdir(parents=True)
    (folder / SCHEMA_FILE).write_bytes(orjson.dumps(records, option=orjson.OPT_INDENT_2))
    metadata.write_json(folder / METADATA_FILE)


@dg.asset_check(
    asset=key_of(PTM),
    name="ids_are_unique",
    description="No two models of the file have the same id.",
    partitions_def=SNAPSHOTS,
)
def unique_ids(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    path = warehouse.directory(PTM, context.partition_key) / SCHEMA_FILE
    ids = pl.Series([record["id"] for record in orjson.loads(path.read_bytes())], dtype=pl.Int64)
    shared = int(ids.is_duplicated().sum())
    return dg.AssetCheckResult(passed=shared == 0, metadata={"hfkg/shared": shared})
