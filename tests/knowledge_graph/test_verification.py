"""Verification: each assertion is verified or rejected with one reason, and checks prove it."""

import polars as pl
import pytest

from hfkg_assets.knowledge_graph import verification as V
from hfkg_assets.vocabulary import RELATIONS

FINETUNE = RELATIONS["model_finetune_model"]
MODELS = pl.LazyFrame({"id": ["acme/base", "acme/new-name", "acme/tuned"]})
ALIASES = pl.LazyFrame(
    {
        "kind": ["model", "model", "model", "dataset"],
        "id": ["acme/old-name", "base", "ACME/Tuned", "acme/tuned"],
        "canonical_id": ["acme/new-name", "acme/base", "acme/tuned", "acme/other"],
    }
)


def judge(pairs, relation=FINETUNE, subjects=MODELS, objects=MODELS, **attributes):
    observed = pl.LazyFrame(
        {"subject_id": [a for a, _ in pairs], "object_id": [b for _, b in pairs], **attributes},
        schema={c.name: c.dtype for c in relation.columns},
    )
    return pl.concat(V.verify(relation, observed, subjects, objects, ALIASES), how="diagonal")


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("acme/base", "acme/tuned"), None),
        (("acme/old-name", "acme/tuned"), None),
        (("base", "ACME/Tuned"), None),
        (("acme/gone", "acme/tuned"), "subject_missing"),
        (("acme/base", "acme/gone"), "object_missing"),
        (("acme/gone", "acme/lost"), "both_missing"),
        (("acme/base", "acme/base"), "self_loop"),
        (("base", "acme/base"), "self_loop"),
        (("acme/gone", "acme/gone"), "self_loop"),
        (("not an id", "acme/tuned"), "malformed_id"),
        (("a/b/c", "acme/gone"), "malformed_id"),
        (("", "acme/tuned"), "malformed_id"),
        ((None, "acme/tuned"), "malformed_id"),
    ],
)
def test_an_assertion_gets_exactly_the_reason_it_deserves(pair, reason):
    assert judge([pair])["reason"].to_list() == [reason]


def test_ids_are_resolved_and_the_observed_ones_kept():
    row = judge([("acme/old-name", "ACME/Tuned")]).row(0, named=True)
    assert (row["subject_id"], row["object_id"]) == ("acme/new-name", "acme/tuned")
    assert (row["observed_subject_id"], row["observed_object_id"]) == (
        "acme/old-name",
        "ACME/Tuned",
    )


def test_of_equal_edges_one_is_verified_and_the_others_are_duplicates():
    pairs = [("acme/base", "acme/tuned"), ("base", "acme/tuned"), ("acme/base", "acme/tuned")]
    reasons = judge(pairs)["reason"].to_list()
    assert sorted(reasons, key=str) == [None, "duplicate", "duplicate"]


def test_an_alias_of_another_kind_of_entity_is_not_applied():
    assert judge([("acme/base", "acme/tuned")])["object_id"].to_list() == ["acme/tuned"]


def test_arxiv_versions_are_dropped_before_papers_are_looked_up():
    relation = RELATIONS["model_cite_paper"]
    papers = pl.LazyFrame({"id": ["2401.00001"]})
    pairs = [("acme/base", "2401.00001v3"), ("acme/base", "2401.00001"), ("acme/tuned", "2401.9")]
    judged = judge(pairs, relation, MODELS, papers, is_boilerplate=[False] * 3)
    assert judged["reason"].to_list() == [None, "duplicate", "malformed_id"]
    assert judged["object_id"].to_list()[:2] == ["2401.00001", "2401.00001"]


@pytest.mark.parametrize("best", ["claimed_verified", "extracted_confirmed", "admin_assigned"])
def test_a_user_linked_twice_to_a_paper_keeps_the_best_confirmed_link(best):
    relation = RELATIONS["user_publish_paper"]
    users, papers = pl.LazyFrame({"id": ["ada"]}), pl.LazyFrame({"id": ["2401.00001"]})
    judged = judge(
        [("ada", "2401.00001")] * 2,
        relation,
        users,
        papers,
        status=["extracted_pending", best],
    )
    kept = judged.filter(pl.col("reason").is_null())
    assert kept["status"].to_list() == [best]


def test_a_name_that_is_both_a_user_and_an_organization_does_not_make_a_self_loop():
    relation = RELATIONS["user_affiliatedWith_org"]
    judged = judge(
        [("acme", "acme")], relation, pl.LazyFrame({"id": ["acme"]}), pl.LazyFrame({"id": ["acme"]})
    )
    assert judged["reason"].to_list() == [None]


@pytest.mark.parametrize("odd", ["a:b", "a,b", 'say "hi"', "line\nbreak", "'; drop table x; --"])
def test_odd_ids_are_judged_as_data_and_come_out_unharmed(odd):
    judged = judge([(odd, "acme/tuned")])
    assert judged["reason"].to_list() == ["malformed_id"]
    assert judged["observed_subject_id"].to_list() == [odd]


def test_ids_in_other_scripts_pass():
    models = pl.LazyFrame({"id": ["acme/tuned", "模型/基础"]})
    assert judge([("模型/基础", "acme/tuned")], subjects=models)["reason"].to_list() == [None]


# --- the checks, on planted faults ---------------------------------------------------------------


def stored(verified, rejected=(), observed=None):
    """Tables as the checks find them; verified and rejected rows are (subject, object) pairs."""
    rows = [*verified, *((a, b) for a, b, _ in rejected)]

    def pairs(rows, *names):
        return {
            name: pl.Series([row[i] for row in rows], dtype=pl.String)
            for i, name in enumerate(names)
        }

    ids = ("subject_id", "object_id")
    seen = ("observed_subject_id", "observed_object_id")
    return {
        "observed": pl.LazyFrame(pairs(rows if observed is None else observed, *ids)),
        "verified": pl.LazyFrame({**pairs(verified, *ids), **pairs(verified, *seen)}),
        "rejected": pl.LazyFrame(pairs(rejected, *seen, "reason")),
        "subjects": MODELS,
        "objects": MODELS,
    }


def outcome(tables):
    return {name: passed for name, passed, _ in V.check_relation(FINETUNE, tables)}


SOUND = ("acme/base", "acme/tuned")


def test_all_checks_pass_on_a_sound_relation():
    assert set(outcome(stored([SOUND])).values()) == {True}
    assert set(outcome(stored([])).values()) == {True}


@pytest.mark.parametrize(
    ("tables", "failing"),
    [
        (stored([SOUND, ("acme/gone", "acme/tuned")]), V.REFERENCES),
        (stored([SOUND, ("acme/old-name", "acme/tuned")]), V.REFERENCES),
        (stored([SOUND, ("acme/base", "acme/base")]), V.REFERENCES),
        (stored([SOUND, ("not an id", "acme/tuned")]), V.REFERENCES),
        (stored([SOUND, (None, "acme/tuned")]), V.REFERENCES),
        (stored([SOUND, SOUND]), V.UNIQUE),
        (stored([SOUND], observed=[SOUND, SOUND]), V.COMPLETE),
        (stored([SOUND], observed=[]), V.COMPLETE),
        (stored([SOUND], observed=[("acme/base", "acme/new-name")]), V.COMPLETE),
        (stored([SOUND], [("acme/x", "acme/tuned", "subject_missing")]), V.SHARE),
    ],
    ids=[
        "dangling", "renamed", "self-loop", "malformed", "null id", "duplicate", "one lost",
        "one made up", "one exchanged for another", "too many rejected",
    ],
)  # fmt: skip
def test_a_planted_fault_makes_its_check_fail(tables, failing):
    result = outcome(tables)
    assert result[failing] is False
    assert all(passed for name, passed in result.items() if name != failing)
