"""Files from buckets of S3, Azure and Google Cloud, through the guarding proxy."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import obstore
from aiohttp import content_disposition_filename, parse_content_disposition

from comfyserve.core.bucket_failures import Kind, read_failure
from comfyserve.core.buckets import read_location
from comfyserve.core.credentials import Auth
from comfyserve.core.errors import DomainError, FetchFailed, FetchRefused, TooLarge
from comfyserve.fetch.bucket_url import Place, read_bucket_url
from comfyserve.fetch.buckets import IDLE_SECONDS, Store, client, own_azure_endpoint, plan
from comfyserve.fetch.pieces import PIECE_BYTES, PiecedFile, Whole
from comfyserve.fetch.proxy import GuardingProxy, Lease
from comfyserve.fetch.source import UNKNOWN, Arrived, Order, Unchanged, Validators
from comfyserve.fetch.tries import DELAYS, with_tries

CHUNK_BYTES = 1024 * 1024
ASK_SECONDS = 60.0

SENTENCES: Mapping[Kind, str] = {
    Kind.ABSENT: "{label} has no such file, or does not exist.",
    Kind.NO_BUCKET: "{label} has no such file, or does not exist.",
    Kind.DENIED: "{label} refuses{said}, or has no such file. Give credentials that may read it.",
    Kind.BAD_CREDENTIALS: "{label} does not know these credentials{said}. Give credentials that may read it.",
    Kind.NO_CREDENTIALS: "There are no credentials for {label}. Give credentials that may read it.",
    Kind.CHANGED: "{label} changed the file while it was read.",
    Kind.REGION: "{label} is in another region. Name it in the credentials, or in AWS_REGION.",
    Kind.NAME: "{label} cannot have a file of this name.",
}
ELSEWHERE = frozenset({Kind.ABSENT, Kind.NO_BUCKET, Kind.DENIED})
"""The file may be there under another reading of its key."""


@dataclass(frozen=True)
class _Found:
    """An object that is there."""

    key: str
    validators: Validators
    attributes: Mapping[str, str]

    @property
    def size(self) -> int:
        return self.validators.size or 0

    @property
    def condition(self) -> dict[str, str]:
        """Asks for a range of this state only; a weak ETag cannot (RFC 9110 section 13.1.1)."""
        return {"if_match": self.validators.etag} if self.validators.etag.startswith('"') else {}


@dataclass(frozen=True)
class _Open:
    """A bucket in use."""

    store: Store
    place: Place
    lease: Lease


class ObjectStoreSource:
    """Objects of `s3://`, `az://` and `gs://` addresses (and the stores' https ones).

    `own` is the server's environment, whose credentials open what a caller gives none for; without those either, the
    bucket is asked as a public one. A caller's endpoint is subject to the policy, the operator's own is trusted.
    `kept` is where the server's own files are (`s3://bucket/prefix`): what is there no caller reads with the server's
    credentials. `ask_seconds` bounds a question about an object, `idle_seconds` the wait for
    bytes; `delays` are pauses between tries.
    """

    def __init__(
        self,
        proxy: GuardingProxy,
        own: Mapping[str, str],
        *,
        kept: str = "",
        delays: Sequence[float] = DELAYS,
        piece_bytes: int = PIECE_BYTES,
        idle_seconds: float = IDLE_SECONDS,
        ask_seconds: float = ASK_SECONDS,
    ) -> None:
        self._proxy = proxy
        self._own = dict(own)
        self._azure_endpoint = own_azure_endpoint(own)
        self._kept = read_location(kept) if kept else None
        self._delays = delays
        self._piece_bytes = piece_bytes
        self._idle_seconds = idle_seconds
        self._ask_seconds = ask_seconds

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Write the object in pieces, several at once. See Source."""
        place = read_bucket_url(order.url, self._azure_endpoint)
        return await with_tries(lambda: self._try(place, order, path), place.bucket, self._delays)

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Ask about the object. See Source."""
        async with self._open(read_bucket_url(url, self._azure_endpoint), auth) as bucket:
            return held.shows((await self._find(bucket)).validators)

    async def close(self) -> None:
        """Nothing to let go of: each download has its own connections."""

    async def _try(self, place: Place, order: Order, path: Path) -> Arrived | Unchanged:
        async with self._open(place, order.auth) as bucket:
            found = await self._find(bucket)
            if order.held is not None and order.held.shows(found.validators):
                return Unchanged()
            if found.size > order.limit:
                raise TooLarge(f"The file is larger than the {order.limit} bytes that are allowed.")
            file = PiecedFile(path, found.size, found.validators.etag, order.on_bytes, self._piece_bytes)
            whole = await file.fill(_getter(bucket, found))
        return _arrived(order, place, found, whole)

    async def _find(self, bucket: _Open) -> _Found:
        try:
            async with asyncio.timeout(self._ask_seconds):
                return await _find(bucket)
        except TimeoutError as error:
            raise FetchFailed(f"{bucket.place.label} does not answer.", retryable=True) from error

    def _keeps(self, place: Place) -> bool:
        return self._kept is not None and self._kept.holds(place.kind, place.bucket, place.keys)

    @asynccontextmanager
    async def _open(self, place: Place, auth: Auth | None) -> AsyncIterator[_Open]:
        if auth is None and self._keeps(place):
            raise FetchRefused(f"{place.label} holds this server's own files, which are not fetched by their address.")
        planned = plan(place, auth, self._own)
        async with self._proxy.lease(planned.trusted) as lease:
            yield _Open(client(planned, lease.url, self._idle_seconds), place, lease)


async def _find(bucket: _Open) -> _Found:
    """The object, under the first reading of its key that is there."""
    for key in bucket.place.keys[:-1]:
        try:
            return await _head(bucket, key)
        except _Elsewhere:
            continue
    return await _head(bucket, bucket.place.keys[-1])


async def _head(bucket: _Open, key: str) -> _Found:
    try:
        result = await obstore.get_async(bucket.store, key, options={"head": True})
        meta: Any = result.meta
        attributes = {str(name): str(value) for name, value in result.attributes.items()}
    except Exception as error:
        raise _failed(error, bucket) from None
    modified = format_datetime(meta["last_modified"], usegmt=True) if meta["last_modified"] else ""
    return _Found(key, Validators(meta["e_tag"] or "", modified, int(meta["size"])), attributes)


def _getter(bucket: _Open, found: _Found) -> Callable[..., Awaitable[None]]:
    """Gets one piece; tried again by itself, so that one broken connection does not cost the others."""

    async def get(start: int, end: int, write: Callable[[memoryview], Awaitable[None]]) -> None:
        at = start
        for delay in (*DELAYS[:2], None):
            try:
                options: Any = {"range": (at, end)} | found.condition
                result = await obstore.get_async(bucket.store, found.key, options=options)
                if (result.meta["e_tag"] or "") != found.validators.etag or result.range != (at, end):
                    raise FetchFailed(f"{bucket.place.label} changed the file while it was read.", retryable=True)
                async for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
                    data = memoryview(chunk)[: end - at]
                    await write(data)
                    at += len(data)
                if at == end:
                    return
            except DomainError:
                raise
            except Exception as error:
                failure = _failed(error, bucket)
                if delay is None or not failure.retryable or read_failure(error).kind is Kind.CHANGED:
                    raise failure from None
            if delay is not None:
                await asyncio.sleep(delay)
        raise FetchFailed(f"{bucket.place.label} broke off in the middle of the file.", retryable=True)

    return get


class _Elsewhere(FetchFailed):
    """Not here, as far as these credentials can see: another reading of the key may be."""


def _failed(error: Exception, bucket: _Open) -> FetchFailed:
    """What obstore's exception means; even its panics are such. Its texts hold whole URLs, signatures included, and are
    never passed on. Raises FetchRefused when the policy was the reason."""
    label, failure = bucket.place.label, read_failure(error)
    if bucket.lease.refused is not None:
        raise bucket.lease.refused
    if sentence := SENTENCES.get(failure.kind):
        kind = _Elsewhere if failure.kind in ELSEWHERE else FetchFailed
        return kind(sentence.format(label=label, said=failure.said), retryable=failure.retryable)
    if bucket.lease.trouble is not None:
        return FetchFailed(bucket.lease.trouble.message, retryable=True)
    return FetchFailed(f"{label} does not answer properly.", retryable=True)


def _arrived(order: Order, place: Place, found: _Found, whole: Whole) -> Arrived:
    _, parameters = parse_content_disposition(found.attributes.get("Content-Disposition"))
    return Arrived(
        found.size,
        whole.sha256,
        found.attributes.get("Content-Type", ""),
        (content_disposition_filename(parameters), found.key.rpartition("/")[2]),
        found.validators,
        whole.head,
    )
