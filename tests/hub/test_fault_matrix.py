"""The short form of the matrix endpoint × fault: each call and each fault at least once.

What a cell is, and when it is right, stands in `benchmarks/crawl_faults.py`; its full form is run
by hand.
"""

import logging
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.crawl_faults import ENDPOINTS, FAULTS, STRENGTHS, Cell, Rig, all_cells, small_crawls
from benchmarks.crawl_gaps import Gap, differences, objections

REPOSITORIES = 100

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
    Cell("repository", "wrong field", "lasting"),
    Cell("pinned README", "disabled", "lasting"),
    Cell("README redirect", "429 bare", "passing"),
    Cell("redirected README", "cut", "lasting"),
]


@pytest.fixture(scope="module")
def rigs():
    """Makes each sample Hub once, with its undisturbed crawl."""
    made = {}
    with small_crawls():
        yield lambda setup: made.get(setup) or made.setdefault(setup, Rig(setup, REPOSITORIES))
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


# -- the judge itself -----------------------------------------------------------------------------


@pytest.fixture
def truth(rigs):
    return rigs("all").truth


def _with(truth, table, key, rows):
    """The crawl with other rows under one key of a table."""
    changed = {**truth.tables[table], key: rows}
    return replace(truth, tables={**truth.tables, table: {k: v for k, v in changed.items() if v}})


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("tasks", "label"),
        ("models", "likes"),
        ("collections", "title"),
        ("papers", "title"),
        ("likers", "fullname"),
        ("members", "fullname"),
    ],
)
@pytest.mark.parametrize(
    ("spoil", "objection"),
    [
        (lambda row, column: [], "absent without a gap"),
        (lambda row, column: [row, row], "double"),
        (lambda row, column: [{**row, column: "wrong"}], "wrong"),
    ],
)
def test_a_row_that_is_absent_double_or_wrong_without_a_gap_is_objected_to(
    truth, table, column, spoil, objection
):
    key, (row,) = next(iter(truth.tables[table].items()))
    spoilt = _with(truth, table, key, spoil(row, column))
    found = objections(truth, spoilt, {})
    assert f"{table} {'/'.join(key)}: {objection}" in found
    assert differences(truth, spoilt)[table] == 1


def test_a_row_that_no_undisturbed_crawl_has_is_objected_to(truth):
    row = next(iter(truth.tables["models"].values()))[0]
    invented = _with(truth, "models", ("no/such",), [{**row, "id": "no/such"}])
    assert objections(truth, invented, {}) == ["models no/such: invented"]


def _recorded(truth, gap, *, counted=True):
    """The crawl with one more gap, which `nothing_lost` has seen."""
    row = truth.coverage[gap.stage]
    counts = {**row, gap.kind: row[gap.kind] + counted}
    coverage = {**truth.coverage, gap.stage: counts}
    return replace(truth, gaps=[*truth.gaps, gap], coverage=coverage, check_passed=False)


def test_a_gap_explains_the_rows_of_its_unit_and_no_others(truth):
    one, other = list({key[0]: key for key in truth.tables["members"]}.values())[:2]
    lossy = _with(_recorded(truth, Gap("members", "failed", one[0])), "members", one, [])
    assert objections(truth, lossy, {}) == []
    assert objections(truth, _with(lossy, "members", other, []), {}) == [
        f"members {'/'.join(other)}: absent without a gap"
    ]


def test_a_record_set_aside_explains_one_row_of_its_unit(truth):
    likers = truth.tables["likers"]
    ((repository, _),) = Counter(key[:2] for key in likers).most_common(1)
    first, second = [key for key in likers if key[:2] == repository][:2]
    stable = truth.tables[f"{repository[0]}s"][repository[1:]][0]["_id"]
    aside = _with(_recorded(truth, Gap("likers", "set_aside", stable)), "likers", first, [])
    assert objections(truth, aside, {}) == []
    assert objections(truth, _with(aside, "likers", second, []), {}) == [
        f"likers/{stable}: 2 rows absent, 1 records set aside"
    ]


def test_a_gap_that_is_not_counted_and_a_check_that_passes_over_one_are_objected_to(truth):
    gap = Gap("members", "failed", "no-such")
    assert objections(truth, _recorded(truth, gap, counted=False), {}) == [
        "members: 0 failed counted, 1 recorded"
    ]
    assert objections(truth, replace(_recorded(truth, gap), check_passed=True), {}) == [
        "nothing_lost passes although much is lost"
    ]
