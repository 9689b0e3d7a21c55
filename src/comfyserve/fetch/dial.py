"""Connections to checked addresses."""

import asyncio
import socket
from dataclasses import dataclass

from aiohttp import ThreadedResolver
from yarl import URL

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import CheckedResolver, Guard

BUFFER_BYTES = 256 * 1024


@dataclass(frozen=True)
class Streams:
    """The two ends of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        """End the connection, after what was written has gone out."""
        self.writer.close()


async def dial(url: URL, guard: Guard | None, seconds: float, *, tls: bool = False) -> Streams:
    """A connection to the URL's host and port, at an address that the guard allows; without a guard at any.

    Raises FetchRefused, FetchFailed.
    """
    host, port = url.host or "", url.port or 0
    names = CheckedResolver(guard) if guard is not None else ThreadedResolver()
    try:
        found = await names.resolve(host, port, socket.AF_UNSPEC)
    except OSError as error:
        raise FetchFailed(f"The host {host} cannot be found.", retryable=True) from error
    finally:
        await names.close()
    reason = "no address"
    for address in found:
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(
                    address["host"],
                    port,
                    limit=BUFFER_BYTES,
                    flags=socket.AI_NUMERICHOST,
                    ssl=tls,
                    server_hostname=host if tls else None,
                )
            return Streams(reader, writer)
        except TimeoutError:
            reason = "it does not answer"
        except OSError as error:
            reason = error.strerror or type(error).__name__
    raise FetchFailed(f"{host} cannot be reached: {reason}.", retryable=True)
