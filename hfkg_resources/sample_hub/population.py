"""Everything that ever is in the sample world, with its dates: built once, column by column.

Belongs here: the tables and the order in which they are made. Does not: how each is drawn
(`people`, `papers`, `repositories`, `models`, `curation`, `social`, `tastes`), nor how the world
looks on a day (`world`).

Nothing loops over rows: numpy draws, Polars joins and writes the texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from hfkg_resources.sample_hub.curation import make_collections, make_items
from hfkg_resources.sample_hub.models import make_models
from hfkg_resources.sample_hub.papers import make_authors, make_papers
from hfkg_resources.sample_hub.people import Crowd, make_accounts
from hfkg_resources.sample_hub.repositories import make_datasets, make_spaces
from hfkg_resources.sample_hub.social import make_follows, make_likes, make_members


@dataclass(frozen=True)
class Population:
    """All there ever is.

    Attributes:
        accounts: `name first_name renamed_at kind created deleted fullname is_pro details
            avatar_url members_hidden plan _id`.
        repositories: by kind, `_id key created deleted first_id second_id third_id renamed_at
            renamed_again_at gated gated_from disabled_from edit_every edits popularity
            unlisted_likes tags siblings` and what a card tells; models also `base_relation`,
            `base_ids`, Spaces `sdk title emoji models datasets`, and so on.
        papers: `id title summary published indexed popularity`.
        authors: `paper position name row account status linked_at hidden _id`, sorted by the first
            two; linked is the account of that row, or one of that name that is no more.
        likes: by kind, `repo user at`, sorted by `at`; `repo` and `user` are row numbers.
        follows: `follower followed at`, row numbers of accounts.
        members: `org user at`, row numbers of accounts.
        collections: `_id owner title description theme created popularity`.
        items: `collection type target id note added _id`; `target` is the row number among all
            models, then datasets, Spaces and papers, or -1 where the text is all there is.
    """

    accounts: pl.DataFrame
    repositories: Mapping[str, pl.DataFrame]
    papers: pl.DataFrame
    authors: pl.DataFrame
    likes: Mapping[str, pl.DataFrame]
    follows: pl.DataFrame
    members: pl.DataFrame
    collections: pl.DataFrame
    items: pl.DataFrame


def populate(seed: int, repositories: int) -> Population:
    """Builds the world.

    Args:
        seed: what everything is drawn from.
        repositories: models, datasets and Spaces alive on the nominal day, within a few per cent.
    """
    accounts = make_accounts(seed, repositories)
    crowd = Crowd.of(accounts)
    papers = make_papers(seed, repositories)
    datasets = make_datasets(seed, repositories, crowd, papers)
    models = make_models(seed, repositories, crowd, papers, datasets)
    spaces = make_spaces(seed, repositories, crowd, models, datasets)
    tables = {"model": models, "dataset": datasets, "space": spaces}
    collections = make_collections(seed, repositories, crowd)
    return Population(
        accounts=accounts,
        repositories=tables,
        papers=papers,
        authors=make_authors(seed, papers, crowd),
        likes=make_likes(seed, tables, crowd, repositories),
        follows=make_follows(seed, repositories, crowd),
        members=make_members(seed, repositories, crowd),
        collections=collections,
        items=make_items(seed, collections, tables, papers),
    )
