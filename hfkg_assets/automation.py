"""Jobs: which assets are materialized together."""

import dagster as dg

SNAPSHOT_LAYERS = ("hub", "entity", "relation", "verified", "rejected", "graph", "catalog")
LEARNING_LAYERS = ("feature", "classification", "catalog")

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

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    description="The whole way of a date: from the Hub to trained models.",
)

JOBS = [snapshot, train, everything]
