"""All that goes out on a caller's word, under one policy."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from comfyserve.app.base import SENDING
from comfyserve.app.storages import load_storages
from comfyserve.blobs.targets import OpenTargets, TargetOptions
from comfyserve.core.bucket_settings import is_configured
from comfyserve.core.buckets import BucketKind, read_location
from comfyserve.core.own_header import OwnHeader
from comfyserve.fetch.build import FetchOptions, fetching_from, open_store
from comfyserve.fetch.fetching import Caps, Fetching, FetchingLimits
from comfyserve.fetch.forward import proxies_of
from comfyserve.fetch.guard import AllowPrivate, Guard
from comfyserve.fetch.operator import REALM, OperatorFetch, hosts_of
from comfyserve.fetch.outbound import Outbound, place_of
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.sender import HttpSender
from comfyserve.ports import TellSystem
from comfyserve.settings import Settings

BUCKET_UPLOADS: Mapping[str, BucketKind] = {"s3": "s3", "azure_blob_upload": "azure"}


@dataclass(frozen=True)
class Outside:
    """All that goes out on a caller's word, under one policy; `operator` fetches what the operator configured."""

    fetch: Fetching
    operator: OperatorFetch
    targets: OpenTargets
    sender: HttpSender
    proxy: GuardingProxy
    operators_proxy: GuardingProxy

    async def close(self) -> None:
        """Close the connections."""
        await self.operator.close()
        await self.fetch.close()
        await self.sender.close()
        await self.proxy.close()
        await self.operators_proxy.close()


async def build_outside(
    settings: Settings,
    scratch: Path,
    *,
    own: OwnHeader | None = None,
    tell: TellSystem | None = None,
    configured: Sequence[str] = (),
) -> Outside:
    """The fetching, the targets and the webhooks of this process. `own` is the operator's header for HTTP, `tell` hears
    of files that came, went and were sent; `configured` are addresses of the operator's own, whose hosts may be private
    for `Outside.operator`."""
    allowed = AllowPrivate.parse(settings.allow_private_network)
    guard, operators = _guard(settings, allowed), _guard(settings, allowed.and_also(hosts_of(configured)))
    proxy, operators_proxy = GuardingProxy(guard), GuardingProxy(operators)
    lend = settings.fetch_credentials == "own"
    options = _fetch_options(settings, own, tell)
    store = await open_store(options)
    fetch = fetching_from(store, guard, proxy, options if lend else replace(options, environment={}))
    apart = fetching_from(store, operators, operators_proxy, options, REALM)
    return Outside(
        fetch,
        OperatorFetch(fetch, apart, guard, lends=lend),
        _build_targets(replace(target_options(settings, scratch), own=own, tell=tell), guard, proxy),
        HttpSender(guard),
        proxy,
        operators_proxy,
    )


def _guard(settings: Settings, allowed: AllowPrivate) -> Guard:
    return Guard(allowed, proxies=proxies_of(os.environ), proxy_resolves=settings.proxy_resolves)


def _fetch_options(settings: Settings, own: OwnHeader | None, tell: TellSystem | None) -> FetchOptions:
    return FetchOptions(
        settings.cache_folder,
        settings.cache_bytes,
        FetchingLimits(
            Caps(settings.max_upload_bytes, settings.fetch_seconds),
            Caps(settings.max_model_bytes, settings.model_seconds),
            settings.cache_fresh_seconds,
            settings.downloads_at_once,
        ),
        settings.hf_token.get_secret_value(),
        settings.hf_endpoint,
        os.environ,
        settings.blobs,
        own,
        load_storages(),
        tell,
    )


def _build_targets(options: TargetOptions, guard: Guard, proxy: GuardingProxy) -> OpenTargets:
    own = os.environ if options.lend_own else {}
    return OpenTargets(Outbound(guard, proxy, own=own, trusted=[place_of(options.hub)]), options)


def target_options(settings: Settings, scratch: Path) -> TargetOptions:
    """What callers may wish for as a target, and with whose credentials."""
    lend = settings.target_credentials == "own"
    return TargetOptions(
        scratch / SENDING,
        storage_seconds=settings.storage_seconds,
        lend_own=lend,
        hub=settings.hf_endpoint,
        hub_token=settings.hf_token.get_secret_value() if lend else "",
        kept=read_location(settings.blobs) if settings.blobs else None,
        storages=load_storages(),
    )


def configured_uploads(environment: Mapping[str, str]) -> frozenset[str]:
    """Which fields of comfyui-api's requests name a storage that can be written to (stateless-comfyui-api.md section
    3): Hugging Face and HTTP always, S3 and Azure when the environment says where they are, `storage_upload` when a
    storage was added."""
    found = {"hf_upload", "http_upload"}
    for key, kind in BUCKET_UPLOADS.items():
        if is_configured(kind, environment):
            found.add(key)
    return frozenset(found | ({"storage_upload"} if load_storages() else set()))
