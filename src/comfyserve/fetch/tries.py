"""Trying again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from comfyserve.core.errors import FetchFailed

DELAYS = (0.5, 2.0, 5.0)

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


async def with_tries(action: Callable[[], Awaitable[Result]], host: str, delays: Sequence[float] = DELAYS) -> Result:
    """What the action gives; after a retryable FetchFailed it is tried again, once after each delay in seconds."""
    for count, delay in enumerate(delays, 1):
        try:
            return await action()
        except FetchFailed as error:
            if not error.retryable:
                raise
            log.info("fetch.again", host=host, reason=error.message, tries=count)
        await asyncio.sleep(delay)
    return await action()
