"""The outside world: the Hub, the sample Hub and the disk. Knows nothing of the graph."""
