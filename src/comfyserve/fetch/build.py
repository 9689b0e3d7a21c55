"""Puts the Fetch port together: all sources, one cache, one policy."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from comfyserve.core.own_header import OwnHeader
from comfyserve.fetch.added import AddedSource
from comfyserve.fetch.addresses import Kind
from comfyserve.fetch.buckets import own_azure_account, own_azure_endpoint
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.data import DataSource
from comfyserve.fetch.fetching import Fetching, FetchingLimits
from comfyserve.fetch.git import GitSource
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.hf import HUB, HfSource, is_installed
from comfyserve.fetch.http.source import HttpSource
from comfyserve.fetch.object_store import ObjectStoreSource
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.source import Source
from comfyserve.ports import Storages, SystemEvent, TellSystem


@dataclass(frozen=True)
class FetchOptions:
    """What an operator may choose. `cache_bytes`: 0 means as much as the disk has. `environment` holds the server's own
    credentials for buckets, under their usual names; `hf_token` is its own for Hugging Face, at
    `hf_endpoint`. `blobs` is the bucket of the server's own files. `own` is the operator's header for HTTP, `storages`
    are those that the operator added, `tell` hears of files that came and went."""

    cache_dir: Path
    cache_bytes: int = 0
    limits: FetchingLimits = field(default_factory=FetchingLimits)
    hf_token: str = field(default="", repr=False)
    hf_endpoint: str = HUB
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    blobs: str = ""
    own: OwnHeader | None = None
    storages: Storages = field(default_factory=dict)
    tell: TellSystem | None = None


async def open_fetching(guard: Guard, proxy: GuardingProxy, options: FetchOptions) -> Fetching:
    """Open the cache, swept of what dead processes left, and the sources. Close it yourself; the proxy stays open.

    Raises OSError, StorageFailed when the folder of the cache cannot be used."""
    return fetching_from(await open_store(options), guard, proxy, options)


async def open_store(options: FetchOptions) -> Store:
    """The cache, swept of what dead processes left. Raises OSError, StorageFailed."""
    tell = None if options.tell is None else _from_threads(options.tell)
    store = Store(options.cache_dir, options.cache_bytes, tell)
    await asyncio.to_thread(store.open)
    return store


def fetching_from(store: Store, guard: Guard, proxy: GuardingProxy, options: FetchOptions, realm: str = "") -> Fetching:
    """The sources before an open cache; `realm`: see Fetching. Call it in a loop."""
    buckets = ObjectStoreSource(proxy, options.environment, kept=options.blobs)
    sources: dict[Kind, Source] = {
        "data": DataSource(),
        "http": HttpSource(guard, own=options.own, downloads=2 * options.limits.at_once),
        "s3": buckets,
        "azure": buckets,
        "gcs": buckets,
        "git": GitSource(proxy, store.scratch),
    }
    if options.storages:
        sources["added"] = AddedSource(options.storages)
    if is_installed():
        sources["hf"] = HfSource(proxy, token=options.hf_token, endpoint=options.hf_endpoint)
    return Fetching(
        sources,
        store,
        guard,
        options.limits,
        clock=time.time,
        azure_account=own_azure_account(options.environment),
        azure_endpoint=own_azure_endpoint(options.environment),
        added=frozenset(options.storages),
        tell=options.tell,
        realm=realm,
    )


def _from_threads(tell: TellSystem) -> TellSystem:
    """Tell on the event loop what happens in a thread; after the loop's end nobody hears of it."""
    loop = asyncio.get_running_loop()

    def told(event: SystemEvent) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, event)

    return told
