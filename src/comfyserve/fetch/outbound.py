"""The outbound policy for what writes outside: targets of callers (`blobs.targets.outside` says what they need)."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from comfyserve.core.credentials import Auth
from comfyserve.core.errors import FetchRefused
from comfyserve.fetch.bucket_url import Kind, Place
from comfyserve.fetch.buckets import OpenedBucket, client, plan
from comfyserve.fetch.child import environment, run_child
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.hf import PROXY_VARIABLES, SAFE_ENVIRONMENT
from comfyserve.fetch.proxy import GuardingProxy, Lease


@dataclass(frozen=True)
class Bucket:
    """A client of a bucket, and the address of its service."""

    store: Any
    endpoint: str


class Outbound:
    """Ways out under the policy. `own` is the environment with the server's credentials; empty: they are not lent.

    `trusted` are the `host:port` that the operator configured, such as a mirror of Hugging Face."""

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
    async def passage(self) -> AsyncIterator["OutboundPassage"]:
        """A way out through the guarding proxy, for one piece of work."""
        own_places = [opened for kind in ("s3", "azure", "gcs") for opened in _own_places(kind, self._own)]
        async with self._proxy.lease([*self._trusted, *own_places]) as lease:
            yield OutboundPassage(lease, self._own)

    def session(self, *, connect_seconds: float, idle_seconds: float) -> aiohttp.ClientSession:
        """An HTTP session that reaches checked addresses only."""
        return self._guard.session(connect_seconds=connect_seconds, idle_seconds=idle_seconds)

    async def allow(self, url: str) -> tuple[URL, str | None]:
        """The URL, if it may be called, and the forward proxy for it. Raises FetchRefused, FetchFailed."""
        checked = self._guard.check_url(url)
        return checked, await self._guard.proxy_for(checked)


@dataclass(frozen=True)
class OutboundPassage:
    """One lease of the proxy."""

    lease: Lease
    own: Mapping[str, str] = field(repr=False)

    @property
    def trouble(self) -> str:
        """What the policy refused, or which host was not reached; empty when neither."""
        return self.lease.trouble.message if self.lease.trouble is not None else ""

    @property
    def refused(self) -> bool:
        """Whether the trouble is a refusal."""
        return isinstance(self.lease.trouble, FetchRefused)

    def bucket(self, kind: Kind, name: str, auth: Auth | None, idle_seconds: float) -> Bucket:
        """A bucket with the caller's credentials, at the place that they name or its provider's; without them with the
        server's own, at the server's place. Raises FetchRefused."""
        opened = plan(Place(kind, name, ()), auth, {} if auth is not None else self.own)
        return Bucket(client(opened, self.lease.url, idle_seconds), _endpoint(opened))

    async def run(self, program: Path, arguments: Sequence[str], own: Mapping[str, str], folder: Path) -> int:
        """Run a Python program of ours whose only way out is the proxy; its exit status."""
        variables = dict(SAFE_ENVIRONMENT) | dict.fromkeys(PROXY_VARIABLES, self.lease.url)
        variables |= {"HOME": str(folder), "TMPDIR": str(folder)} | dict(own)
        ended = await run_child((sys.executable, "-I", str(program), *arguments), environment(variables), cwd=folder)
        return ended.status


def place_of(url: str) -> str:
    """The `host:port` of an address that the operator configured."""
    read = URL(url)
    return f"{read.host}:{read.port}"


def _own_places(kind: Kind, own: Mapping[str, str]) -> tuple[str, ...]:
    """Where the operator's own buckets are, if credentials for them are lent."""
    try:
        return plan(Place(kind, "any", ()), None, own).trusted if own else ()
    except FetchRefused:
        return ()


def _endpoint(opened: OpenedBucket) -> str:
    return str(opened.options.get("endpoint") or opened.options.get("base_url") or "")
