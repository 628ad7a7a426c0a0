"""Code versions: what an asset's rows depend on besides its inputs, as a digest of source text.

Dagster compares an asset's code version with the one it was materialized with. Here it is derived
from the functions that make the rows, with all that they use of this project, and from what the
vocabulary declares: changing one rule changes the version of what is made by it and of nothing
else. It is taken from source text, not from bytecode, so it is the same on every machine and under
every Python. Comments count too: where they alone have changed, an asset is made once more, its
bytes come out equal, and nothing below it is touched.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from types import ModuleType
from typing import Any

import polars as pl

from hfkg_resources.table_schema import Column

PACKAGES = ("hfkg_assets", "hfkg_resources")

PLAIN = (str, bytes, int, float, bool, type(None), pl.DataType, Column)


def code_version(*parts: object) -> str:
    """The version of rows that some functions make as some values declare.

    A function counts with the functions, classes and plain constants of this project that it uses,
    directly or through others. Registries, which hold functions or declarations, do not count: who
    looks up its own part in one passes what it has found. Libraries do not count, nor what is
    imported inside a function.

    Args:
        parts: functions and classes, taken by their source; anything else, by its `repr`.

    Returns:
        16 hex digits.

    Raises:
        ValueError: a value's `repr` has its address, which differs from process to process.
    """
    sources: dict[Any, str] = {}
    for part in parts:
        if _is_definition(part):
            _follow(part, sources)
        else:
            text = _text(part)
            sources[text] = text
    return sha256("\n".join(sorted(set(sources.values()))).encode()).hexdigest()[:16]


def _follow(definition: Any, sources: dict[Any, str]) -> None:
    """Adds the source of a function or class, and of what it uses in turn."""
    definition = inspect.unwrap(definition)
    if definition in sources:
        return
    sources[definition], names = _source(definition)
    scope = _scope(definition)
    for name in names:
        for used in _meanings(name, scope):
            if _is_definition(used):
                if str(used.__module__).split(".")[0] in PACKAGES:
                    _follow(used, sources)
            elif _is_plain(used):
                sources[definition, name] = f"{name} = {_text(used)}"


@cache
def _source(definition: Any) -> tuple[str, tuple[str, ...]]:
    """Source text, and the dotted names in it."""
    source = textwrap.dedent(inspect.getsource(definition))
    return source, tuple(dict.fromkeys(_names(ast.parse(source))))


def _names(node: ast.AST) -> Iterator[str]:
    """Names that are used, such as `key_of` or `v.Tag`; those in annotations change no row."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            yield f"{name}.{attribute}"
        case _:
            for field, value in ast.iter_fields(node):
                if field not in ("annotation", "returns"):
                    for child in value if isinstance(value, list) else [value]:
                        if isinstance(child, ast.AST):
                            yield from _names(child)


def _scope(definition: Any) -> Mapping[str, Any]:
    """What the names in a definition may mean."""
    if isinstance(definition, type):
        return vars(sys.modules[definition.__module__])
    return {**definition.__globals__, **inspect.getclosurevars(definition).nonlocals}


def _meanings(name: str, scope: Mapping[str, Any]) -> Iterator[Any]:
    """The value of a name, if it has one: of `a.b` that of `b` in module `a`, or else of `a`."""
    root, _, attribute = name.partition(".")
    if root in scope:
        value = scope[root]
        if not isinstance(value, ModuleType):
            yield value
        elif value.__name__.split(".")[0] in PACKAGES and hasattr(value, attribute):
            yield getattr(value, attribute)


def _is_definition(value: Any) -> bool:
    return inspect.isfunction(inspect.unwrap(value) if callable(value) else value) or (
        isinstance(value, type) and not issubclass(value, pl.DataType)
    )


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list, set, frozenset):  # a record of Dagster is a tuple too
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(map(_is_plain, (*value.keys(), *value.values())))
    return isinstance(value, PLAIN) or (isinstance(value, type) and issubclass(value, pl.DataType))


def _text(value: Any) -> str:
    # The order of a set's `repr` differs from process to process.
    text = repr(sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value)
    if " at 0x" in text:
        raise ValueError(f"{text} has no text that stays the same")
    return text
