"""What is known of a model or dataset as numbers: its text, its embedding, its BM25 scores."""
