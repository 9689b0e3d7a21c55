"""All that goes out on a caller's word, under one policy."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from comfyserve.app.base import SENDING
from comfyserve.app.storages import load_storages
from comfyserve.blobs.targets import OpenTargets, TargetOptions
from comfyserve.core.bucket_settings import is_configured
from comfyserve.core.buckets import BucketKind, read_location
from comfyserve.core.own_header import OwnHeader
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.fetching import Caps, Fetching, FetchingLimits
from comfyserve.fetch.forward import proxies_of
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound, place_of
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.sender import HttpSender
from comfyserve.ports import TellSystem
from comfyserve.settings import Settings

BUCKET_UPLOADS: Mapping[str, BucketKind] = {"s3": "s3", "azure_blob_upload": "azure"}


@dataclass(frozen=True)
class Outside:
    """All that goes out on a caller's word, under one policy."""

    fetch: Fetching
    targets: OpenTargets
    sender: HttpSender
    proxy: GuardingProxy

    async def close(self) -> None:
        """Close the connections."""
        await self.fetch.close()
        await self.sender.close()
        await self.proxy.close()


async def build_outside(
    settings: Settings, scratch: Path, *, own: OwnHeader | None = None, tell: TellSystem | None = None
) -> Outside:
    """The fetching, the targets and the webhooks of this process. `own` is the operator's header for HTTP, `tell` hears
    of files that came, went and were sent."""
    guard = Guard(
        settings.allow_private_network, proxies=proxies_of(os.environ), proxy_resolves=settings.proxy_resolves
    )
    proxy = GuardingProxy(guard)
    lend = settings.fetch_credentials == "own"
    options = FetchOptions(
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
        os.environ if lend else {},
        settings.blobs,
        own,
        load_storages(),
        tell,
    )
    return Outside(
        await open_fetching(guard, proxy, options),
        _build_targets(replace(target_options(settings, scratch), own=own, tell=tell), guard, proxy),
        HttpSender(guard),
        proxy,
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
