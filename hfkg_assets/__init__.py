"""The Hugging Face knowledge graph as Dagster assets: from raw observations to trained models."""
