"""How much of the Hub a snapshot takes in.

Belongs here: reading the setting. Does not: what follows from it for any listing.
"""

from dataclasses import dataclass
from typing import Literal

from hfkg_resources.settings import SettingError


@dataclass(frozen=True)
class Scope:
    """How much of the Hub a snapshot takes in.

    Attributes:
        kind: `all`, `top`, `limit`, `author` or `task`.
        share: with `top`, the share of models by downloads, in (0, 1].
        limit: with `limit`, the number of models, of datasets and of Spaces.
        names: with `author` or `task`, the names.
    """

    kind: Literal["all", "top", "limit", "author", "task"]
    share: float = 1.0
    limit: int = 0
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Reads `all`, `top:0.1`, `limit:1000`, `author:NAME,…` or `task:ID,…`.

        Raises:
            SettingError: anything else, or a share outside (0, 1].
        """
        kind, _, value = text.partition(":")
        try:
            match kind:
                case "all" if not value:
                    return cls("all")
                case "top" if 0 < float(value) <= 1:
                    return cls("top", share=float(value))
                case "limit" if int(value) > 0:
                    return cls("limit", limit=int(value))
                case "author" | "task" if names := tuple(filter(None, value.split(","))):
                    return cls("author" if kind == "author" else "task", names=names)
        except ValueError:
            pass
        raise SettingError(
            f"HFKG_SCOPE={text!r} is not allowed. Use all, top:SHARE with a share in (0, 1], "
            "limit:N with N > 0, author:NAME,… or task:ID,…"
        )
