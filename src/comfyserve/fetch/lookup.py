"""Looking up the addresses of hosts, in threads of its own.

A name server that does not answer holds its thread for half a minute, whoever waits: those threads must not be the ones
that everything else shares.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from comfyserve.core.errors import FetchRefused

LOOKUPS = 16
LOOKUP_SECONDS = 10.0

GetAddrInfo = Callable[..., list[Any]]
"""As socket.getaddrinfo."""


class Lookup(AbstractResolver):
    """The system's resolver: `at_once` names at a time, each within `seconds`, the wait for a turn included."""

    def __init__(
        self,
        getaddrinfo: GetAddrInfo = socket.getaddrinfo,
        *,
        at_once: int = LOOKUPS,
        seconds: float = LOOKUP_SECONDS,
    ) -> None:
        self._getaddrinfo = getaddrinfo
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises OSError when it has none or the answer takes too long, FetchRefused when no
        host can have this name."""
        ask = partial(self._getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        future = asyncio.get_running_loop().run_in_executor(self._threads, ask)
        try:
            async with asyncio.timeout(self._seconds):
                found = await future
        except ValueError as error:  # UnicodeError of the idna codec: empty or long labels, half of a surrogate pair
            raise FetchRefused("The URL names a host that cannot exist.") from error
        return [_result(host, port, family_found, address) for family_found, _, _, _, address in found]

    async def close(self) -> None:
        """Nothing to let go of: idle threads end with this object."""


def _result(host: str, port: int, family: int, address: Any) -> ResolveResult:
    """What aiohttp's connector wants to know; the scope of a link-local address stays with it."""
    name = address[0]
    if family == socket.AF_INET6 and len(address) > 3 and address[3] and "%" not in name:
        name = f"{name}%{address[3]}"
    return ResolveResult(
        hostname=host, host=name, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )
