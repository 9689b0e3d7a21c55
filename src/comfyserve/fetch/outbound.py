"""The outbound policy for what writes outside: targets of callers (`blobs.targets.outside` says what they need)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from comfyserve.core.buckets import BucketKind
from comfyserve.core.credentials import Auth
from comfyserve.core.errors import FetchRefused
from comfyserve.fetch.bucket_url import Place
from comfyserve.fetch.buckets import OpenedBucket, client, plan
from comfyserve.fetch.child import environment, python_command, run_child
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.hf import PROXY_VARIABLES, SAFE_ENVIRONMENT
from comfyserve.fetch.proxy import GuardingProxy, Lease


@dataclass(frozen=True)
class Passage:
    """One lease of the proxy."""

    lease: Lease

    @property
    def trouble(self) -> str:
        """What the policy refused, or which host was not reached; empty when neither."""
        return self.lease.trouble.message if self.lease.trouble is not None else ""

    @property
    def refused(self) -> bool:
        """Whether the trouble is a refusal."""
        return isinstance(self.lease.trouble, FetchRefused)


@dataclass(frozen=True)
class OpenBucket(Passage):
    """A client of a bucket, and the address of its service."""

    store: Any
    endpoint: str


@dataclass(frozen=True)
class Programs(Passage):
    """Children that go out through the proxy only."""

    async def run(self, program: Path, arguments: Sequence[str], own: Mapping[str, str], folder: Path) -> int:
        """Run a Python program of ours whose only way out is the proxy; its exit status."""
        variables = dict(SAFE_ENVIRONMENT) | dict.fromkeys(PROXY_VARIABLES, self.lease.url)
        variables |= {"HOME": str(folder), "TMPDIR": str(folder)} | dict(own)
        ended = await run_child(python_command(program, arguments), environment(variables), cwd=folder)
        return ended.status


class Outbound:
    """Ways out under the policy. `own` is the environment with the server's credentials; empty: they are not lent.

    `trusted` are the `host:port` that the operator configured for programs, such as a mirror of Hugging Face."""

    def __init__(
        self,
        guard: Guard,
        proxy: GuardingProxy,
        *,
        own: Mapping[str, str] | None = None,
        trusted: Sequence[str] = (),
    ) -> None:
        self._guard = guard
        self._proxy = proxy
        self._own = dict(own or {})
        self._trusted = tuple(trusted)

    @asynccontextmanager
    async def bucket(
        self, kind: BucketKind, name: str, auth: Auth | None, idle_seconds: float
    ) -> AsyncIterator[OpenBucket]:
        """A bucket with the caller's credentials, at the place that they name or its provider's: the operator's own
        places are trusted only for the server's own credentials, which are used without the caller's.

        Raises FetchRefused."""
        opened = await asyncio.to_thread(plan, Place(kind, name, ()), auth, {} if auth is not None else self._own)
        async with self._proxy.lease(opened.trusted) as lease:
            store = await asyncio.to_thread(client, opened, lease.url, idle_seconds)
            yield OpenBucket(lease, store, _endpoint(opened))

    @asynccontextmanager
    async def programs(self) -> AsyncIterator[Programs]:
        """A way out for children of ours, for one piece of work."""
        async with self._proxy.lease(self._trusted) as lease:
            yield Programs(lease)

    def session(self, *, connect_seconds: float, idle_seconds: float) -> aiohttp.ClientSession:
        """An HTTP session that reaches checked addresses only."""
        return self._guard.session(connect_seconds=connect_seconds, idle_seconds=idle_seconds)

    async def allow(self, url: str) -> tuple[URL, str | None]:
        """The URL, if it may be called, and the forward proxy for it. Raises FetchRefused, FetchFailed."""
        checked = self._guard.check_url(url)
        return checked, await self._guard.proxy_for(checked)


def place_of(url: str) -> str:
    """The `host:port` of an address that the operator configured."""
    read = URL(url)
    return f"{read.host}:{read.port}"


def _endpoint(opened: OpenedBucket) -> str:
    return str(opened.options.get("endpoint") or opened.options.get("base_url") or "")
