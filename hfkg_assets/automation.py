"""Jobs: which assets are materialized together."""

import dagster as dg

SNAPSHOT_LAYERS = ("hub", "entity", "relation", "verified", "rejected", "graph", "catalog")
LEARNING_LAYERS = (
    "feature", "classification", "tracing", "recommendation", "retrieval", "catalog",
)  # fmt: skip

plan = dg.define_asset_job(
    "plan",
    selection=dg.AssetSelection.assets(["hub", "crawl_plan"]).upstream(),
    description="List the Hub's repositories and count the requests of a crawl before it is made.",
)

crawl = dg.define_asset_job(
    "crawl",
    selection=dg.AssetSelection.groups("hub"),
    description="Crawl the Hub: the raw tables of a date, with their coverage.",
)

snapshot = dg.define_asset_job(
    "snapshot",
    selection=dg.AssetSelection.groups(*SNAPSHOT_LAYERS),
    description="Crawl the Hub and build the verified graph of a date.",
)

train = dg.define_asset_job(
    "train",
    selection=dg.AssetSelection.groups(*LEARNING_LAYERS),
    description="Features, splits and models on an existing snapshot's graph.",
)

export = dg.define_asset_job(
    "export",
    selection=dg.AssetSelection.groups("export"),
    description="An existing snapshot in the formats of other tools.",
)

torrent = dg.define_asset_job(
    "torrent",
    selection=dg.AssetSelection.groups("torrent"),
    description="The most used models of an existing snapshot: listed, downloaded, described.",
)

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("export", "torrent"),
    description="The whole way of a date: from the Hub to trained models.",
)

JOBS = [plan, crawl, snapshot, train, export, torrent, everything]
