"""Targets that go wrong: what the caller is told, whether another try may help, and that no secret is in it."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from comfyserve.blobs.own import hide_from_callers
from comfyserve.blobs.targets import OpenTargets
from comfyserve.blobs.targets.build import TargetOptions
from comfyserve.core.credentials import AzureAuth, BearerAuth, GcsAuth, HeaderAuth, QueryAuth, S3Auth
from comfyserve.core.errors import InvalidInput, TargetFailed
from comfyserve.core.targets import AzureTarget, GcsTarget, HfTarget, HttpTarget, S3Target, TargetWish
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.ports import Targets
from tests.emulators.flaky import Fault, flaky
from tests.emulators.servers import ACCESS_KEY, AZURE_ACCOUNT, AZURE_KEY, SECRET_KEY, Bucket, service_account
from tests.ports.blobs_suite import stream
from tests.ports.hub_uploads import TOKEN, upload_hub
from tests.ports.putting import PutServer, put_server
from tests.ports.target_suite import BIG, SMALL
from tests.ports.test_target import targets_in

KINDS = ("s3", "azure", "gcs")


@pytest.fixture(params=KINDS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    found: Bucket = request.getfixturevalue(f"{request.param}_bucket")
    return found


@pytest.fixture
async def server() -> AsyncIterator[PutServer]:
    async with put_server() as running:
        yield running


@pytest.fixture
async def targets(tmp_path: Path) -> AsyncIterator[OpenTargets]:
    async with targets_in(tmp_path) as made:
        yield made


def wish_for(bucket: Bucket, name: str = "") -> TargetWish:
    name = name or bucket.name
    if bucket.kind == "s3":
        return S3Target(name, "out/", S3Auth(ACCESS_KEY, SECRET_KEY, endpoint=bucket.url))
    if bucket.kind == "gcs":
        return GcsTarget(name, "out/", GcsAuth(service_account(), endpoint=bucket.url))
    return AzureTarget(name, "out/", AzureAuth(AZURE_ACCOUNT, account_key=AZURE_KEY, endpoint=bucket.url))


async def put(targets: Targets, wish: TargetWish, data: bytes = SMALL) -> str:
    async with targets.open(wish) as target:
        return await target.put("a.png", stream(data), size=len(data), mime="image/png")


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def failed(targets: Targets, wish: TargetWish, sentence: str, *, retryable: bool) -> None:
    with pytest.raises(TargetFailed, match=sentence) as caught:
        await put(targets, wish)
    assert caught.value.retryable is retryable
    assert caught.value.place.field == "target"
    shown = f"{caught.value.as_dict()}{caught.value!r}{caught.value.__cause__!r}"
    assert not [word for word in (SECRET_KEY, AZURE_KEY, TOKEN, "PRIVATE", "hidden") if word in shown]


async def test_a_bucket_that_is_not_there(targets: OpenTargets, bucket: Bucket) -> None:
    await failed(targets, wish_for(bucket, "nothinghere"), "There is no bucket nothinghere", retryable=False)


async def test_a_bucket_that_refuses(targets: OpenTargets, bucket: Bucket) -> None:
    async with flaky(bucket, Fault("answer", status=403, word="AccessDenied")) as proxy:
        await failed(targets, wish_for(proxy.bucket), "refuses the file .AccessDenied", retryable=False)


async def test_a_bucket_that_stumbles_and_then_works(targets: OpenTargets, bucket: Bucket) -> None:
    async with flaky(bucket, Fault("answer", ("PUT",), times=2)) as proxy:
        await put(targets, wish_for(proxy.bucket), BIG)
        assert proxy.struck.is_set()


async def test_a_bucket_that_breaks_off(tmp_path: Path, bucket: Bucket) -> None:
    async with targets_in(tmp_path, seconds=0.5) as targets, flaky(bucket, Fault("cut_request", ("PUT",))) as proxy:
        await failed(targets, wish_for(proxy.bucket), "does not answer|does not work", retryable=True)


async def test_a_silent_bucket(tmp_path: Path, bucket: Bucket) -> None:
    async with targets_in(tmp_path, seconds=0.3) as targets, flaky(bucket, Fault("silent", ("PUT",))) as proxy:
        await failed(targets, wish_for(proxy.bucket), "does not answer", retryable=True)


async def test_a_private_address_is_refused(tmp_path: Path, bucket: Bucket, server: PutServer) -> None:
    async with targets_in(tmp_path, private="off") as targets:
        await failed(targets, wish_for(bucket), "not a public address", retryable=False)
        await failed(targets, HttpTarget(server.url), "not a public address", retryable=False)
    assert server.files == {}


async def test_the_metadata_service_is_refused(targets: OpenTargets) -> None:
    auth = S3Auth("a", "b", endpoint="http://169.254.169.254")
    await failed(targets, S3Target("latest", "", auth), "a metadata address", retryable=False)
    await failed(targets, HttpTarget("http://169.254.169.254/x"), "a metadata address", retryable=False)


async def test_the_servers_own_credentials_are_not_lent(
    tmp_path: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    wish = S3Target(s3_bucket.name)
    async with targets_in(tmp_path) as targets:
        with pytest.raises(InvalidInput, match="needs credentials"):
            await put(targets, wish)
    guard = Guard("off")  # The operator's own endpoint is trusted, private or not.
    proxy = GuardingProxy(guard)
    lent = OpenTargets(Outbound(guard, proxy, own=os.environ), TargetOptions(tmp_path, lend_own=True))
    assert await put(lent, wish) == f"s3://{s3_bucket.name}/a.png"
    await proxy.close()


async def test_the_callers_client_has_nothing_of_the_servers(
    targets: OpenTargets, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hidden-token")
    monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", "hidden-key")
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    hide_from_callers(os.environ)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    async with flaky(s3_bucket) as proxy:
        await put(targets, wish_for(proxy.bucket))
        assert proxy.asked
        assert "hidden" not in repr([(asked.path, dict(asked.headers)) for asked in proxy.asked])


@pytest.mark.parametrize(
    ("status", "sentence", "retryable"),
    [
        (403, "127.0.0.1 refuses the file .403.. Check target.auth", False),
        (404, "127.0.0.1 refuses the file .404.", False),
        (302, "answers with a redirect .302.. Give the final address", False),
        (503, "does not work at the moment .503.", True),
    ],
)
async def test_an_address_that_refuses(
    targets: OpenTargets, server: PutServer, status: int, sentence: str, retryable: bool
) -> None:
    server.status = status
    auth = HeaderAuth("X-Key", "hidden")
    await failed(targets, HttpTarget(f"{server.url}/p", auth), sentence, retryable=retryable)


async def test_a_silent_address(tmp_path: Path, server: PutServer) -> None:
    server.silent = True
    async with targets_in(tmp_path, seconds=0.3) as targets:
        await failed(targets, HttpTarget(server.url), "does not take the file or does not answer", retryable=True)


async def test_an_address_that_breaks_off(targets: OpenTargets, server: PutServer) -> None:
    server.cuts = True
    with pytest.raises(TargetFailed, match=r"127.0.0.1 broke the connection off\.") as caught:
        await put(targets, HttpTarget(server.url), BIG)
    assert caught.value.retryable
    assert server.files == {}


async def test_an_address_where_nobody_is(targets: OpenTargets) -> None:
    await failed(targets, HttpTarget("http://127.0.0.1:9/p"), "cannot be reached", retryable=True)


async def test_what_opens_an_address_is_sent(targets: OpenTargets, server: PutServer) -> None:
    await put(targets, HttpTarget(server.url, BearerAuth("t0ken")))
    assert server.headers["Authorization"] == "Bearer t0ken"
    address = await put(targets, HttpTarget(f"{server.url}/p", QueryAuth("sig", "a/b+c")))
    assert (server.query, address) == ({"sig": "a/b+c"}, f"{server.url}/p/a.png")


@pytest.mark.parametrize(
    "wish",
    [
        HttpTarget("ftp://host/p"),
        HttpTarget("http://"),
        HttpTarget("http://host/p?sig=1"),
        HttpTarget("http://host", HeaderAuth("Host", "x")),
        HttpTarget("http://host", HeaderAuth("X-Y", "a\r\nb")),
        HttpTarget("http://host", S3Auth("a", "b")),
        HfTarget("no-owner", auth=BearerAuth(TOKEN)),
        HfTarget("me/../x", auth=BearerAuth(TOKEN)),
        HfTarget("me/x", revision="--help", auth=BearerAuth(TOKEN)),
        HfTarget("me/x"),
        S3Target("b", "a//b/", S3Auth("a", "b")),
        S3Target("b", "../", S3Auth("a", "b")),
        S3Target("b"),
        S3Target("b", "", S3Auth("a", "b", endpoint="file:///etc")),
        GcsTarget("b", "", GcsAuth("{}")),
    ],
    ids=repr,
)
async def test_a_wish_that_cannot_be(targets: OpenTargets, wish: TargetWish) -> None:
    with pytest.raises(InvalidInput) as caught:
        await put(targets, wish)
    assert (caught.value.place.field or "").startswith("target.")


@pytest.mark.parametrize(
    ("status", "sentence", "retryable"),
    [
        (403, "refuses to write to me/x. Give a token with the right to write", False),
        (404, "There is no repository me/x with the revision main", False),
        (400, "refuses the file for me/x", False),
    ],
)
async def test_a_hub_that_refuses(tmp_path: Path, status: int, sentence: str, retryable: bool) -> None:
    async with upload_hub() as hub, targets_in(tmp_path, hub=hub.url) as targets:
        hub.status = status
        await failed(targets, HfTarget("me/x", auth=BearerAuth(TOKEN)), sentence, retryable=retryable)
    assert left_in(tmp_path) == []


async def test_a_token_that_the_hub_does_not_know(tmp_path: Path) -> None:
    async with upload_hub() as hub, targets_in(tmp_path, hub=hub.url) as targets:
        await failed(targets, HfTarget("me/x", auth=BearerAuth("hidden")), "Give a token", retryable=False)


async def test_a_cancelled_put_ends_the_child(tmp_path: Path) -> None:
    async with upload_hub() as hub, targets_in(tmp_path, hub=hub.url) as targets:
        hub.silent = True
        async with targets.open(HfTarget("me/x", auth=BearerAuth(TOKEN))) as target:
            putting = asyncio.create_task(target.put("a.png", stream(SMALL), size=len(SMALL), mime="image/png"))
            await asyncio.wait_for(hub.asked.wait(), 30)
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
    assert left_in(tmp_path) == []


def test_a_wish_shows_no_secret() -> None:
    wishes = [
        S3Target("b", "", S3Auth("id", "hidden", "hidden")),
        AzureTarget("c", "", AzureAuth("a", "hidden", "hidden")),
        replace(HfTarget("me/x"), auth=BearerAuth("hidden")),
        HttpTarget("https://user:hidden@host/p"),
    ]
    assert "hidden" not in repr(wishes)
