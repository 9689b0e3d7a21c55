"""What targets need of the outbound policy. They reach nothing but by it; the composition hands it in."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

import aiohttp
from yarl import URL

from comfyserve.blobs.stream import Store
from comfyserve.core.credentials import Auth

BucketKind = Literal["s3", "azure", "gcs"]


class CallersBucket(Protocol):
    """A bucket opened under the policy."""

    @property
    def store(self) -> Store:
        """Its obstore client."""

    @property
    def endpoint(self) -> str:
        """The service's address."""


class Passage(Protocol):
    """One piece of work that goes out through the guarding proxy, until its context is left."""

    @property
    def trouble(self) -> str:
        """What the policy refused, or which host was not reached: a sentence, empty when neither."""

    @property
    def refused(self) -> bool:
        """Whether the trouble is a refusal, which another try does not change."""

    def bucket(self, kind: BucketKind, name: str, auth: Auth | None, idle_seconds: float) -> CallersBucket:
        """A bucket with the caller's credentials; without them with the server's own.

        Raises DomainError for credentials that cannot be."""

    async def run(self, program: Path, arguments: Sequence[str], own: Mapping[str, str], folder: Path) -> int:
        """Run a Python program of ours as a child whose only way out is the proxy; its exit status.

        `own` are variables of its environment besides; `folder` is its working directory."""


class Outside(Protocol):
    """The outbound policy."""

    def passage(self) -> AbstractAsyncContextManager[Passage]:
        """A way out through the guarding proxy, for one piece of work."""

    def session(self, *, connect_seconds: float, idle_seconds: float) -> aiohttp.ClientSession:
        """An HTTP session that reaches checked addresses only."""

    async def allow(self, url: str) -> tuple[URL, str | None]:
        """The URL, if it may be called, and the forward proxy for it. Raises FetchRefused, FetchFailed."""
