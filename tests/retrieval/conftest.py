"""The made-up snapshot and search over it, shared by the tests of this folder."""

import pytest

from hfkg_assets.retrieval.search import DocumentSearch
from tests.retrieval.snapshots import encoder, make_indexed


@pytest.fixture(scope="session")
def indexed(tmp_path_factory):
    """A store with indexes; read only."""
    return make_indexed(tmp_path_factory.mktemp("indexed"))


@pytest.fixture(scope="session")
def search(indexed):
    """Search over it."""
    return DocumentSearch.open(indexed, encoder())
