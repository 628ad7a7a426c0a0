"""Requests of a first crawl and of the next day's, against HuggingKG's way, on one sample Hub.

    .venv/bin/python benchmarks/crawl_requests.py [--repositories 20000]

HuggingKG's way is made for real, call by call, as its published code does: README by HEAD and GET
through the redirect, one detail request per Space, likers of every repository, detail of every
collection, one request per cited paper, both overviews for a name of unknown kind, then overview,
followers and members again. Its left-in caps (a thousand repositories of a kind, a hundred
collections) are lifted, and where its code would stop at a record, it goes on. Its log-in is left
out.

The server runs in a process of its own and counts; neither side's own figures are used.
"""

import argparse
import json
import multiprocessing
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Self

import dagster as dg
import polars as pl
import requests
from requests.adapters import HTTPAdapter

from hfkg_assets.definitions import build_defs
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub.gate import RequestLine
from hfkg_resources.sample_hub.quotas import UNLIMITED, bucket_of
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.sample_hub.world import World
from hfkg_resources.sources import HubSource
from hfkg_resources.warehouse import Warehouse

FIRST_DAY, NEXT_DAY = date(2026, 11, 23), date(2026, 11, 24)
THREADS = 16
PROGRESS = 5_000

_REPOSITORY = r"/api/(?:models|datasets|spaces)"
CALLS = {
    "tasks, tag vocabularies": r"/api/tasks|.*-tags-by-type",
    "repository listings": _REPOSITORY,
    "README.md": r".*/resolve/.*|/api/resolve-cache/.*",
    "likers": rf"{_REPOSITORY}/.*/likers",
    "one repository": rf"{_REPOSITORY}/.*",
    "collection listing": r"/api/collections",
    "one collection": r"/api/collections/.*",
    "paper listing": r"/api/papers",
    "one paper": r"/api/papers/.*",
    "user overview": r"/api/users/.*/overview",
    "organization overview": r"/api/organizations/.*/overview",
    "followers of a user": r"/api/users/.*/followers",
    "followers of an organization": r"/api/organizations/.*/followers",
    "members of an organization": r"/api/organizations/.*/members",
    "other": r".*",
}
"""Classes of calls, each with the paths it takes; the first that matches counts."""


# -- The server -----------------------------------------------------------------------------------


def call_of(line: RequestLine) -> tuple[str, str]:
    """Bucket and class of a request."""
    path = re.sub(r"^/\d{4}-\d\d-\d\d|\?.*", "", line.path)
    name = next(name for name, pattern in CALLS.items() if re.fullmatch(pattern, path))
    if name == "README.md":
        hop = ", redirect" if 300 <= line.status < 400 else ""
        name = f"{name}, {line.method}{hop}"
    return bucket_of(path), name


def _serve(pipe: Connection, repositories: int) -> None:
    with serve(create_app(World(repositories=repositories), quotas=UNLIMITED)) as server:
        lines = server.log_requests()
        pipe.send(server.url)
        while pipe.recv():
            taken = lines[:]
            del lines[: len(taken)]  # before the answer: the next request may follow it at once
            pipe.send(Counter(map(call_of, taken)))


class SampleHub:
    """A sample Hub without quotas in a process of its own; a context manager that stops it.

    Attributes:
        url: its address.
    """

    def __init__(self, repositories: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(other_end, repositories), daemon=True)
        self._process.start()
        self.url: str = self._pipe.recv()

    def new_requests(self) -> Counter[tuple[str, str]]:
        """Requests since this was last asked, by bucket and class of call."""
        self._pipe.send(True)
        return self._pipe.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(False)
        self._process.join()


# -- HuggingKG ------------------------------------------------------------------------------------


class HuggingKG:
    """HuggingKG's calls, stage by stage in its order, against one address."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.mount("http://", HTTPAdapter(pool_maxsize=THREADS, pool_block=True))
        self.spaces: set[str] = set()
        self.names: set[str] = set()
        self.users: set[str] = set()
        self.organizations: set[str] = set()
        self.papers: set[str] = set()

    def run(self) -> None:
        """The whole construction."""
        self.get("/api/tasks")
        for _ in ("the tasks", "its tag maps"):
            self.get("/api/models-tags-by-type")
            self.get("/api/datasets-tags-by-type")
        models = self.publications("models", full=True)
        each("model cards", self.read_card, (f"/{row['id']}" for row in models))
        datasets = self.publications("datasets", full=True)
        each("dataset cards", self.read_card, (f"/datasets/{row['id']}" for row in datasets))
        spaces = self.walk("/api/spaces", limit=1_000)
        each("Spaces", self.see_space, (row["id"] for row in spaces))
        for kind, ids in (
            ("models", {row["id"] for row in models}),
            ("datasets", {row["id"] for row in datasets}),
            ("spaces", self.spaces),
        ):
            each(f"likers of {kind}", self.see_likers, (f"/api/{kind}/{name}" for name in ids))
        slugs = [row["slug"] for row in self.walk("/api/collections", limit=100)]
        each("collections", self.see_collection, slugs)
        each("papers", self.see_paper, self.papers)
        unknown = self.names - self.users - self.organizations
        each("names", self.classify, unknown)
        each("organizations", self.see_organization, self.organizations)
        each("users", self.see_user, self.users)

    def get(self, path: str) -> Any:
        """An answer's JSON, or None where there is none."""
        answer = self.session.get(self.base + path)
        return answer.json() if answer.status_code == 200 else None

    def walk(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Rows of all pages."""
        rows: list[dict[str, Any]] = []
        answer = self.session.get(self.base + path, params=params)
        while answer.status_code == 200:
            rows += answer.json()
            if "next" not in answer.links:
                break
            answer = self.session.get(answer.links["next"]["url"])
        return rows

    def publications(self, kind: str, **params: Any) -> list[dict[str, Any]]:
        """The listing of models or datasets, which names authors and papers."""
        rows = self.walk(f"/api/{kind}", limit=1_000, **params)
        # A repository without a namespace has no author: HuggingKG asks for the name "None".
        self.names.update(str(row.get("author")) for row in rows)
        tags = (tag for row in rows for tag in row["tags"])
        self.papers.update(tag.split(":")[1] for tag in tags if tag.startswith("arxiv:"))
        return rows

    def read_card(self, path: str) -> None:
        """HEAD for the size, then GET where there is a README; both follow the redirect."""
        url = f"{self.base}{path}/resolve/main/README.md"
        if self.session.head(url, allow_redirects=True).status_code == 200:
            self.session.get(url)

    def see_space(self, name: str) -> None:
        """A Space's detail, which names its author."""
        space = self.get(f"/api/spaces/{name}")
        if space and "author" in space:
            self.spaces.add(space["id"])
            self.names.add(space["author"])

    def see_likers(self, path: str) -> None:
        """The users who like a repository."""
        self.users.update(row["user"] for row in self.walk(f"{path}/likers"))

    def see_collection(self, slug: str) -> None:
        """A collection's detail, which names papers, and its owner with his kind."""
        if collection := self.get(f"/api/collections/{slug}"):
            owner = collection["owner"]
            (self.users if owner["type"] == "user" else self.organizations).add(owner["name"])
            items = collection["items"]
            self.papers.update(item["id"] for item in items if item["type"] == "paper")

    def see_paper(self, paper: str) -> None:
        """A paper's detail, which names users."""
        if found := self.get(f"/api/papers/{paper}"):
            authors = (author.get("user") or {} for author in found["authors"])
            self.users.update(user["user"] for user in authors if "user" in user)

    def classify(self, name: str) -> None:
        """Both overviews of a name of unknown kind."""
        if self.get(f"/api/users/{name}/overview"):
            self.users.add(name)
        if self.get(f"/api/organizations/{name}/overview"):
            self.organizations.add(name)

    def see_organization(self, name: str) -> None:
        """Everything around an organization."""
        self.get(f"/api/organizations/{name}/overview")
        self.walk(f"/api/organizations/{name}/followers")
        self.walk(f"/api/organizations/{name}/members")

    def see_user(self, name: str) -> None:
        """Everything around a user."""
        self.get(f"/api/users/{name}/overview")
        self.walk(f"/api/users/{name}/followers")


def each(stage: str, call: Callable[[str], None], items: Iterable[str]) -> None:
    """Calls for each item in threads: requests are counted, so their order does not matter."""
    items = list(items)
    with ThreadPoolExecutor(THREADS) as pool:
        for done, _ in enumerate(pool.map(call, items), start=1):
            if done % PROGRESS == 0 or done == len(items):
                print(f"  {stage}: {done:,} of {len(items):,}", file=sys.stderr)


# -- hfkg -----------------------------------------------------------------------------------------


class DatedHub(HubSource):
    """The live source, but for a Hub that shows each day under its date."""

    def client(self, day: str) -> HubClient:
        """A client that sees the Hub as it was on a day."""
        return HubClient(f"{self.endpoint}/{day}")


def crawl(url: str, day: date, root: str) -> pl.DataFrame:
    """hfkg's crawl: all `hub` assets of a day's snapshot.

    Args:
        url: address of the sample Hub.
        day: the snapshot date.
        root: the store, with or without an earlier snapshot.

    Returns:
        `hub/coverage`.

    Raises:
        RuntimeError: something was not fetched: such a crawl's requests mean nothing.
    """
    hub = DatedHub(source="hub", endpoint=url)
    defs = build_defs({"HFKG_ROOT": root}, overrides={"hub": hub})
    with dg.DagsterInstance.ephemeral() as instance:
        defs.resolve_job_def("crawl").execute_in_process(
            instance=instance,
            partition_key=str(day),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )
    coverage = Warehouse(root=root).scan("hub/coverage", day).collect()
    if failed := int(coverage["failed"].sum()):
        raise RuntimeError(f"{failed} units of the crawl of {day} failed")
    return coverage


# -- The table ------------------------------------------------------------------------------------


def table(counts: dict[str, Counter[tuple[str, str]]]) -> str:
    """Requests by class of call and by bucket, as Markdown; one column per crawl."""
    calls = sorted(set().union(*counts.values()), key=lambda call: (call[0], _place(call[1])))
    rows = [(name, [count[bucket, name] for count in counts.values()]) for bucket, name in calls]
    for bucket in sorted({bucket for bucket, _ in calls}):
        of_bucket = partial(_of_bucket, bucket)
        rows.append((f"**{bucket} bucket**", [of_bucket(count) for count in counts.values()]))
    rows.append(("**all**", [count.total() for count in counts.values()]))
    lines = [f"| requests | {' | '.join(counts)} |", f"| --- {'| ---: ' * len(counts)}|"]
    lines += [f"| {name} | {' | '.join(f'{n:,}' for n in row)} |" for name, row in rows]
    return "\n".join(lines)


def _place(name: str) -> tuple[int, str]:
    return list(CALLS).index(re.sub(r"^README.md.*", "README.md", name)), name


def _of_bucket(bucket: str, count: Counter[tuple[str, str]]) -> int:
    return sum(number for (of, _), number in count.items() if of == bucket)


def main() -> None:
    """Makes the three crawls and prints what each asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=20_000)
    repositories = parser.parse_args().repositories
    counts, deferred = {}, []
    with SampleHub(repositories) as hub, tempfile.TemporaryDirectory() as root:
        for name, day in {"hfkg, first crawl": FIRST_DAY, "hfkg, next day": NEXT_DAY}.items():
            print(name, file=sys.stderr)
            deferred.append(int(crawl(hub.url, day, root)["deferred"].sum()))
            counts[name] = hub.new_requests()
        print("HuggingKG's way", file=sys.stderr)
        HuggingKG(f"{hub.url}/{FIRST_DAY}").run()
        counts["HuggingKG's way"] = hub.new_requests()
    first, following, huggingkg = (count.total() for count in counts.values())
    print(f"{repositories:,} repositories\n\n{table(counts)}\n")
    print(f"first crawl / HuggingKG's way: {first / huggingkg:.3f} (goal: at most 0.25)")
    print(f"next day / first crawl: {following / first:.4f} (goal: at most 0.05)")
    print(f"units whose turn comes later: {deferred[0]:,}, on the next day {deferred[1]:,}\n")
    print(
        json.dumps(
            {
                "huggingkg_requests": huggingkg,
                "first_crawl_requests": first,
                "next_day_requests": following,
                "first_crawl_deferred": deferred[0],
                "next_day_deferred": deferred[1],
            }
        )
    )


if __name__ == "__main__":
    main()
