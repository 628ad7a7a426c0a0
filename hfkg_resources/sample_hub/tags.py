"""The sample Hub's tasks and tag vocabularies, from `tasks.json` and the tags of a day.

Belongs here: sorting tags into the Hub's groups. Does not: the tags of a repository (`world`).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import polars as pl

from hfkg_resources.sample_hub.day_index import DayIndex

Vocabulary = dict[str, list[dict[str, Any]]]

_MODEL_GROUPS = "pipeline_tag library dataset bucket language license arxiv doi region deploy other"
_DATASET_GROUPS = (
    "benchmark task_categories size_categories modality format library language license arxiv doi "
    "region other task_ids annotations_creators language_creators multilinguality source_datasets"
)
_BARE_LANGUAGE = re.compile(r"[a-z]{2}")


@cache
def tasks() -> list[dict[str, Any]]:
    """The Hub's tasks, with the lists each is in."""
    return orjson.loads(files("hfkg_resources.sample_hub").joinpath("tasks.json").read_bytes())


def task_pages() -> dict[str, dict[str, Any]]:
    """`GET /api/tasks`: the tasks that have a page, by id."""
    return {
        task["id"]: {
            "id": task["id"],
            "label": task["label"],
            "libraries": [],
            "datasets": [],
            "models": [],
            "spaces": [],
            "metrics": [],
            "widgetModels": [],
        }
        for task in tasks()
        if task["in_tasks"]
    }


def model_tags(index: DayIndex) -> Vocabulary:
    """`GET /api/models-tags-by-type`: languages and libraries bare, the rest with prefixes."""
    listed = [task for task in tasks() if task["in_model_tags"]]
    libraries = set(index.repositories("model")["library_name"].drop_nulls())
    groups: Vocabulary = {group: [] for group in _MODEL_GROUPS.split()}
    groups["pipeline_tag"] = [_task_tag(task, "pipeline_tag", "") for task in listed]
    known = {task["id"] for task in tasks()}
    for tag in sorted(_used(index, "model") - known):
        prefix, colon, rest = tag.partition(":")
        if tag in libraries:
            group, label = "library", tag
        elif colon and prefix in groups and prefix not in ("language", "library"):
            group, label = prefix, rest
        elif _BARE_LANGUAGE.fullmatch(tag):
            group, label = "language", tag
        elif prefix == "base_model":
            continue
        else:
            group, label = "other", tag
        groups[group].append({"id": tag, "label": label, "type": group})
    return groups


def dataset_tags(index: DayIndex) -> Vocabulary:
    """`GET /api/datasets-tags-by-type`: everything but free tags with a prefix."""
    listed = [task for task in tasks() if task["in_dataset_tags"]]
    groups: Vocabulary = {group: [] for group in _DATASET_GROUPS.split()}
    groups["task_categories"] = [
        _task_tag(task, "task_categories", "task_categories:") for task in listed
    ]
    for tag in sorted(_used(index, "dataset")):
        prefix, colon, rest = tag.partition(":")
        if prefix == "task_categories":
            continue
        group = prefix if colon and prefix in groups else "other"
        label = rest if group == prefix else tag
        groups[group].append({"id": tag, "label": label, "type": group})
    return groups


def _task_tag(task: dict[str, Any], group: str, prefix: str) -> dict[str, Any]:
    tag = {"id": prefix + task["id"], "label": task["label"], "type": group}
    return tag | ({"subType": task["modality"]} if task.get("modality") else {})


def _used(index: DayIndex, kind: str) -> set[str]:
    tags = index.repositories(kind).select(pl.col("tags").explode().drop_nulls().unique())
    return set(tags["tags"])
