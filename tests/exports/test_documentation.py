"""What docs/exports.md shows works as it stands there."""

import re
from pathlib import Path

import pytest
import torch  # noqa: F401  loaded once, outside of the blocks

from hfkg_assets.exports.libkge import LibkgeOptions
from hfkg_assets.exports.sslrec import SslrecOptions

pytestmark = pytest.mark.slow

DOCUMENT = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")


def section(name):
    (text,) = re.findall(rf"^## {name}$(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return text


@pytest.mark.parametrize("name", ["pyg", "sslrec"])
def test_the_python_of_the_document_runs_on_an_export(exports, name, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", section(name), re.DOTALL)
    shown = f"data/export/{name}/snapshot_date=2026-11-20"
    assert shown in code
    exec(code.replace(shown, str(exports.make(name))), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("name", "options"), [("libkge", LibkgeOptions), ("sslrec", SslrecOptions)]
)
def test_every_option_is_in_the_document_and_no_other(name, options):
    told = set()
    for cell in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| [^|]+ \| [^|]+ \|$", section(name), re.M):
        told |= set(re.findall(r"`(\w+)`", cell))
    assert told == set(options.model_fields)
