"""The data dictionary says what the declarations say."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_data_dictionary_is_what_the_declarations_make_it():
    spec = importlib.util.spec_from_file_location("data_dictionary", DOCS / "data_dictionary.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (DOCS / "data_dictionary.md").read_text(encoding="utf-8")
    assert module.dictionary() == written, "make it again: python docs/data_dictionary.py"
