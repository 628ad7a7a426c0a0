"""A small sample Hub, and crawls against it outside Dagster."""

from datetime import date

import pytest

from hfkg_resources.crawl import Crawl
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub.faults import Faults
from hfkg_resources.sample_hub.server import create_app, serve
from hfkg_resources.scope import Scope

DAY = date(2026, 11, 24)


@pytest.fixture(scope="session")
def faults():
    return Faults(seed=1)


@pytest.fixture(scope="session")
def server(world, faults):
    with serve(create_app(world, faults=faults)) as running:
        yield running


@pytest.fixture
def new_crawl(server, tmp_path, faults):
    """Makes crawls of the day that share their journals."""
    faults.clear()
    clients = []

    def make(scope="all", social=True, endpoint=None):
        client = HubClient(endpoint or f"{server.url}/{DAY}", attempts=3, backoff_s=0.01)
        clients.append(client)
        return Crawl(
            client=client,
            scope=Scope.parse(scope),
            social=social,
            day=str(DAY),
            directory=tmp_path,
            workers=4,
        )

    yield make
    for client in clients:
        client.close()
    faults.clear()


@pytest.fixture
def crawl(new_crawl):
    return new_crawl()
