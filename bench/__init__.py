"""Measurements that the README quotes. `script/bench` runs them; nothing here is a test."""
