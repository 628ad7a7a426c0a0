"""Which tasks a model or dataset is for: labels, splits, the graph, trained models, scores."""
