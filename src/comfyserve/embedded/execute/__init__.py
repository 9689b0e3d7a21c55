"""Prompts executed: node by node, in one thread."""
