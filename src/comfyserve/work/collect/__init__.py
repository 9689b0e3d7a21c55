"""Collect: what an engine made is streamed to our storage, whatever its kind, converted and sent on if asked."""

from comfyserve.work.collect.collect import Collect, Collected
from comfyserve.work.collect.convert import NEEDS_IMAGES, Converter, ConvertLimits, conversion_available

__all__ = ["NEEDS_IMAGES", "Collect", "Collected", "ConvertLimits", "Converter", "conversion_available"]
