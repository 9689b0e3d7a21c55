"""Calls into the code of node packs, which may raise anything: SystemExit let through would end the whole engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Answer = TypeVar("Answer")

SHOWN_CHARACTERS = 10_000
"""How much of a foreign object's text a client is shown."""


@dataclass(frozen=True, slots=True)
class Raised:
    """What a foreign call raised instead of answering."""

    error: BaseException


def foreign(function: Callable[..., Answer], *given: Any) -> Answer | Raised:
    """The answer of function(*given); never raises."""
    try:
        return function(*given)
    except BaseException as error:
        return Raised(error)


async def foreign_async(awaitable: Awaitable[Answer]) -> Answer | Raised:
    """The same for what is awaited; raises only CancelledError, and only when the task that waits is cancelled."""
    try:
        return await awaitable
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return Raised(error)


def text_of(value: Any) -> str:
    """str(value), at most SHOWN_CHARACTERS of it; the name of its class when it fails at being shown."""
    text = foreign(lambda: str(value)[:SHOWN_CHARACTERS])
    return f"<{type(value).__name__}>" if isinstance(text, Raised) else text
