"""`export/libkge`: a data set folder for LibKGE, split for link prediction.

Belongs here: names, numbers and the split as LibKGE reads them. Does not: any model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import polars as pl
import yaml
from pydantic import Field

from hfkg_assets.exports.folder import Snapshot, export_asset
from hfkg_assets.exports.random_split import TRAIN, random_split
from hfkg_assets.vocabulary import LINEAGE, RELATIONS

HELD_OUT = 0.0083
"""HuggingBench's share of triples in each of `valid` and `test`: 229 kB of 27.8 MB."""

SPLITS = (TRAIN, "valid", "test")


class LibkgeOptions(dg.Config):
    """Which triples, and how they are split."""

    relations: Literal["lineage", "all"] = Field(
        default="lineage", description="the four from base to derived model, or all thirty"
    )
    held_out: float = Field(
        default=HELD_OUT, gt=0, lt=0.5, description="share of triples in valid, and in test"
    )
    seed: int = Field(default=0, description="of the random split")


@export_asset(
    "libkge",
    description=(
        "A LibKGE data set: triples as names and as numbers, split at random so that every entity "
        "of valid and test is seen in train. Lineage alone unless asked otherwise."
    ),
    tables=["graph/node", "graph/edge"],
    kinds=["polars"],
    options=LibkgeOptions,
)
def libkge_export(snapshot: Snapshot, folder: Path, options: LibkgeOptions) -> dict[str, Any]:
    names = list(LINEAGE) if options.relations == "lineage" else list(RELATIONS)
    relations = pl.DataFrame({"relation": names}).with_row_index("p")
    edges = snapshot.scan("graph/edge").filter(pl.col("relation").is_in(names))
    split = random_split(
        edges.join(relations.lazy(), on="relation", maintain_order="left")
        .select("source", "p", "target")
        .collect(),
        dict.fromkeys(SPLITS[1:], options.held_out),
        seen=[["source", "target"], ["p"]],
        seed=options.seed,
    )
    used = split.select(node_id=pl.col("source").append(pl.col("target"))).unique()
    entities = (
        snapshot.scan("graph/node")
        .join(used.lazy(), on="node_id", how="semi")
        .sort("node_id")
        .select("node_id", name=entity_name())
        .with_row_index("entity")
        .collect()
    )
    relations = relations.rename({"relation": "name"})
    _write(entities.lazy().select("entity", "name"), folder / "entity_ids.del")
    _write(relations.lazy().select("p", "name"), folder / "relation_ids.del")
    sizes = _write_triples(split, entities, relations, options.seed, folder)
    description = dataset_yaml(f"hfkg-{snapshot.day}", entities.height, relations.height, sizes)
    (folder / "dataset.yaml").write_text(yaml.safe_dump(description))
    return {
        "hfkg/entities": entities.height,
        "hfkg/relations": relations.height,
        **{f"hfkg/{name}": size for name, size in sizes.items()},
    }


def entity_name() -> pl.Expr:
    """`type:id`: a model and a Space may have one id. Whitespace that ends fields is escaped."""
    name = pl.concat_str(pl.col("type"), pl.lit(":"), pl.col("id"))
    return name.str.replace_many(["\\", "\t", "\n", "\r"], ["\\\\", "\\t", "\\n", "\\r"])


def dataset_yaml(
    name: str, entities: int, relations: int, sizes: Mapping[str, int]
) -> dict[str, Any]:
    """`dataset.yaml` as LibKGE's own preprocessing writes it.

    Nothing in valid and test is unseen, so the variants without unseen entities are the same files.

    Args:
        name: of the data set.
        entities, relations: how many.
        sizes: number of triples by split, `train_sample` among them.
    """
    files = {split: (f"{split}.del", sizes[split], split) for split in SPLITS}
    files["train_sample"] = ("train_sample.del", sizes["train_sample"], "train")
    for split in SPLITS[1:]:
        files[f"{split}_without_unseen"] = files[split]
    described: dict[str, Any] = {
        "name": name,
        "num_entities": entities,
        "num_relations": relations,
    }
    for thing in ("entity", "relation"):
        # The names are what there is to show: ids and strings are one file.
        for key in (f"files.{thing}_ids", f"files.{thing}_strings"):
            described |= {f"{key}.filename": f"{thing}_ids.del", f"{key}.type": "map"}
    for file, (path, size, split) in files.items():
        described |= {
            f"files.{file}.filename": path,
            f"files.{file}.size": size,
            f"files.{file}.split_type": split,
            f"files.{file}.type": "triples",
        }
    return {"dataset": described}


def _write_triples(
    split: pl.DataFrame, entities: pl.DataFrame, relations: pl.DataFrame, seed: int, folder: Path
) -> dict[str, int]:
    """Each split as numbers (`.del`) and as names (`.txt`); returns the number of triples."""
    parts = {name: split.filter(split=name) for name in SPLITS}
    size = min(parts["valid"].height, parts[TRAIN].height)
    parts["train_sample"] = parts[TRAIN].sample(size, seed=seed)
    for name, part in parts.items():
        triples = (
            part.lazy()
            .join(
                entities.lazy().select(source="node_id", s="entity", subject="name"),
                on="source",
                maintain_order="left",
            )
            .join(
                entities.lazy().select(target="node_id", o="entity", object="name"),
                on="target",
                maintain_order="left",
            )
            .join(relations.lazy().select("p", predicate="name"), on="p", maintain_order="left")
        )
        _write(triples.select("s", "p", "o"), folder / f"{name}.del")
        if name in SPLITS:
            _write(triples.select("subject", "predicate", "object"), folder / f"{name}.txt")
    return {name: part.height for name, part in parts.items()}


def _write(rows: pl.LazyFrame, path: Path) -> None:
    rows.sink_csv(path, separator="\t", include_header=False, quote_style="never")
