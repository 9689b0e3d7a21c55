"""Collect: what an engine made is streamed to our storage, whatever its kind."""

from comfyserve.work.collect.collect import Collect

__all__ = ["Collect"]
