"""The sample Hub's JSON records: how rows of a day look in the Hub's answers.

Belongs here: field names, which fields are optional, nesting. Does not: which rows an answer
holds (`server`), nor look-ups (`day_index`). Optional fields that are unknown are left out.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import yaml

from hfkg_resources.sample_hub import contents
from hfkg_resources.sample_hub.day_index import DayIndex

Record = dict[str, Any]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXPAND = {
    "model": _names(
        "author cardData config createdAt disabled downloads downloadsAllTime evalResults gated "
        "gguf inference inferenceProviderMapping lastModified library_name likes mask_token "
        "model-index pipeline_tag private safetensors sha siblings spaces tags transformersInfo "
        "trendingScore widgetData resourceGroup"
    ),
    "dataset": _names(
        "author cardData citation createdAt description disabled downloads downloadsAllTime gated "
        "lastModified likes mainSize paperswithcode_id private resourceGroup sha siblings tags "
        "trendingScore usedStorage"
    ),
    "space": _names(
        "author cardData createdAt datasets disabled lastModified likes models private region "
        "resourceGroup runtime sdk sha siblings subdomain tags trendingScore usedStorage"
    ),
}
"""Values of `expand` when listing."""

INFO_EXPAND = EXPAND | {
    "model": EXPAND["model"] | {"baseModels", "childrenModelCount", "usedStorage", "xetEnabled"}
}
"""Values of `expand` on a single repository."""

_MODEL_ROW = (
    "likes trendingScore private downloads tags pipeline_tag library_name createdAt modelId"
)
_DATASET_ROW = (
    "author disabled gated lastModified likes trendingScore private downloads description tags "
    "createdAt"
)
ROW = {
    "model": _names(_MODEL_ROW),
    "dataset": _names(_DATASET_ROW),
    "space": _names("likes trendingScore private sdk tags createdAt"),
}
"""Fields of a listing's rows by default."""

FULL = _names("author sha lastModified siblings cardData disabled gated")
"""Fields that `full=true` adds to a listing's rows."""

INFO = {
    "model": (ROW["model"] | FULL | {"config", "spaces"}) - {"trendingScore"},
    "dataset": ROW["dataset"] | FULL | {"citation"},
    "space": ROW["space"] | FULL | {"models", "datasets", "runtime", "subdomain"},
}
"""Fields of a single repository by default."""

_COLUMNS = {
    "createdAt": "created_at",
    "lastModified": "last_modified",
    "downloadsAllTime": "downloads_all_time",
    "trendingScore": "trending_score",
    "mainSize": "main_size",
    "modelId": "id",
}
_NULLABLE = ("citation", "description")
_SHOWN_SPACES = 100
"""The Hub cuts the list of Spaces that use a model at this length."""
_LINKED = 5
"""How many of the repositories citing a paper its record shows."""
_NO_ACCESS = {"isHf": False, "isHfAdmin": False, "isMod": False, "isUserFollowing": False}
_RUNTIME = {
    "stage": "RUNNING",
    "hardware": {"current": None, "requested": "cpu-basic"},
    "storage": None,
    "gcTimeout": 172_800,
    "replicas": {"current": 1, "requested": 1},
}


def instant(moment: datetime) -> str:
    """A date as the Hub writes it: UTC, milliseconds, `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def without_nulls(record: Record) -> Record:
    """The record less its unknown fields."""
    return {key: value for key, value in record.items() if value is not None}


# -- Repositories ---------------------------------------------------------------------------------


def repositories(
    index: DayIndex, kind: str, frame: pl.DataFrame, fields: Iterable[str]
) -> list[Record]:
    """Rows of models, datasets or Spaces with `_id`, `id` and the given fields."""
    wanted = {name: _COLUMNS.get(name, name) for name in ("_id", "id", *sorted(fields))}
    stored = {name: column for name, column in wanted.items() if column in frame.columns}
    derived = [name for name in wanted if name not in stored and name in _DERIVED]
    page = frame.select(pl.col(column).alias(name) for name, column in stored.items())
    records = [_as_json(row) for row in page.to_dicts()]
    for name in derived:
        derive = _DERIVED[name]
        for record, row in zip(records, frame.select(_BASE[kind]).to_dicts(), strict=True):
            if (value := derive(index, kind, row)) is not None:
                record[name] = value
    return records


def _as_json(row: Record) -> Record:
    record = {}
    for name, value in row.items():
        if value is None and name not in _NULLABLE:
            continue
        if isinstance(value, datetime):
            value = instant(value)
        elif name == "gated":
            value = False if value == "false" else value
        elif name == "siblings":
            value = [{"rfilename": file} for file in value]
        record[name] = value
    return record


_BASE = {
    "model": ["id", "base_relation", "base_ids"],
    "dataset": ["id"],
    "space": ["id"],
}


def _card_data(index: DayIndex, kind: str, row: Record) -> Any:
    readme = index.world.readme(kind, row["id"])
    return None if readme is None else front_matter(readme)


def front_matter(readme: bytes) -> Record | None:
    """The YAML head of a README as JSON, or None where there is none that parses."""
    text = readme.decode("utf-8", errors="replace").removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.startswith("---\n") or (end := text.find("\n---", 3)) < 0:
        return None
    try:
        head = yaml.load(text[4:end], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError):  # ValueError: an impossible date
        return None
    return head if isinstance(head, dict) else None


def _base_models(index: DayIndex, kind: str, row: Record) -> Record | None:
    ids = [index.renamed_repository("model", base) for base in row["base_ids"] or ()]
    found = [index.repository("model", base) for base in ids if base]
    models = [{"_id": base["_id"][0], "id": base["id"][0]} for base in found if base is not None]
    return {"relation": row["base_relation"], "models": models} if models else None


def _children(index: DayIndex, kind: str, row: Record) -> Record:
    counts = index.children.get(row["id"], {})
    return {name: counts.get(name, 0) for name in ("adapter", "merge", "quantized", "finetune")}


def _spaces(index: DayIndex, kind: str, row: Record) -> list[str]:
    return index.spaces_using["model"].rows(row["id"], limit=_SHOWN_SPACES)["space"].to_list()


def _config(index: DayIndex, kind: str, row: Record) -> Record | None:
    return contents.listed_config(index.world.file_facts(kind, row["id"]))


def _subdomain(index: DayIndex, kind: str, row: Record) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in row["id"].lower())


_DERIVED = {
    "private": lambda index, kind, row: False,
    "cardData": _card_data,
    "config": _config,
    "baseModels": _base_models,
    "childrenModelCount": _children,
    "spaces": _spaces,
    "runtime": lambda index, kind, row: _RUNTIME,
    "subdomain": _subdomain,
}


# -- Accounts -------------------------------------------------------------------------------------


def user_row(account: Record) -> Record:
    """An account in a list of likers, members, followers or followed ones."""
    row = {
        "_id": account["_id"],
        "avatarUrl": account["avatar_url"],
        "fullname": account["fullname"],
        "type": account["kind"],
    }
    if account["kind"] == "org":
        return row | {"name": account["name"]}
    return row | {"isPro": account["is_pro"], "user": account["name"]}


def people(index: DayIndex, names: pl.Series) -> list[Record]:
    """Rows of the accounts of these names; a name without an account has none."""
    numbers = index.account_names.rows
    rows = [number for name in names.to_list() if (number := numbers.get(name)) is not None]
    return [user_row(account) for account in index.world.accounts[rows].to_dicts()]


def owner(index: DayIndex, name: str) -> Record:
    """An account as owner of a collection or author of a repository."""
    account = index.account(name)
    if account is None:
        return {"name": name, "type": "user", **_NO_ACCESS}
    pays = {"plan": account["plan"]} if account["plan"] else {}
    standing = {"isPro": account["is_pro"]} if account["kind"] == "user" else pays
    return {
        "_id": account["_id"],
        "avatarUrl": account["avatar_url"],
        "fullname": account["fullname"],
        "name": name,
        "type": account["kind"],
        "followerCount": index.followers.size(name),
        **standing,
        **_NO_ACCESS,
    }


def _published(index: DayIndex, name: str) -> Record:
    return {
        f"num{kind.capitalize()}s": counts.get(name, 0) for kind, counts in index.published.items()
    } | {"numKernels": 0, "numBuckets": 0}


def user_overview(index: DayIndex, account: Record) -> Record:
    """`GET /api/users/{name}/overview`."""
    name = account["name"]
    following = index.following.rows(name)["followed_kind"]
    orgs_followed = int((following == "org").sum())
    record = user_row(account) | _published(index, name)
    return record | without_nulls(
        {
            "numDiscussions": 0,
            "numPapers": index.papers_of.get(name, 0),
            "numUpvotes": 0,
            "numLikes": index.likes_of.size(name),
            "numFollowers": index.followers.size(name),
            "numFollowing": len(following) - orgs_followed,
            "numFollowingOrgs": orgs_followed,
            "orgs": [
                {
                    "id": org["_id"],
                    "name": org["name"],
                    "fullname": org["fullname"],
                    "avatarUrl": org["avatarUrl"],
                }
                for org in people(index, index.memberships.rows(name)["org"])
            ],
            "isFollowing": False,
            "details": account["details"],
            "hardwareItems": [],
            "createdAt": instant(account["created_at"]),
        }
    )


def organization_overview(index: DayIndex, account: Record) -> Record:
    """`GET /api/organizations/{name}/overview`; as on the Hub without `type` and `createdAt`."""
    name = account["name"]
    return without_nulls(
        {
            "_id": account["_id"],
            "avatarUrl": account["avatar_url"],
            "fullname": account["fullname"],
            "name": name,
            "details": account["details"],
            "plan": account["plan"],
            "isVerified": False,
            "isFollowing": False,
            "numUsers": index.members.size(name),
            **_published(index, name),
            "numPapers": 0,
            "numFollowers": index.followers.size(name),
        }
    )


# -- Collections ----------------------------------------------------------------------------------


def collections(
    index: DayIndex, frame: pl.DataFrame, *, items: int | None, detail: bool
) -> list[Record]:
    """Collections with at most `items` items each; `position` and `shareUrl` only in detail."""
    rows = frame.to_dicts()
    shown = [row["items"][:items] for row in rows]
    known = _item_facts(index, (item for listed in shown for item in listed))
    return [
        _collection(index, row, [_item(item, known) for item in listed], detail)
        for row, listed in zip(rows, shown, strict=True)
    ]


def light_collection(row: Record) -> Record:
    """A collection's row where `expand=false`."""
    return {
        "slug": row["slug"],
        "title": row["title"],
        "private": False,
        "upvotes": row["upvotes"],
        "name": row["owner"],
    }


def _collection(index: DayIndex, row: Record, items: list[Record], detail: bool) -> Record:
    record = {
        "slug": row["slug"],
        "title": row["title"],
        "description": row["description"],
        "gating": False,
        "lastUpdated": instant(row["last_updated"]),
        "owner": owner(index, row["owner"]),
        "items": items,
        "theme": row["theme"],
        "private": False,
        "upvotes": row["upvotes"],
        "isUpvotedByUser": False,
    }
    if detail:
        share_url = f"https://hf.co/collections/{row['slug'][:-25]}"
        record |= {"position": row["position"], "shareUrl": share_url}
    return without_nulls(record)


def _item(item: Record, known: dict[tuple[str, str], Record]) -> Record:
    record = {**known.get((item["type"], item["id"]), {})}
    record |= {name: item[name] for name in ("_id", "id", "type", "position")}
    if item.get("slug"):
        record["slug"] = item["slug"]
    if item.get("note"):
        record["note"] = {"html": html.escape(item["note"]), "text": item["note"]}
    return record


_ITEM_FIELDS = {
    "model": "author downloads gated lastModified likes pipeline_tag private",
    "dataset": "author downloads gated lastModified likes private",
    "space": "author createdAt lastModified likes sdk tags private disabled title emoji runtime",
}


def _item_facts(index: DayIndex, items: Iterable[Record]) -> dict[tuple[str, str], Record]:
    """What is told of each item besides its place; all items of a kind are read at once."""
    ids: dict[str, set[str]] = {}
    for item in items:
        ids.setdefault(item["type"], set()).add(item["id"])
    facts: dict[tuple[str, str], Record] = {}
    for kind, fields in _ITEM_FIELDS.items():
        numbers = index.repository_names[kind].rows
        rows = sorted(numbers[name] for name in ids.get(kind, ()) if name in numbers)
        frame = index.repositories(kind)[rows]
        for record in repositories(index, kind, frame, fields.split()):
            record |= {"repoType": kind, "isLikedByUser": False}
            if kind != "dataset" and record.get("author"):  # the Hub tells it of these two only
                record["authorData"] = owner(index, record["author"])
            facts[kind, record["id"]] = record
    for paper_id in ids.get("paper", set()) & index.paper_rows.keys():
        row = index.papers.row(index.paper_rows[paper_id], named=True)
        facts["paper", paper_id] = {
            "title": row["title"],
            "publishedAt": instant(row["published_at"]),
            "upvotes": row["upvotes"],
            "isUpvotedByUser": False,
        }
    return facts


# -- Papers ---------------------------------------------------------------------------------------


def paper(index: DayIndex, row: Record) -> Record:
    """A paper as in the listing of papers."""
    return {
        "id": row["id"],
        "title": row["title"],
        "upvotes": row["upvotes"],
        "publishedAt": instant(row["published_at"]),
        "authors": [_author(index, author) for author in row["authors"]],
        "summary": row["summary"],
    }


def paper_detail(index: DayIndex, row: Record) -> Record:
    """`GET /api/papers/{id}`: with who cites it."""
    record = paper(index, row) | {"discussionId": _derived_id(f"discussion {row['id']}")}
    for kind, citing in index.citing.items():
        rows = [
            index.repository_names[kind].rows[repo_id]
            for repo_id in citing.rows(row["id"], limit=_LINKED)["id"].to_list()
        ]
        plural = f"{kind.capitalize()}s"
        fields = _ITEM_FIELDS[kind].split()
        record[f"linked{plural}"] = repositories(
            index, kind, index.repositories(kind)[rows], fields
        )
        record[f"numTotal{plural}"] = citing.size(row["id"])
    return record | _submission(index, row)


def daily_paper(index: DayIndex, row: Record) -> Record:
    """An item of `GET /api/daily_papers`."""
    submission = _submission(index, row)
    submitter = submission["submittedOnDailyBy"]
    record = paper(index, row)
    return {
        "paper": record | submission,
        "publishedAt": record["publishedAt"],
        "title": record["title"],
        "summary": record["summary"],
        "thumbnail": f"https://cdn-thumbnails.invalid/papers/{row['id']}.png",
        "numComments": 0,
        "submittedBy": owner(index, submitter["user"]),
        "isAuthorParticipating": True,
    }


def submitter_of(row: Record) -> str | None:
    """The user who put a paper on the daily list: its first confirmed author."""
    confirmed = ("claimed_verified", "admin_assigned")
    return next(
        (author["user"] for author in row["authors"] if author["status"] in confirmed), None
    )


def submitted_at(row: Record) -> datetime:
    """When a paper came on the daily list: the midnight after its publication."""
    day = row["published_at"].replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def _submission(index: DayIndex, row: Record) -> Record:
    name = submitter_of(row)
    if name is None:
        return {}
    return {
        "submittedOnDailyAt": instant(submitted_at(row)),
        "submittedOnDailyBy": _linked_user(index, name),
    }


def _author(index: DayIndex, author: Record) -> Record:
    record = {"_id": author["_id"], "name": author["name"], "hidden": author["hidden"]}
    if author["user"] is None:
        return record
    changed = author["status_changed_at"]
    return record | without_nulls(
        {
            "user": _linked_user(index, author["user"]),
            "status": author["status"],
            "statusLastChangedAt": changed and instant(changed),
        }
    )


def _linked_user(index: DayIndex, name: str) -> Record:
    account = index.account(name)
    if account is not None:
        return user_row(account) | {"name": name}
    # A removed account lives on in what papers keep of it.
    return {
        "_id": _derived_id(f"account {name}"),
        "avatarUrl": f"/avatars/{_derived_id(name)}.svg",
        "isPro": False,
        "fullname": name,
        "user": name,
        "type": "user",
        "name": name,
    }


def _derived_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
