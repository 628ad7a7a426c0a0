"""How likes are numbered and split."""

from datetime import date, datetime

import polars as pl
import pytest

from hfkg_assets.recommendation.data import likes_of_protocol
from hfkg_assets.recommendation.likes import LIKES, marked_cold, split_by_time
from hfkg_resources.table_schema import INSTANT
from tests.recommendation.made_up import ITEMS, USERS, tables


@pytest.fixture(scope="module")
def table():
    return tables()[0]


def test_numbers_are_dense_and_every_like_stands_once(table):
    assert table.columns == [column.name for column in LIKES]
    assert sorted(table["user"].unique()) == list(range(USERS))
    assert sorted(table["item"].unique()) == list(range(table["item"].n_unique()))
    assert table["item"].n_unique() <= ITEMS
    assert table.select("protocol", "user", "item").is_unique().all()


def test_at_random_a_tenth_and_a_fifth_are_held_out_and_every_user_keeps_a_like(table):
    counts = dict(table["split"].value_counts().iter_rows())
    assert counts["valid"] == round(0.1 * table.height)
    assert counts["test"] == round(0.2 * table.height)
    assert table.filter(split="train")["user"].n_unique() == USERS
    assert "user" not in table["cold"]


def test_likes_without_a_date_make_no_time_protocol(table):
    assert table["protocol"].unique().to_list() == ["random"]


def test_by_time_the_last_month_is_the_test_and_the_month_before_validation():
    found = tables(dated=True)[0].filter(protocol="time")
    bounds = found.group_by("split").agg(
        first=pl.col("liked_at").min(), last=pl.col("liked_at").max()
    )
    first, last = (dict(bounds.select("split", end).iter_rows()) for end in ("first", "last"))
    utc = {
        name: datetime(2026, month, 20, tzinfo=first["test"].tzinfo)
        for name, month in (("valid", 9), ("test", 10))
    }
    assert last["train"] < utc["valid"] <= first["valid"]
    assert last["valid"] < utc["test"] <= first["test"]


def test_the_last_day_belongs_to_the_test_and_what_comes_after_it_to_nothing():
    moments = ["2026-01-01", "2026-10-01", "2026-11-20T23:59:59", "2026-11-21", None]
    likes = pl.DataFrame(
        {
            "source": range(5), "target": range(5),
            "liked_at": pl.Series([m and datetime.fromisoformat(m) for m in moments])
            .cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").cast(INSTANT),
        }
    )  # fmt: skip
    found = split_by_time(likes, date(2026, 11, 20))
    assert found.select("source", "split").rows() == [(0, "train"), (1, "valid"), (2, "test")]


def test_what_has_no_like_in_training_is_marked_cold_and_cold_users_are_not_judged():
    likes = pl.DataFrame(
        [(0, 0, "train"), (0, 1, "test"), (1, 0, "test"), (0, 0, "test"), (1, 1, "valid")],
        schema=["source", "target", "split"], orient="row",
    )  # fmt: skip
    assert marked_cold(likes)["cold"].to_list() == [None, "item", "user", None, "user"]
    found = likes_of_protocol(tables(dated=True)[0], "time")
    for judged in found.judged.values():
        users = judged.getnnz(axis=1) > 0
        assert (found.train.getnnz(axis=1)[users] > 0).all()
