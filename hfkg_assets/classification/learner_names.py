"""The learners by name: what is trained, without importing what trains it."""

LEARNERS = {
    "logistic_regression": "Logistic regression on the features, one classifier per task",
    "mlp": "Multilayer perceptron on the features",
    "gcn": "Graph convolutional network (Kipf and Welling, arXiv 1609.02907)",
    "gat": "Graph attention network v2 (Brody et al., arXiv 2105.14491)",
    "sage": "GraphSAGE, mean aggregation (Hamilton et al., arXiv 1706.02216)",
    "transformer": "Graph Transformer with edge types (Shi et al., arXiv 2009.03509)",
    "rgcn": "Relational GCN over the typed graph with context (Schlichtkrull et al., 1703.06103)",
}
BASELINES = ("logistic_regression", "mlp")
"""Learners that see no graph: what a graph is worth is measured against them."""
