"""Whatever words an address or credentials hold: a source gives the file, or a domain error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.credentials import (
    Auth,
    AzureAuth,
    BasicAuth,
    BearerAuth,
    GcsAuth,
    HeaderAuth,
    QueryAuth,
    S3Auth,
)
from comfyserve.core.errors import DomainError
from comfyserve.fetch.addresses import Kind, Router
from comfyserve.fetch.git import GitSource
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.hf import HfSource
from comfyserve.fetch.http import HttpSource
from comfyserve.fetch.object_store import ObjectStoreSource
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.source import Source
from tests.emulators.servers import service_account
from tests.fetch.downloads import LIMITS
from tests.fetch.git_server import GitServer, make_repository
from tests.fetch.hub import Hub
from tests.fetch.origin import Origin

ODD = ["", " ", "\0", "a\x01b", "a\nb", "\r\nX: y", "\x7f", "a:b", "é", "\u2028", "\U0001f600", "\ud800", "x" * 9000]
HOSTS = ["a..b", "...", ".a", "xn--", "a" * 300, "a" * 64 + ".test", "\udc80", "[::1", "é..é", "a b", "\ud800.test"]
KINDS: frozenset[Kind] = frozenset({"http", "s3", "azure", "gcs", "hf", "git"})


@dataclass
class Place:
    """The sources, and an address of each kind on loopback."""

    sources: dict[Kind, Source]
    urls: dict[Kind, str]
    service: str


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Servers on loopback that are there."""
    origin, hub, server = Origin(), Hub(), GitServer(tmp_path / "served")
    make_repository(server.folder, {"a.txt": "a"})
    for service in (origin, hub, server):
        await service.start()
    guard = Guard("127.0.0.1")
    proxy, web = GuardingProxy(guard), HttpSource(guard, replace(LIMITS, tries=1))
    own = {"AWS_ENDPOINT_URL": origin.url, "GOOGLE_BASE_URL": origin.url}
    own |= {"AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_ENDPOINT": origin.url}
    buckets = ObjectStoreSource(proxy, own, delays=(), idle_seconds=1)
    sources: dict[Kind, Source] = {
        "http": web,
        "s3": buckets,
        "azure": buckets,
        "gcs": buckets,
        "hf": HfSource(proxy, endpoint=hub.url, delays=()),
        "git": GitSource(proxy, tmp_path / "temporary"),
    }
    urls: dict[Kind, str] = {
        "http": f"{origin.url}/a.png",
        "s3": "s3://bucket/key",
        "azure": "az://bucket/key",
        "gcs": "gs://bucket/key",
        "hf": "hf://open/r/config.json",
        "git": f"git+{server.url}/open/r.git",
    }
    yield Place(sources, urls, origin.url)
    await web.close()
    await proxy.close()
    for service in (origin, hub, server):
        await service.stop()


def auths(service: str) -> list[tuple[Kind, Auth]]:
    """Good credentials of all types, for the kinds of addresses that take them."""
    http: list[Auth] = [BearerAuth("t"), BasicAuth("u", "p"), HeaderAuth("X-Key", "k"), QueryAuth("q", "v")]
    return [
        *(("http", auth) for auth in http),
        *(("git", auth) for auth in http),
        ("hf", BearerAuth("t")),
        ("s3", S3Auth("key", "secret", "token", service, "us-east-1")),
        ("azure", AzureAuth("account", "a2V5", None, service)),
        ("azure", AzureAuth("account", None, "sv=1&sig=x", service)),
        ("gcs", GcsAuth(service_account(), service)),
    ]


CASES = [
    pytest.param(index, known.name, id=f"{kind}-{auth.__class__.__name__}-{known.name}")
    for index, (kind, auth) in enumerate(auths("http://127.0.0.1:1"))
    for known in fields(auth)
]


@pytest.mark.parametrize(("index", "name"), CASES)
async def test_odd_words_in_credentials(place: Place, index: int, name: str) -> None:
    kind, auth = auths(place.service)[index]
    for word in ODD[name == "endpoint" :]:
        changed: dict[str, Any] = {name: word}
        odd = replace(auth, **changed)
        async with asyncio.timeout(60):
            with suppress(DomainError):
                await place.sources[kind].check(place.urls[kind], odd)


@pytest.mark.parametrize("scheme", ["http", "https", "git+http", "git+https", "s3", "az", "gs", "hf"])
async def test_odd_hosts(place: Place, scheme: str) -> None:
    for host in HOSTS:
        with suppress(DomainError):
            route = Router(KINDS).route(f"{scheme}://{host}/x/y", None, "model")
            await place.sources[route.kind].check(route.url, route.auth)


@pytest.mark.parametrize("host", HOSTS)
async def test_odd_endpoints(place: Place, host: str) -> None:
    endpoint = f"http://{host}"
    given: list[tuple[str, Auth]] = [
        ("s3://b/k", S3Auth("a", "b", None, endpoint)),
        ("az://b/k", AzureAuth("account", "a2V5", None, endpoint)),
        ("gs://b/k", GcsAuth(service_account(), endpoint)),
    ]
    for url, auth in given:
        with pytest.raises(DomainError):
            await place.sources[Router(KINDS).route(url, auth, "model").kind].check(url, auth)


@pytest.mark.parametrize("word", ODD[1:], ids=range(len(ODD) - 1))
async def test_odd_paths(place: Place, word: str) -> None:
    for url in place.urls.values():
        for odd in (url + word, f"{url}/{word}/x", f"{url}?{word}", f"{url}@{word}", f"{url}#{word}"):
            with suppress(DomainError):
                route = Router(KINDS).route(odd, None, "model")
                await place.sources[route.kind].check(route.url, route.auth)
