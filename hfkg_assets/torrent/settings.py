"""What of the Hub's models is downloaded, and how much that may be.

Belongs here: the settings, and what each may say. Does not: what follows from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import dagster as dg
from pydantic import ByteSize, Field, TypeAdapter, ValidationError, field_validator

from hfkg_resources.settings import SettingError, one_of

DEFAULT_SELECTION = "top:0.1"
"""PTMTorrent's own default."""

SWITCH = ("no", "yes")


@dataclass(frozen=True)
class Selection:
    """Which models.

    Attributes:
        kind: `top`, `ids` or `sql`.
        share: with `top`, the share of the snapshot's models by downloads, in (0, 1].
        ids: with `ids`, the models' names.
        condition: with `sql`, what a row of the catalog's `entity.model` must fulfil.
    """

    kind: Literal["top", "ids", "sql"]
    share: float = 1.0
    ids: tuple[str, ...] = ()
    condition: str = ""

    @classmethod
    def parse(cls, text: str) -> "Selection":
        """Reads `top:0.1`, `ids:NAME,…` or `sql:CONDITION`.

        Raises:
            SettingError: anything else, or a share outside (0, 1].
        """
        kind, _, value = text.partition(":")
        try:
            match kind:
                case "top" if 0 < float(value) <= 1:
                    return cls("top", share=float(value))
                case "ids" if names := tuple(filter(None, map(str.strip, value.split(",")))):
                    return cls("ids", ids=tuple(dict.fromkeys(names)))
                case "sql" if value.strip():
                    return cls("sql", condition=value.strip())
        except ValueError:
            pass
        raise SettingError(
            f"HFKG_TORRENT_SELECT={text!r} is not allowed. Use top:SHARE with a share in (0, 1], "
            "ids:NAME,… or sql:CONDITION, such as sql:likes > 100 and license = 'mit'"
        )


class TorrentSettings(dg.ConfigurableResource):
    """What is downloaded.

    Attributes:
        select: which models; see `Selection`.
        weights: whether weights are downloaded too: `no` or `yes`.
        files: patterns of file names that are wanted, in the manner of a shell.
        budget: bytes that may be downloaded for a snapshot, such as `20GB`; empty for what fits.
        git: whether each repository's history is cloned beside its files, without large files.
        workers: downloads at once.
    """

    select: str = DEFAULT_SELECTION
    weights: str = "no"
    files: list[str] = Field(default=["*"])
    budget: str = ""
    git: str = "no"
    workers: int = Field(default=8, gt=0)

    @field_validator("select")
    @classmethod
    def _known_selection(cls, value: str) -> str:
        Selection.parse(value)
        return value

    @field_validator("weights")
    @classmethod
    def _known_weights(cls, value: str) -> str:
        return one_of("HFKG_TORRENT_WEIGHTS", value, SWITCH)

    @field_validator("git")
    @classmethod
    def _known_git(cls, value: str) -> str:
        return one_of("HFKG_TORRENT_GIT", value, SWITCH)

    @field_validator("files")
    @classmethod
    def _some_files(cls, value: Sequence[str]) -> list[str]:
        patterns = [pattern.strip() for pattern in value if pattern.strip()]
        if not patterns:
            raise SettingError("HFKG_TORRENT_FILES names no file. Use patterns such as *.json,*.md")
        return patterns

    @field_validator("budget")
    @classmethod
    def _is_size(cls, value: str) -> str:
        _bytes_of(value)
        return value

    @property
    def budget_bytes(self) -> int | None:
        """The budget; None where there is none."""
        return _bytes_of(self.budget)


def torrent_settings(environment: Mapping[str, str]) -> TorrentSettings:
    """The settings as the environment has them.

    Raises:
        SettingError: one has a value that is not allowed.
    """
    return TorrentSettings(
        select=environment.get("HFKG_TORRENT_SELECT") or DEFAULT_SELECTION,
        weights=environment.get("HFKG_TORRENT_WEIGHTS", "no"),
        files=environment.get("HFKG_TORRENT_FILES", "*").split(","),
        budget=environment.get("HFKG_TORRENT_BUDGET", ""),
        git=environment.get("HFKG_TORRENT_GIT", "no"),
    )


def _bytes_of(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise SettingError(
            f"HFKG_TORRENT_BUDGET={text!r} is no size. Write it as 500MB, 20GB or 1.5TB"
        ) from None
