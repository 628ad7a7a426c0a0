"""The short form of the matrix endpoint × fault: each call and each fault at least once.

What a cell is, and when it is right, stands in `benchmarks/crawl_faults.py`; its full form is run
by hand.
"""

import logging

import pytest

from benchmarks.crawl_faults import ENDPOINTS, FAULTS, STRENGTHS, Cell, Rig, all_cells, small_crawls

CELLS = [
    Cell("tasks", "half JSON", "lasting"),
    Cell("model tags", "wrong answer", "passing"),
    Cell("dataset tags", "redirect loop", "lasting"),
    Cell("models, first page", "429", "passing"),
    Cell("models, later pages", "empty page", "passing"),
    Cell("datasets, later pages", "row on two pages", "lasting"),
    Cell("spaces, later pages", "wrong field", "lasting"),
    Cell("collections, later pages", "503", "lasting"),
    Cell("collection", "504", "lasting"),
    Cell("papers, later pages", "429 Retry-After", "passing"),
    Cell("paper", "removed", "lasting"),
    Cell("likers", "gated", "lasting"),
    Cell("user", "500", "lasting"),
    Cell("organization", "removed", "lasting"),
    Cell("followers of users", "rows twice", "lasting"),
    Cell("followers of organizations", "502", "lasting"),
    Cell("members", "slow", "passing"),
    Cell("repository", "removed", "lasting"),
    Cell("pinned README", "disabled", "lasting"),
    Cell("README redirect", "429 bare", "passing"),
    Cell("redirected README", "cut", "lasting"),
]


@pytest.fixture(scope="module")
def rigs():
    """Makes each sample Hub once, with its undisturbed crawl."""
    made = {}
    with small_crawls():
        yield lambda setup: made.get(setup) or made.setdefault(setup, Rig(setup, 100))
        for rig in made.values():
            rig.__exit__()


@pytest.fixture(autouse=True)
def quiet():
    """A crawl that meets faults has much to tell."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_the_short_form_has_every_call_every_fault_and_both_strengths():
    assert {_call(cell.endpoint) for cell in CELLS} == set(map(_call, ENDPOINTS))
    assert {cell.fault for cell in CELLS} == FAULTS.keys()
    assert {cell.strength for cell in CELLS} == set(STRENGTHS)
    assert set(CELLS) <= set(all_cells())


def _call(endpoint: str) -> str:
    """A listing is one call, whichever of its pages is struck."""
    return endpoint.partition(",")[0]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fault_ends_in_complete_data_or_in_a_counted_gap_that_the_next_crawl_closes(rigs, cell):
    outcome = rigs(ENDPOINTS[cell.endpoint].setup).try_cell(cell)
    assert outcome.is_sound, str(outcome)
