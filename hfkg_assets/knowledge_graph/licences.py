"""Licences of models: what each asks of whoever derives from it, and which pairs contradict.

Belongs here: the Hub's licence ids with a few facts on each, and the rules by which a derived
model's licence contradicts its base's. It is a table for finding what to look at, not legal advice:
it knows licence ids and nothing of a text, an exception or a permission that was given.

The ids are those that the Hub accepts in a card (https://huggingface.co/docs/hub/repositories-licenses).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class Copyleft(IntEnum):
    """How much of what is derived must stay under the licence or one like it."""

    NONE = 0
    WEAK = 1
    """The work itself, changed or not."""
    STRONG = 2
    """All that is derived from it; share-alike."""


@dataclass(frozen=True)
class Licence:
    """What a licence asks.

    Attributes:
        id: the Hub's licence id.
        is_known: false where the id says nothing about the terms.
        copyleft: how far it reaches.
        non_commercial: whether commercial use, or any but research, is forbidden.
        no_derivatives: whether changed versions may not be passed on.
        use_restricted: whether uses are ruled out by a list that must be passed on.
    """

    id: str
    is_known: bool = True
    copyleft: Copyleft = Copyleft.NONE
    non_commercial: bool = False
    no_derivatives: bool = False
    use_restricted: bool = False

    @property
    def kind(self) -> str:
        """The one word for it: its hardest condition."""
        kinds = {
            "unknown": not self.is_known,
            "no_derivatives": self.no_derivatives,
            "non_commercial": self.non_commercial,
            "use_restricted": self.use_restricted,
            "strong_copyleft": self.copyleft is Copyleft.STRONG,
            "weak_copyleft": self.copyleft is Copyleft.WEAK,
        }
        return next((kind for kind, applies in kinds.items() if applies), "permissive")


_IDS: tuple[tuple[str, Mapping[str, object]], ...] = (
    (
        "afl-3.0 apache-2.0 apple-ascl artistic-2.0 bsd bsd-2-clause bsd-3-clause "
        "bsd-3-clause-clear bsl-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc0-1.0 "
        "cdla-permissive-1.0 cdla-permissive-2.0 ecl-2.0 etalab-2.0 isc lppl-1.3c mit ncsa odc-by "
        "openmdw-1.0 openmdw-1.1 pddl postgresql unlicense wtfpl zlib",
        {},
    ),
    (
        "epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 lgpl lgpl-2.1 lgpl-3.0 lgpl-lr mpl-2.0 ms-pl ofl-1.1",
        {"copyleft": Copyleft.WEAK},
    ),
    (
        "agpl-3.0 cc-by-sa-3.0 cc-by-sa-4.0 cdla-sharing-1.0 gfdl gpl gpl-2.0 gpl-3.0 odbl osl-3.0",
        {"copyleft": Copyleft.STRONG},
    ),
    (
        "bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m c-uda "
        "creativeml-openrail-m gemma grok2-community llama2 llama3 llama3.1 llama3.2 llama3.3 "
        "llama4 openrail openrail++",
        {"use_restricted": True},
    ),
    ("apple-amlr cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 h-research", {"non_commercial": True}),
    (
        "deepfloyd-if-license fair-noncommercial-research-license intel-research",
        {"non_commercial": True, "use_restricted": True},
    ),
    (
        "cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0",
        {"non_commercial": True, "copyleft": Copyleft.STRONG},
    ),
    ("cc-by-nd-4.0", {"no_derivatives": True}),
    ("cc-by-nc-nd-3.0 cc-by-nc-nd-4.0", {"no_derivatives": True, "non_commercial": True}),
    ("cc other unknown", {"is_known": False}),
)


def _licences() -> Iterator[Licence]:
    for ids, facts in _IDS:
        for id in ids.split():
            yield Licence(id, **facts)  # type: ignore[arg-type]


LICENCES: Mapping[str, Licence] = MappingProxyType({licence.id: licence for licence in _licences()})
"""The Hub's licences by id."""


@dataclass(frozen=True)
class Rule:
    """When the licence of a derived model contradicts that of a model it derives from.

    Attributes:
        reason: its name.
        description: one line, for people.
        condition: SQL over `base` and `derived`, two rows with the columns of `Licence`.
    """

    reason: str
    description: str
    condition: str


RULES = (
    Rule(
        "no_derivatives",
        "The base may not be passed on in a changed form, whatever the derived model says.",
        "base.no_derivatives",
    ),
    Rule(
        "non_commercial",
        "The base forbids commercial use, the derived model's licence allows it.",
        "base.non_commercial AND derived.is_known AND NOT derived.non_commercial",
    ),
    Rule(
        "use_restrictions_dropped",
        "The base's list of forbidden uses must be passed on, and is not.",
        "base.use_restricted AND derived.is_known AND NOT derived.use_restricted",
    ),
    Rule(
        "copyleft_dropped",
        "The base must stay under copyleft as strong as its own, the derived model has less.",
        "base.copyleft > derived.copyleft AND derived.is_known",
    ),
    Rule(
        "copyleft_restricted",
        "The base's strong copyleft allows no further conditions, the derived model adds one.",
        f"base.copyleft = {Copyleft.STRONG:d} AND ("
        "derived.no_derivatives > base.no_derivatives "
        "OR derived.non_commercial > base.non_commercial "
        "OR derived.use_restricted > base.use_restricted)",
    ),
)
"""Reasons by precedence: a pair has the first that holds. Whether two copyleft licences, or two
lists of forbidden uses, agree with each other is not judged."""
