"""What a text encoder's family wants: how tokens become one vector, what is said before a text.

Belongs here: what the authors' model cards say. Does not: running a model (`text_encoder`).

A model folder that is complete says all of this itself, and is believed. Many are not: a checkpoint
that was fine-tuned without sentence-transformers has no pooling, and the first BGE and E5 folders
name their instructions in the model card only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KINDS = ("document", "query")
"""What a text may be: something to be found, or the words that it is looked for with."""

TASK = "Given a description of what is needed, retrieve the models and datasets that serve it"
"""What instructed models are told that queries are for."""

_INSTRUCTED = f"Instruct: {TASK}\nQuery: "


@dataclass(frozen=True)
class Instructions:
    """What stands before a text, by kind; often nothing."""

    document: str = ""
    query: str = ""

    def of(self, kind: str) -> str:
        """The instruction of one kind.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r} is not allowed. Use one of: {', '.join(KINDS)}")
        return self.document if kind == "document" else self.query


@dataclass(frozen=True)
class Family:
    """Encoders that were trained alike.

    Attributes:
        name: for messages.
        pattern: of the model's own name in lower case, from its start.
        pooling: `cls`, `mean` or `lasttoken`, as sentence-transformers calls them.
        instructions: what it was trained to see before documents and queries.
    """

    name: str
    pattern: str
    pooling: str
    instructions: Instructions = Instructions()


FAMILIES = (
    # https://huggingface.co/BAAI/bge-base-en-v1.5, …/bge-base-zh-v1.5, …/bge-m3
    Family(
        "BGE, English",
        r"bge-(small|base|large)-en\b",
        "cls",
        Instructions(query="Represent this sentence for searching relevant passages: "),
    ),
    Family(
        "BGE, Chinese",
        r"bge-(small|base|large)-zh\b",
        "cls",
        Instructions(query="为这个句子生成表示以用于检索相关文章："),
    ),
    Family("BGE-M3", r"bge-m3\b", "cls"),
    # https://huggingface.co/intfloat/e5-base-v2, …/multilingual-e5-large-instruct
    Family(
        "E5, instructed", r"e5-mistral-.*instruct\b", "lasttoken", Instructions(query=_INSTRUCTED)
    ),
    Family(
        "E5, instructed", r"multilingual-e5-.*instruct\b", "mean", Instructions(query=_INSTRUCTED)
    ),
    Family(
        "E5",
        r"(multilingual-)?e5-(small|base|large)\b",
        "mean",
        Instructions(document="passage: ", query="query: "),
    ),
    # https://huggingface.co/Alibaba-NLP/gte-base-en-v1.5, thenlper/gte-base
    Family(
        "GTE", r"gte-(base|large)-en-v1\.5\b|gte-multilingual-base\b|gte-modernbert-base\b", "cls"
    ),
    Family("GTE", r"gte-(small|base|large)(-zh)?$", "mean"),
    # https://sbert.net/docs/sentence_transformer/pretrained_models.html
    Family("MiniLM and MPNet", r"multi-qa-.*-dot-v1\b", "cls"),
    Family("MiniLM and MPNet", r"(all|multi-qa|paraphrase)-.*(minilm|mpnet|distilroberta)", "mean"),
)
"""The first one that fits holds."""


def family_of(model: str) -> Family | None:
    """The family of a model, told by its name; None where the name tells none.

    Args:
        model: a name on the Hub or a folder; of the Hub's cache also a snapshot's folder.
    """
    path = Path(model)
    name = path.parts[-3].split("--")[-1] if path.parent.name == "snapshots" else path.name
    return next((f for f in FAMILIES if re.match(f.pattern, name.lower())), None)


def instructions(
    prompts: Mapping[str, str | None], default_prompt: str | None, family: Family | None
) -> Instructions:
    """What is said before texts: what the model's configuration has, else what its family wants.

    Args:
        prompts: those of `config_sentence_transformers.json`. Where all are empty nothing is said
            about the matter: that is also what sentence-transformers writes of its own accord.
        default_prompt: name of the one that is used where none fits.
        family: the model's.
    """
    if any(prompts.values()):

        def first(*names: str | None) -> str:
            return next((prompt for name in names if name and (prompt := prompts.get(name))), "")

        return Instructions(
            document=first("document", "passage", "corpus", default_prompt),
            query=first("query", default_prompt),
        )
    return family.instructions if family else Instructions()
