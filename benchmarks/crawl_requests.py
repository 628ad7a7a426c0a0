"""Requests of a first full crawl, against the way HuggingKG makes one, on the same sample Hub.

    .venv/bin/python benchmarks/crawl_requests.py [--repositories 1500]

HuggingKG's way is made for real, call by call, as its published code does: README by HEAD and GET
through the redirect, one detail request per Space, likers of every repository, detail of every
collection, one request per cited paper, both overviews for a name of unknown kind, then overview,
followers and members again. Both sides are counted by the server.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import requests

from hfkg_assets.automation import SNAPSHOT_LAYERS
from hfkg_assets.definitions import build_defs
from hfkg_resources.sample_hub.server import RunningServer, create_app, serve
from hfkg_resources.sample_hub.world import World


class HuggingKG:
    """HuggingKG's calls, in its order, against one address."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.users: set[str] = set()
        self.papers: set[str] = set()

    def get(self, path: str, **params: Any) -> Any:
        """An answer's JSON, or None where there is none, as HuggingKG does."""
        answer = self.session.get(self.base + path, params=params)
        return answer.json() if answer.status_code == 200 else None

    def walk(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Rows of all pages."""
        answer = self.session.get(self.base + path, params=params)
        while answer.status_code == 200:
            yield from answer.json()
            if "next" not in answer.links:
                return
            answer = self.session.get(answer.links["next"]["url"])

    def readme(self, path: str) -> None:
        """HEAD, then GET where the HEAD found something."""
        url = f"{self.base}{path}/resolve/main/README.md"
        if self.session.head(url, allow_redirects=True).status_code == 200:
            self.session.get(url)

    def run(self) -> None:
        """The whole construction."""
        for _ in range(2):  # once for the tasks, once more for its tag maps
            self.get("/api/models-tags-by-type")
            self.get("/api/datasets-tags-by-type")
        self.get("/api/tasks")
        listed = {
            kind: list(self.walk(f"/api/{kind}", limit=1000, full="true"))
            for kind in ("models", "datasets", "spaces")
        }
        for row in listed["models"]:
            self.readme(f"/{row['id']}")
        for row in listed["datasets"]:
            self.readme(f"/datasets/{row['id']}")
        for row in listed["spaces"]:
            self.get(f"/api/spaces/{row['id']}")
        for kind, rows in listed.items():
            for row in rows:
                likers = self.walk(f"/api/{kind}/{row['id']}/likers")
                self.users.update(liker["user"] for liker in likers)
            self.cite(tag for row in rows for tag in row["tags"])
        unknown = {row["id"].split("/")[0] for rows in listed.values() for row in rows}
        for row in list(self.walk("/api/collections", limit=100)):
            detail = self.get(f"/api/collections/{row['slug']}")
            self.papers.update(i["id"] for i in detail["items"] if i["type"] == "paper")
        for paper in self.papers:
            found = self.get(f"/api/papers/{paper}")
            authors = found["authors"] if found else []
            self.users.update(a["user"]["user"] for a in authors if "user" in a)
        self.people(unknown - self.users)

    def cite(self, tags: Iterable[str]) -> None:
        """Notes the papers of arXiv tags."""
        self.papers.update(tag[6:] for tag in tags if re.match(r"arxiv:", tag))

    def people(self, unknown: set[str]) -> None:
        """Tells users from organizations, then asks for everything around each."""
        organizations = set()
        for name in unknown:
            if self.get(f"/api/users/{name}/overview"):
                self.users.add(name)
            if self.get(f"/api/organizations/{name}/overview"):
                organizations.add(name)
        for name in organizations:
            self.get(f"/api/organizations/{name}/overview")
            list(self.walk(f"/api/organizations/{name}/followers"))
            list(self.walk(f"/api/organizations/{name}/members"))
        for name in self.users:
            self.get(f"/api/users/{name}/overview")
            list(self.walk(f"/api/users/{name}/followers"))


def hfkg(server: RunningServer) -> None:
    """hfkg's crawl: the `hub` assets of today's snapshot, from an empty store."""
    with tempfile.TemporaryDirectory() as root:
        defs = build_defs({"HFKG_SOURCE": "hub", "HF_ENDPOINT": server.url, "HFKG_ROOT": root})
        job = dg.define_asset_job("crawl", selection=dg.AssetSelection.groups(SNAPSHOT_LAYERS[0]))
        merged = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
        merged.resolve_job_def("crawl").execute_in_process(
            instance=dg.DagsterInstance.ephemeral(),
            partition_key=str(datetime.now(UTC).date()),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )


def main() -> None:
    """Makes both crawls and prints what each asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=1_500)
    repositories = parser.parse_args().repositories
    counts = {}
    with serve(create_app(World(repositories=repositories))) as server:
        before = server.buckets.copy()
        HuggingKG(server.url).run()
        counts["HuggingKG's way"] = server.buckets - before
        before = server.buckets.copy()
        hfkg(server)
        counts["hfkg, first crawl"] = server.buckets - before
    print(f"| {repositories:,} repositories | api | resolvers | all |")
    print("| --- | ---: | ---: | ---: |")
    for way, count in counts.items():
        print(f"| {way} | {count['api']:,} | {count['resolvers']:,} | {count.total():,} |")
    plain, own = (count.total() for count in counts.values())
    print(f"\n{own / plain:.3f} of the requests\n")
    print(json.dumps({"huggingkg_requests": plain, "first_crawl_requests": own}))


if __name__ == "__main__":
    main()
