"""Prompts that wait, run and ended, as the routes show them."""
