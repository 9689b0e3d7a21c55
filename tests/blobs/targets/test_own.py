"""Targets with the server's own credentials, in every form in which comfyui-api takes them; refusals are told."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from comfyserve.app.outside import configured_uploads
from comfyserve.blobs.targets import OpenTargets, TargetOptions
from comfyserve.core.bucket_settings import own_options
from comfyserve.core.errors import InvalidInput, TargetFailed
from comfyserve.core.own_header import OwnHeader
from comfyserve.core.targets import AzureTarget, HfTarget, HttpTarget, S3Target, TargetWish
from comfyserve.core.uploads import Uploads
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound, place_of
from comfyserve.fetch.proxy import GuardingProxy
from tests.emulators.servers import AZURE_ACCOUNT, AZURE_KEY, Bucket
from tests.ports.blobs_suite import stream
from tests.ports.hub_uploads import TOKEN, upload_hub
from tests.ports.putting import put_server

PICTURE = b"\x89PNG" + b"x" * 1000


@asynccontextmanager
async def lending(folder: Path, environment: Mapping[str, str], **more: Any) -> AsyncIterator[OpenTargets]:
    """Targets for callers without credentials; only what the operator configured may be private."""
    guard = Guard(more.pop("private", "off"))
    proxy = GuardingProxy(guard)
    options = TargetOptions(folder, lend_own=True, **more)
    try:
        yield OpenTargets(Outbound(guard, proxy, own=environment, trusted=[place_of(options.hub)]), options)
    finally:
        await proxy.close()


async def put(targets: OpenTargets, wish: TargetWish, name: str = "id_a.png") -> str:
    async with targets.open(wish) as target:
        address = await target.put(name, stream(PICTURE), size=len(PICTURE), mime="image/png")
        assert address == target.address(name)
        return address


def signature_for(container: str) -> str:
    """A shared access signature for a container of the emulator (service SAS, version 2020-12-06)."""
    words = {"sp": "racwdl", "se": "2099-01-01T00:00:00Z", "sv": "2020-12-06", "sr": "c"}
    lines = [words["sp"], "", words["se"], f"/blob/{AZURE_ACCOUNT}/{container}", "", "", "", words["sv"], words["sr"]]
    text = "\n".join([*lines, "", "", "", "", "", "", ""])
    key = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    words["sig"] = base64.b64encode(key).decode()
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in words.items())


def azure_forms(bucket: Bucket) -> Mapping[str, Mapping[str, str]]:
    account, place = {"AZURE_STORAGE_ACCOUNT": AZURE_ACCOUNT}, {"AZURE_STORAGE_ENDPOINT": bucket.url}
    parts = f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={bucket.url}"
    signature = signature_for(bucket.name)
    return {
        "connection string": {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{parts}"},
        "connection string with a signature": {
            "AZURE_STORAGE_CONNECTION_STRING": f"BlobEndpoint={bucket.url};SharedAccessSignature={signature}"
        },
        "key": {**account, **place, "AZURE_STORAGE_KEY": AZURE_KEY},
        "signature": {**account, **place, "AZURE_STORAGE_SAS_TOKEN": f"?{signature}"},
    }


@pytest.mark.parametrize("form", ["connection string", "connection string with a signature", "key", "signature"])
async def test_azure_by_each_form_of_credentials(form: str, azure_bucket: Bucket, tmp_path: Path) -> None:
    async with lending(tmp_path, azure_forms(azure_bucket)[form]) as targets:
        address = await put(targets, AzureTarget(azure_bucket.name, "/out-"))
    assert address == f"{azure_bucket.url}/{azure_bucket.name}/out-id_a.png"


async def test_azure_that_refuses(azure_bucket: Bucket, tmp_path: Path) -> None:
    wrong = {**azure_bucket.environment, "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"wrong").decode()}
    async with lending(tmp_path, wrong) as targets:
        with pytest.raises(TargetFailed) as caught:
            await put(targets, AzureTarget(azure_bucket.name))
        assert not caught.value.retryable
    async with lending(tmp_path, azure_bucket.environment) as targets:
        with pytest.raises(TargetFailed, match="no bucket"):
            await put(targets, AzureTarget("absent"))


async def test_s3_by_the_usual_variables_and_one_that_refuses(s3_bucket: Bucket, tmp_path: Path) -> None:
    async with lending(tmp_path, s3_bucket.environment) as targets:
        assert await put(targets, S3Target(s3_bucket.name, "in/pre-")) == f"s3://{s3_bucket.name}/in/pre-id_a.png"
        with pytest.raises(TargetFailed, match="There is no bucket absent"):
            await put(targets, S3Target("absent"))


async def test_the_hub_by_the_servers_token_and_one_that_refuses(tmp_path: Path) -> None:
    async with upload_hub() as hub:
        async with lending(tmp_path, {}, hub=hub.url, hub_token=TOKEN) as targets:
            address = await put(targets, HfTarget("me/pictures"))
            assert address == f"{hub.url}/me/pictures/resolve/main/id_a.png"
            assert hub.files[("me/pictures", "main", "id_a.png")] == PICTURE
            hub.status = 403
            with pytest.raises(TargetFailed, match="refuses to write"):
                await put(targets, HfTarget("me/pictures"))
        async with lending(tmp_path, {}, hub=hub.url) as targets:
            with pytest.raises(InvalidInput, match="token"):
                await put(targets, HfTarget("me/pictures"))


async def test_http_by_the_servers_header_by_a_login_and_one_that_refuses(tmp_path: Path) -> None:
    async with put_server() as server:
        place = server.url.removeprefix("http://")
        own = OwnHeader.read("X-Own", "own-secret", [place])
        async with lending(tmp_path, {}, own=own, private="127.0.0.1, localhost") as targets:
            assert await put(targets, HttpTarget(f"{server.url}/in/")) == f"{server.url}/in/id_a.png"
            assert server.headers["X-Own"] == "own-secret"
            await put(targets, HttpTarget(f"http://me:pass%20word@{place}/in"))
            assert "X-Own" not in server.headers
            assert server.headers["Authorization"] == f"Basic {base64.b64encode(b'me:pass word').decode()}"
            server.status = 403
            with pytest.raises(TargetFailed, match=r"refuses the file \(403\)") as caught:
                await put(targets, HttpTarget(f"{server.url}/in"))
            assert "http_auth_hosts" not in caught.value.message
            elsewhere = server.url.replace("127.0.0.1", "localhost")
            with pytest.raises(TargetFailed, match="http_auth_hosts") as caught:
                await put(targets, HttpTarget(f"{elsewhere}/in"))
            assert "X-Own" not in server.headers and "own-secret" not in caught.value.message


@pytest.mark.parametrize(
    ("hosts", "url", "sent"),
    [
        (["*"], "https://any.example/x", True),
        (["a.example"], "https://A.example:8443/x", True),
        (["a.example"], "https://b.a.example/x", False),
        (["*.a.example"], "https://b.a.example/x", True),
        (["a.example:80"], "http://a.example/x", True),
        (["a.example:80"], "https://a.example/x", False),
        (["a.example"], "http://a.example:80@evil.example/x", False),
        (["a.example"], "s3://a.example/x", False),
        ([], "https://a.example/x", False),
    ],
)
def test_where_the_servers_header_goes(hosts: list[str], url: str, sent: bool) -> None:
    assert (OwnHeader.read("X-Own", "s", hosts).for_url(url) is not None) is sent


@pytest.mark.parametrize(("name", "value"), [("Host", "x"), ("a b", "x"), ("X", "a\r\nb"), ("Content-Length", "1")])
def test_a_header_that_cannot_be(name: str, value: str) -> None:
    with pytest.raises(InvalidInput):
        OwnHeader.read(name, value, ["*"])


@pytest.mark.parametrize(
    ("environment", "more"),
    [
        ({}, set()),
        ({"AWS_REGION": "eu-west-1"}, {"s3"}),
        ({"AWS_REGION": "", "AZURE_STORAGE_ACCOUNT": ""}, set()),
        ({"AZURE_STORAGE_ACCOUNT": "mine"}, {"azure_blob_upload"}),
        ({"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"}, {"azure_blob_upload"}),
    ],
)
def test_which_storages_are_configured(environment: Mapping[str, str], more: set[str]) -> None:
    assert configured_uploads(environment) == {"hf_upload", "http_upload"} | more


def test_connection_strings_without_an_address_or_an_account() -> None:
    text = "DefaultEndpointsProtocol=https;AccountName=mine;AccountKey=a==;EndpointSuffix=core.chinacloudapi.cn"
    read = own_options("azure", {"AZURE_STORAGE_CONNECTION_STRING": text})
    assert read == {
        "account_name": "mine", "account_key": "a==", "endpoint": "https://mine.blob.core.chinacloudapi.cn"
    }  # fmt: skip
    text = "BlobEndpoint=https://mine.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D"
    read = own_options("azure", {"AZURE_STORAGE_CONNECTION_STRING": text})
    assert (read["account_name"], read["sas_key"]) == ("mine", "sv=1&sig=a%3D")
    read = own_options("azure", {"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"})
    assert (read["account_name"], urlsplit(read["endpoint"]).port) == (AZURE_ACCOUNT, 10000)


async def test_a_newer_upload_to_a_place_stops_the_older_one() -> None:
    uploads, begun, stopped = Uploads(), asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "slow"

    async def quick() -> str:
        assert stopped.is_set()
        return "quick"

    older = asyncio.create_task(uploads.run("a", slow))
    await asyncio.wait_for(begun.wait(), 5)
    assert await uploads.run("b", other) == "other"
    assert await uploads.run("a", quick) == "quick"
    assert await older is None


async def other() -> str:
    """To another place."""
    return "other"


async def test_a_cancelled_upload_is_cancelled_and_a_failed_one_fails() -> None:
    uploads, begun = Uploads(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def fails() -> None:
        raise TargetFailed("no")

    waiting = asyncio.create_task(uploads.run("a", slow))
    await asyncio.wait_for(begun.wait(), 5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(TargetFailed):
        await uploads.run("a", fails)
