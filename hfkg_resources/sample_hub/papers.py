"""Papers of the sample world and their authors.

Belongs here: what is published and when the Hub indexes it, who is linked as author and when. Does
not: who cites it (`repositories`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from hfkg_resources.sample_hub import cast, words
from hfkg_resources.sample_hub.drawing import (
    DAY,
    NEVER,
    OLDEST,
    creation_times,
    draw,
    generator,
    instant,
    later,
    object_ids,
    written_by_hand,
)
from hfkg_resources.sample_hub.people import Crowd

PAPERS, MIN_PAPERS = 0.01, 40


def make_papers(seed: int, repositories: int) -> pl.DataFrame:
    """Papers by date: published, and a few days later indexed by the Hub."""
    rng = generator(seed, "papers")
    published = creation_times(rng, max(MIN_PAPERS, PAPERS * repositories))
    size = len(published)
    month = pl.Series(published).cast(pl.Datetime("ms")).dt.strftime("%y%m")
    method, other = draw(rng, words.METHODS, size), draw(rng, words.METHODS, size)
    subject = draw(rng, words.SUBJECTS, size)
    crowd = (
        pl.DataFrame({"published": published, "month": month, "method": method, "other": other,
                      "subject": subject})
        .with_columns(
            # Five digits are left for the papers of a month: spread, so that ids look drawn.
            number=1_000 + pl.int_range(pl.len()).over("month") * (98_000 // pl.len().over("month"))
        )
        .select(
            pl.format("{}.{}", "month", pl.col("number").cast(pl.String).str.zfill(5)).alias("id"),
            pl.format("{} and {} Methods for {}", "method", "other", "subject").alias("title"),
            pl.format(
                "We study {} from the side of {} learning.\nA simple recipe with\n{} objectives is "
                "compared on nine benchmarks,\nand what it costs is reported.",
                "subject", "method", pl.col("other").str.to_lowercase(),
            ).alias("summary"),
            "published",
        )
    )  # fmt: skip
    planted = written_by_hand(
        [row | {"published": instant(row["published"])} for row in cast.PAPERS],
        {"id": pl.String, "title": pl.String, "summary": pl.String, "published": pl.Int64},
    ).with_columns(pl.col("summary").fill_null("A short paper.\nIts summary has two lines."))
    papers = pl.concat([planted, crowd.filter(~pl.col("id").is_in(planted["id"].implode()))])
    dates = papers["published"].to_numpy()
    indexed = np.where(np.arange(len(dates)) < len(planted), dates, later(rng, dates, 4))
    return papers.with_columns(
        indexed=indexed, popularity=(rng.pareto(1.2, len(dates)) * 4).clip(0, 900)
    )


def make_authors(seed: int, papers: pl.DataFrame, crowd: Crowd) -> pl.DataFrame:
    """Authors in the order of their papers; a third get linked to an account, some weeks later."""
    rng = generator(seed, "authors")
    planted = pl.DataFrame(
        [
            (number, position, *author)
            for number, paper in enumerate(cast.PAPERS)
            for position, author in enumerate(paper["authors"])
        ],
        schema={"paper": pl.Int64, "position": pl.Int64, "name": pl.String, "account": pl.String,
                "status": pl.String},
        orient="row",
    )  # fmt: skip
    planted = planted.with_columns(
        linked_at=papers["published"].gather(planted["paper"]).clip(OLDEST) + DAY
    )
    first = len(cast.PAPERS)
    counts = np.minimum(1 + rng.poisson(3.5, len(papers) - first), 12)
    paper = first + np.repeat(np.arange(len(counts)), counts)
    size = len(paper)
    indexed = papers["indexed"].to_numpy()[paper]
    linked_at = later(rng, indexed, 40)
    account = crowd.user_at(rng, linked_at, 1.5)
    linked = rng.random(size) < 0.36
    given, family = draw(rng, words.GIVEN_NAMES, size), draw(rng, words.FAMILY_NAMES, size)
    status = draw(
        rng, {"claimed_verified": 0.55, "extracted_pending": 0.3, "admin_assigned": 0.15}, size
    )
    drawn = pl.DataFrame(
        {
            "paper": paper,
            "position": np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts),
            "name": pl.select(pl.format("{} {}", given, family)).to_series(),
            "row": pl.Series(account).set(pl.Series(~linked), None),
            "status": status.set(pl.Series(~linked), None),
            "linked_at": np.where(linked, linked_at, NEVER),
        }
    )
    rows = {account["name"]: row for row, account in enumerate(cast.ACCOUNTS)}
    planted = planted.with_columns(
        pl.col("account").replace_strict(rows, default=None, return_dtype=pl.Int64).alias("row")
    )
    authors = pl.concat([planted, drawn], how="diagonal_relaxed").sort("paper", "position")
    dates = papers["indexed"].to_numpy()[authors["paper"].to_numpy()]
    return authors.with_columns(
        object_ids(rng, dates).alias("_id"), hidden=rng.random(authors.height) < 0.02
    )
