"""Bundles: a learner's weights with all that is needed to apply them to another text.

One file for each text variant and protocol, holding the weights of every seed. Belongs here: what
a bundle holds and its file. Does not: how it was trained, or how it is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkg_resources.atomic_write import write_atomically

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Bundle:
    """Trained weights and how to feed them.

    Attributes:
        name: the learner.
        variant: text variant of the features.
        protocol: how the nodes were split.
        options: what the training was told, `training.TrainingOptions` as a dict.
        task_ids: the task of each output column.
        encoder: identity of the text encoder whose vectors the features hold.
        feature_columns: part of the features → [first column, column after its last]; `terms` are
            those of `classification/term_scores`, where the learner has them as input.
        terms: digest of the word classifier that scored them; None where there is none.
        relations: names of the relations, in the order of their edge types.
        mean, scale: float32 [features]; the input is (features - mean) / scale.
        states: seed → state dict.
    """

    name: str
    variant: str
    protocol: str
    options: dict[str, Any]
    task_ids: list[str]
    encoder: str
    feature_columns: dict[str, list[int]]
    terms: str | None
    relations: list[str]
    mean: torch.Tensor
    scale: torch.Tensor
    states: Mapping[int, Mapping[str, torch.Tensor]]


def bundle_path(directory: Path, variant: str, protocol: str) -> Path:
    """Where a bundle lies in the partition directory of its learner."""
    return directory / "weights" / f"{variant}-{protocol}.pt"


def save_bundle(path: Path, bundle: Bundle) -> None:
    """Stores a bundle; the file is there whole or not at all."""
    import torch

    content = {field.name: getattr(bundle, field.name) for field in fields(bundle)}
    content["states"] = {seed: dict(state) for seed, state in bundle.states.items()}
    write_atomically(path, lambda file: torch.save(content, file))


def load_bundle(path: Path) -> Bundle:
    """Reads a bundle; nothing in the file is executed.

    Raises:
        FileNotFoundError: there is none.
        pickle.UnpicklingError: the file holds something else than tensors and plain values.
        ValueError: it is no bundle, or one of another version of this project.
    """
    return Bundle(**stored_fields(path, Bundle, "bundle", "train again"))


def stored_fields(path: Path, kind: type, name: str, again: str) -> dict[str, Any]:
    """The fields of a dataclass from a file of tensors and plain values; no code in it is run.

    Args:
        path: written by `torch.save`.
        kind: the dataclass.
        name: what an error calls it.
        again: what an error says to do.

    Raises:
        FileNotFoundError: there is no file.
        pickle.UnpicklingError: the file holds something else than tensors and plain values.
        ValueError: it holds other fields.
    """
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    expected = {field.name for field in fields(kind)}
    found = set(content) if isinstance(content, dict) else set()
    if found != expected:
        differing = ", ".join(sorted(map(str, expected ^ found)))
        raise ValueError(f"{path} is no {name} of this version: {again} ({differing})")
    return content
