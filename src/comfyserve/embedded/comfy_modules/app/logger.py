"""The log as packs ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfyserve.embedded.packs.host import engine


def get_logs() -> list[dict[str, Any]]:
    """The latest log lines: {"t": time, "m": text}."""
    return list(engine().logs.entries())


def on_flush(callback: Callable[..., None]) -> None:
    """What is printed is kept for `get_logs` and not passed on: nothing calls back."""


def log_startup_warning(msg: str) -> None:
    """Log a warning."""
    import logging

    logging.getLogger(__name__).warning(msg)
