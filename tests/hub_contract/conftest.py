"""A small sample Hub on loopback for the contract tests, and ways to ask it."""

import os
from datetime import date

# Read when huggingface_hub is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")

import polars as pl
import pytest
import requests
from huggingface_hub import HfApi

from hfkg_resources.sample_hub.faults import Faults
from hfkg_resources.sample_hub.quotas import PLANS
from hfkg_resources.sample_hub.server import create_app, serve

DAY = date(2026, 11, 24)
TOKEN = "hf_valid"


class Asker:
    """Plain GETs below one address; redirects are not followed."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._session = requests.Session()
        self._session.trust_env = False

    def __call__(self, path, *, token=None, method="GET", headers=None, follow=False, **params):
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return self._session.request(
            method,
            path if path.startswith("http") else self.base + path,
            params=params,
            headers={**bearer, **(headers or {})},
            allow_redirects=follow,
            timeout=20,
        )

    def pages(self, path, **params):
        """The rows of each page of a walk to its end."""
        answer = self(path, **params)
        while True:
            assert answer.status_code == 200, answer.text
            yield answer.json()
            if "next" not in answer.links:
                return
            answer = self(answer.links["next"]["url"])

    def walk(self, path, **params):
        """All rows of a walk."""
        return [row for page in self.pages(path, **params) for row in page]


@pytest.fixture(scope="session")
def all_faults():
    return Faults(seed=1)


@pytest.fixture
def faults(all_faults):
    """The faults of the server; none before and after a test."""
    all_faults.clear()
    yield all_faults
    all_faults.clear()


@pytest.fixture(scope="session")
def server(world, all_faults):
    app = create_app(world, today=DAY, tokens={TOKEN: PLANS["pro"]}, faults=all_faults)
    with serve(app) as running:
        yield running


@pytest.fixture(scope="session")
def ask(server):
    return Asker(f"{server.url}/{DAY}")


@pytest.fixture(scope="session")
def api(ask):
    return HfApi(endpoint=ask.base, token=False)


@pytest.fixture(scope="session")
def open_model(day):
    """A model with a README that anyone may read, and with likers."""
    is_open = (pl.col("gated") == "false") & ~pl.col("disabled")
    has_card = pl.col("siblings").list.contains("README.md")
    liked = day.likes.filter(repo_kind="model").select(id="repo_id").unique()
    models = day.models.filter(is_open, has_card, pl.col("author").is_not_null())
    return models.join(liked, on="id", how="semi").sort("_id").row(0, named=True)


@pytest.fixture(scope="session")
def gated_model(day):
    gated = day.models.filter(pl.col("gated") != "false", ~pl.col("disabled"))
    return gated.row(0, named=True)
