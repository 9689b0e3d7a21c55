"""What targets need of the outbound policy. They reach nothing but by it; the composition hands it in."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import aiohttp
from yarl import URL

from comfyserve.blobs.stream import Store
from comfyserve.core.buckets import BucketKind
from comfyserve.core.credentials import Auth


class Passage(Protocol):
    """One piece of work that goes out through the guarding proxy, until its context is left."""

    @property
    def trouble(self) -> str:
        """What the policy refused, or which host was not reached: a sentence, empty when neither."""

    @property
    def refused(self) -> bool:
        """Whether the trouble is a refusal, which another try does not change."""


class CallersBucket(Passage, Protocol):
    """A bucket opened under the policy."""

    @property
    def store(self) -> Store:
        """Its obstore client."""

    @property
    def endpoint(self) -> str:
        """The service's address."""


class Programs(Passage, Protocol):
    """Runs children whose only way out is the proxy."""

    async def run(self, program: Path, arguments: Sequence[str], own: Mapping[str, str], folder: Path) -> int:
        """Run a Python program of ours; its exit status.

        `own` are variables of its environment besides; `folder` is its working directory."""


class Outside(Protocol):
    """The outbound policy."""

    def bucket(
        self, kind: BucketKind, name: str, auth: Auth | None, idle_seconds: float
    ) -> AbstractAsyncContextManager[CallersBucket]:
        """A bucket with the caller's credentials; without them with the server's own.

        Raises DomainError for credentials that cannot be."""

    def programs(self) -> AbstractAsyncContextManager[Programs]:
        """A way out for children of ours, for one piece of work."""

    def session(self, *, connect_seconds: float, idle_seconds: float) -> aiohttp.ClientSession:
        """An HTTP session that reaches checked addresses only."""

    async def allow(self, url: str) -> tuple[URL, str | None]:
        """The URL, if it may be called, and the forward proxy for it. Raises FetchRefused, FetchFailed."""
