"""`hfkg search | similar | recommend | trace | lineage | serve`: the retriever on the command line.

Belongs here: arguments, and answers as text for people or as JSON for programs. Does not: answers
(`retriever`).
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import orjson
import polars as pl

from hfkg_assets.retrieval.answers import (
    Filters,
    Hits,
    Lineage,
    Reason,
    Relative,
    RetrievalError,
    Trace,
)
from hfkg_assets.retrieval.lineage import BREADTH, DEPTH
from hfkg_assets.retrieval.retriever import Retriever
from hfkg_assets.text_table import printable, text_table

KINDS = ("model", "dataset")
FILTERS = {
    "task": "id or label of a task",
    "licence": "such as apache-2.0",
    "language": "such as en",
    "library": "such as transformers",
    "size": "a dataset's size category, or a model's class of parameters",
}
HOST, PORT = "127.0.0.1", 8080


def add_to(subcommands: Any, date_of: Callable[[str], Any], positive: Callable[[str], int]) -> None:
    """Adds the commands to those of a parser.

    Args:
        subcommands: of `ArgumentParser.add_subparsers`.
        date_of, positive: types of arguments.
    """

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str, **target: str):
        parser = subcommands.add_parser(name, help=help)
        for argument, text in target.items():
            parser.add_argument(argument, help=text)
        parser.add_argument("--date", type=date_of, help="snapshot date, default the newest")
        parser.set_defaults(command=run)
        return parser

    def answers(parser: Any) -> None:
        parser.add_argument("-k", type=positive, default=10, help="how many answers, default 10")
        parser.add_argument("--why", action="store_true", help="all reasons and the text that fits")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    search = command(
        "search", _search, "which models or datasets fit a need", text="in words; - reads the input"
    )
    search.add_argument("--kind", choices=(*KINDS, "both"), default="model")
    for name, text in FILTERS.items():
        search.add_argument(f"--{name}", help=text)
    search.add_argument("--since", type=date_of, help="created on that day or later")
    search.add_argument("--until", type=date_of, help="created on that day or before")
    search.add_argument(
        "--no-rerank", dest="rerank", action="store_false", help="by the text alone, not the graph"
    )
    answers(search)

    similar = command("similar", _similar, "which are most like one", id="of a model or dataset")
    similar.add_argument("--kind", choices=KINDS, help="what the id names, where both share it")
    answers(similar)

    recommend = command("recommend", _recommend, "what a user would like", user="the user's name")
    answers(recommend)

    trace = command("trace", _trace, "bases of a model, known and predicted", id="of a model")
    trace.add_argument("--json", action="store_true", help="one JSON object")

    lineage = command("lineage", _lineage, "bases and derived models as a tree", id="of a model")
    lineage.add_argument("--depth", type=positive, default=DEPTH, help="steps up and down")
    lineage.add_argument(
        "--breadth", type=positive, default=BREADTH, help="relatives of one model, the most liked"
    )
    lineage.add_argument("--json", action="store_true", help="one JSON object")

    serve = command("serve", _serve, "the search page, on this machine only unless told otherwise")
    serve.add_argument("--port", type=int, default=PORT, help=f"default {PORT}")
    serve.add_argument("--host", default=HOST, help=f"address to listen at, default {HOST}")
    serve.add_argument(
        "--name",
        action="append",
        default=[],
        help="a host name under which others address the page; may be given again",
    )


def _retriever(options: argparse.Namespace) -> Retriever:
    return Retriever.from_environment(day=str(options.date) if options.date else None)


def _search(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.text == "-" else options.text
    filters = Filters(
        **{name: getattr(options, name) for name in FILTERS},
        since=options.since,
        until=options.until,
    )
    kind = None if options.kind == "both" else options.kind
    found = _retriever(options).search(text, kind, options.k, filters, rerank=options.rerank)
    return _tell(options, found, hits_text)


def _similar(options: argparse.Namespace) -> int:
    return _tell(
        options, _retriever(options).similar(options.id, options.k, options.kind), hits_text
    )


def _recommend(options: argparse.Namespace) -> int:
    return _tell(options, _retriever(options).recommend(options.user, options.k), hits_text)


def _trace(options: argparse.Namespace) -> int:
    return _tell(
        options, _retriever(options).trace(options.id), lambda found, why: trace_text(found)
    )


def _lineage(options: argparse.Namespace) -> int:
    found = _retriever(options).lineage(options.id, depth=options.depth, breadth=options.breadth)
    return _tell(options, found, lambda found, why: lineage_text(found))


def _serve(options: argparse.Namespace) -> int:
    # Starlette and uvicorn are imported by nobody who only searches.
    from hfkg_assets.retrieval.page import LOOPBACK, create_page, page_server

    try:
        listener = socket.create_server((options.host, options.port))
    except OSError as error:
        where = f"{options.host}:{options.port}"
        raise RetrievalError(f"cannot listen at {where}: {error.strerror}") from None
    with listener:
        retriever = _retriever(options)
        retriever.open()
        host, port = listener.getsockname()[:2]
        print(f"the search page: http://{host}:{port}", flush=True)
        app = create_page(retriever, (*LOOPBACK, host, *options.name))
        page_server(app).run(sockets=[listener])
    return 0


def _tell(options: argparse.Namespace, answer: Any, as_text: Callable[[Any, bool], str]) -> int:
    if options.json:
        # Polars' and numpy's numbers are written as numbers.
        print(orjson.dumps(asdict(answer), option=orjson.OPT_SERIALIZE_NUMPY).decode())
    else:
        print(as_text(answer, getattr(options, "why", False)))
    return 0


# --- for people ----------------------------------------------------------------------------------


def hits_text(found: Hits, why: bool = False) -> str:
    """Answers as a table, with all their reasons below it if asked for.

    Args:
        found: the answers.
        why: whether to tell every reason and the text that fits.
    """
    notes = [f"note: {printable(note)}" for note in found.notes]
    if not found.hits:
        return "\n".join([*notes, f"nothing found in the snapshot of {found.snapshot}"])
    table = pl.DataFrame(
        {
            "": [hit.rank for hit in found.hits],
            "kind": [hit.kind for hit in found.hits],
            "id": [hit.id for hit in found.hits],
            "for": [_joined(hit.facts.get("tasks")) for hit in found.hits],
            "licence": [hit.facts.get("licence") or "" for hit in found.hits],
            "likes": [hit.facts.get("likes") for hit in found.hits],
            "why": [hit.reasons[0].text if hit.reasons else "" for hit in found.hits],
        }
    )
    parts = [*notes, text_table(f"Snapshot of {found.snapshot}", table)]
    if why:
        parts += [_explained(hit.rank, hit.id, hit.excerpt, hit.reasons) for hit in found.hits]
    return "\n".join(parts)


def _explained(rank: int, id: str, excerpt: str, reasons: tuple[Reason, ...]) -> str:
    lines = [f"{rank}. {id}", *(f"   - {_reason(reason)}" for reason in reasons)]
    lines += [f"   “{excerpt}”"] if excerpt else []
    return "\n" + "\n".join(map(printable, lines))


def _reason(reason: Reason) -> str:
    return reason.text + (f" ({' → '.join(reason.path)})" if reason.path else "")


def trace_text(found: Trace) -> str:
    """The bases of a model as a table."""
    notes = [f"note: {printable(note)}" for note in found.notes]
    if not found.bases:
        return "\n".join([*notes, f"no base is known in the snapshot of {found.snapshot}"])
    table = pl.DataFrame(
        {
            "base": [base.id for base in found.bases],
            "known": ["yes" if base.is_known else "predicted" for base in found.bases],
            "steps": [base.depth for base in found.bases],
            "probability": [
                "" if base.probability is None else f"{base.probability:.2f}"
                for base in found.bases
            ],
            "what speaks for it": [
                "; ".join(reason.text for reason in base.evidence) for base in found.bases
            ],
        }
    )
    title = f"Bases of {printable(found.id)}, snapshot of {found.snapshot}"
    return "\n".join([*notes, text_table(title, table, cell=120)])


def lineage_text(found: Lineage) -> str:
    """Lineage as two indented trees."""
    above, below = found.ancestor_count, found.descendant_count
    return "\n".join(
        [
            f"Lineage of {printable(found.id)}, snapshot of {found.snapshot}",
            "",
            f"Derives from {above:,} {'model' if above == 1 else 'models'}",
            *_branches(found.ancestors),
            "",
            f"{below:,} {'model derives' if below == 1 else 'models derive'} from it",
            *_branches(found.descendants),
        ]
    )


def _branches(tree: Relative, indent: str = "") -> Iterator[str]:
    rest = [f"… and {tree.more:,} more"] if tree.more else []
    last = len(tree.relatives) + len(rest) - 1
    for number, relative in enumerate(tree.relatives):
        yield f"{indent}{'└─' if number == last else '├─'} {_relative(relative)}"
        yield from _branches(relative, indent + ("   " if number == last else "│  "))
    yield from (f"{indent}└─ {line}" for line in rest)


def _relative(relative: Relative) -> str:
    predicate = (relative.relation or "").split("_")[1:2]
    likes = relative.facts.get("likes")
    known = [*predicate, *([f"{likes:,} likes"] if likes else [])]
    if relative.repeated:
        known.append("see above")
    return printable(f"{relative.id}  ({', '.join(known)})")


def _joined(values: Any, most: int = 2) -> str:
    values = list(values or ())
    return ", ".join(values[:most]) + (" …" if len(values) > most else "")
