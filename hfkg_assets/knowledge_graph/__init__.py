"""From raw observations to the verified graph: entities, relations, verification, graph."""
