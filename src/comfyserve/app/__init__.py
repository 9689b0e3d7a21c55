"""The composition: builds everything from settings. The only package that imports everybody."""

from comfyserve.app.base import open_storage
from comfyserve.app.platform import Platform, build, running, seed
from comfyserve.app.worker import working
from comfyserve.app.workers import install_engine, wanted_engines

__all__ = ["Platform", "build", "install_engine", "open_storage", "running", "seed", "wanted_engines", "working"]
