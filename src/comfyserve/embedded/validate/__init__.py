"""A graph before it is queued: every node held against its declaration."""
