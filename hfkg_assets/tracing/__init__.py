"""Which model does a derived model come from: triples, embeddings, evidence, what is predicted."""
