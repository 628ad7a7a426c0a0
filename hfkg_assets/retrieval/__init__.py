"""Finding things in the graph: search, similar, recommended, traced, lineage."""
