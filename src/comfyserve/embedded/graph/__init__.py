"""What a node class declares and what a graph is to the executor: types, links, blockers, expansions."""
