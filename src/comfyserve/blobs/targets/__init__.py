"""Targets: a caller's own bucket, Hugging Face repository or address for HTTP PUT."""

from comfyserve.blobs.targets.build import OpenTargets, TargetOptions, check_wish

__all__ = ["OpenTargets", "TargetOptions", "check_wish"]
