"""Connections to the addresses that a resolver gives."""

import asyncio
import socket
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver
from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import not_found

BUFFER_BYTES = 256 * 1024


@dataclass(frozen=True)
class Streams:
    """The two ends of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        """End the connection, after what was written has gone out."""
        self.writer.close()


async def dial(url: URL, names: AbstractResolver, seconds: float) -> Streams:
    """A connection to the URL's host and port, at an address that `names` gives: a CheckedResolver where a caller
    chose the host.

    Raises FetchRefused, FetchFailed.
    """
    host, port = url.host or "", url.port or 0
    try:
        found = await names.resolve(host, port, socket.AF_UNSPEC)
    except OSError as error:
        raise not_found(host) from error
    reason = "no address"
    for address in found:
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(
                    address["host"], port, limit=BUFFER_BYTES, flags=socket.AI_NUMERICHOST
                )
            return Streams(reader, writer)
        except TimeoutError:
            reason = "it does not answer"
        except OSError as error:
            reason = error.strerror or type(error).__name__
    raise FetchFailed(f"{host} cannot be reached: {reason}.", retryable=True)
