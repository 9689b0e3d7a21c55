"""Whatever words a caller finds for a target and its credentials: the file goes there, or there is a domain error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from comfyserve.blobs.targets import OpenTargets
from comfyserve.core.credentials import Auth, AzureAuth, BasicAuth, BearerAuth, GcsAuth, HeaderAuth, QueryAuth, S3Auth
from comfyserve.core.errors import DomainError
from comfyserve.core.targets import AzureTarget, GcsTarget, HfTarget, HttpTarget, S3Target, TargetWish
from tests.blobs.targets.test_faults import put
from tests.emulators.servers import service_account
from tests.ports.hub_uploads import TOKEN, upload_hub
from tests.ports.putting import put_server
from tests.ports.target_suite import SMALL
from tests.ports.test_target import targets_in

ODD = ["", " ", "\0", "a\x01b", "a\nb", "\r\nX: y", "\x7f", "a:b", "é", "\u2028", "\U0001f600", "\ud800", "x" * 9000]
HOSTS = [
    "http://a..b/p",
    "http://.../p",
    "http://xn--/p",
    f"http://{'a' * 300}/p",
    "http://[::1/p",
    "http://\ud800.test/",
]


@dataclass
class Place:
    """Targets, and what goes there when nothing is odd."""

    targets: OpenTargets
    wishes: list[TargetWish]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Servers on loopback that are there."""
    async with put_server() as server, upload_hub() as hub:
        hub.status = 403
        async with targets_in(tmp_path, seconds=0.3, hub=hub.url) as targets:
            yield Place(targets, wishes(server.url))


def wishes(service: str) -> list[TargetWish]:
    """One of each kind, for each kind of credentials."""
    web: list[Auth] = [BearerAuth("t"), BasicAuth("u", "p"), HeaderAuth("X-Key", "v"), QueryAuth("q", "v")]
    azure = [AzureAuth("a", account_key="a2V5", endpoint=service), AzureAuth("a", sas_token="sig=x", endpoint=service)]
    return [
        *(HttpTarget(f"{service}/p", auth) for auth in web),
        *(AzureTarget("bucket", "p/", auth) for auth in azure),
        S3Target("bucket", "p/", S3Auth("id", "key", "token", region="us-east-1", endpoint=service)),
        GcsTarget("bucket", "p/", GcsAuth(service_account(), endpoint=service)),
        HfTarget("me/x", auth=BearerAuth(TOKEN)),
    ]


async def answers(targets: OpenTargets, wish: TargetWish) -> None:
    with suppress(DomainError):
        async with asyncio.timeout(30):
            await put(targets, wish)


def changed(thing: Any, word: str) -> list[Any]:
    """The thing with each of its texts changed."""
    names = [known.name for known in fields(thing) if isinstance(getattr(thing, known.name), str | None)]
    return [replace(thing, **{name: word}) for name in names]


@pytest.mark.parametrize("word", ODD, ids=ascii)
async def test_odd_credentials_give_a_domain_error(place: Place, word: str) -> None:
    for wish in place.wishes:
        for auth in changed(wish.auth, word):
            await answers(place.targets, replace(wish, auth=auth))


@pytest.mark.parametrize("word", [*ODD, *HOSTS], ids=ascii)
async def test_odd_places_give_a_domain_error(place: Place, word: str) -> None:
    for wish in place.wishes:
        for odd in changed(wish, word):
            await answers(place.targets, odd)


async def test_a_login_with_a_colon_is_sent_as_it_is(tmp_path: Path) -> None:
    async with put_server() as server, targets_in(tmp_path) as targets:
        await put(targets, HttpTarget(server.url, BasicAuth("a:b", "c")), SMALL)
        assert server.headers["Authorization"] == "Basic YTpiOmM="
