"""What is special about blobs in a bucket: failures, links, and what is left when a put breaks off."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from comfyserve.blobs.build import FileLinks, check_blobs, open_blobs
from comfyserve.core.errors import InvalidInput, NotFound, StorageFailed
from comfyserve.ports import Blobs
from tests.emulators.flaky import Fault, Flaky, flaky
from tests.emulators.servers import SECRET_KEY, Bucket, environment_of
from tests.ports.blobs_suite import BIG, read, stream

MEGABYTE = bytes(1_000_000)
WRITING: Sequence[Callable[[Blobs], Awaitable[object]]] = (
    lambda blobs: blobs.put("a", stream(b"x")),
    lambda blobs: blobs.put("b", stream(*[MEGABYTE] * 30)),
)
READING: Sequence[Callable[[Blobs], Awaitable[object]]] = (
    lambda blobs: read(blobs, "a"),
    lambda blobs: blobs.size("a"),
    lambda blobs: blobs.delete_below("a"),
)
KINDS = ("s3", "azure", "gcs")


@pytest.fixture(params=KINDS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    found: Bucket = request.getfixturevalue(f"{request.param}_bucket")
    return found


def opened(bucket: Bucket, *, seconds: float = 20, links: FileLinks = "auto", location: str = "") -> Blobs:
    where = location or f"{bucket.location}/p"
    return open_blobs(where, Path(), environment=bucket.environment, storage_seconds=seconds, file_links=links)


async def endless(begun: asyncio.Event) -> AsyncIterator[bytes]:
    for _ in range(12):
        yield MEGABYTE
    begun.set()
    await asyncio.Event().wait()


def aborted(proxy: Flaky) -> bool:
    return any(asked.method == "DELETE" and "uploadId=" in asked.path for asked in proxy.asked)


async def test_a_cancelled_put_leaves_nothing_and_gives_its_parts_back(bucket: Bucket) -> None:
    async with flaky(bucket) as proxy:
        blobs, begun = opened(proxy.bucket), asyncio.Event()
        writing = asyncio.create_task(blobs.put("a", endless(begun)))
        await asyncio.wait_for(begun.wait(), 20)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        with pytest.raises(NotFound):
            await blobs.size("a")
        assert aborted(proxy) or bucket.kind == "azure"  # Azure drops blocks that nobody commits by itself.


async def test_a_broken_stream_gives_its_parts_back(s3_bucket: Bucket) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield MEGABYTE
        raise ConnectionResetError("gone")

    async with flaky(s3_bucket) as proxy:
        with pytest.raises(ConnectionResetError):
            await opened(proxy.bucket).put("a", broken())
        assert aborted(proxy)


async def test_a_store_that_stumbles_is_asked_again(bucket: Bucket) -> None:
    stumbles = [Fault("answer", ("PUT",), times=2), Fault("cut_request", ("PUT",), times=1, after=2)]
    async with flaky(bucket, *stumbles) as proxy:
        stored = await opened(proxy.bucket).put("a", stream(*[MEGABYTE] * 12))
        assert (stored.size, proxy.struck.is_set()) == (12_000_000, True)
        assert await opened(bucket).size("a") == 12_000_000


async def test_an_answer_that_breaks_off_is_continued(bucket: Bucket) -> None:
    await opened(bucket).put("a", stream(BIG))
    async with flaky(bucket, Fault("cut_answer", ("GET",), times=2)) as proxy:
        assert await read(opened(proxy.bucket), "a") == BIG


@pytest.mark.parametrize(
    ("status", "word", "sentence"),
    [
        (403, "AccessDenied", "refuses .AccessDenied.. Allow its credentials to read, write"),
        (403, "InvalidAccessKeyId", "credentials for the bucket .* are not accepted"),
        (404, "NoSuchBucket", "There is no bucket"),
        (301, "PermanentRedirect", "is somewhere else. Correct AWS_REGION"),
        (503, "SlowDown", "does not work at the moment .SlowDown."),
        (400, "EntityTooLarge", "refuses a request .EntityTooLarge."),
    ],
)
async def test_a_refusal_says_what_to_change(s3_bucket: Bucket, status: int, word: str, sentence: str) -> None:
    async with flaky(s3_bucket, Fault("answer", status=status, word=word)) as proxy:
        blobs = opened(proxy.bucket, seconds=1)
        with pytest.raises(StorageFailed, match=sentence) as refused:
            await blobs.put("a", stream(b"x"))
        assert SECRET_KEY not in repr(refused.value)
        with pytest.raises(StorageFailed, match=sentence):
            await check_blobs(blobs)


async def test_a_wrong_key_is_told(azure_bucket: Bucket) -> None:
    wrong = dict(azure_bucket.environment) | {"AZURE_STORAGE_ACCOUNT_KEY": "d3Jvbmc="}
    with pytest.raises(StorageFailed, match=r"are not accepted .*Check AZURE_STORAGE_ACCOUNT"):
        await open_blobs(azure_bucket.location, Path(), environment=wrong).put("a", stream(b"x"))


async def test_a_bucket_that_is_not_there_is_told(bucket: Bucket) -> None:
    blobs = opened(bucket, location=f"{bucket.location}none/p")
    for work in (blobs.put("a", stream(b"x")), check_blobs(blobs), blobs.delete_below("a")):
        with pytest.raises(StorageFailed, match=r"There is no bucket|or does not exist"):
            await work


async def test_a_store_that_is_down_is_told(s3_bucket: Bucket) -> None:
    environment = environment_of("s3", "http://127.0.0.1:9")
    blobs = open_blobs(s3_bucket.location, Path(), environment=environment, storage_seconds=0.3)
    for work in (*WRITING[:1], *READING[1:]):
        with pytest.raises(StorageFailed, match="does not answer"):
            await work(blobs)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_SESSION_TOKEN"])
async def test_words_that_no_request_carries_are_told(s3_bucket: Bucket, name: str) -> None:
    blobs = opened(replace(s3_bucket, environment={**s3_bucket.environment, name: "a\nb"}), seconds=0.3)
    with pytest.raises(StorageFailed):
        await check_blobs(blobs)
    for act in (*WRITING, *READING):
        with pytest.raises(StorageFailed):
            await act(blobs)


@pytest.mark.parametrize("methods", [("PUT", "POST"), ("GET", "HEAD", "DELETE")])
async def test_a_silent_store_ends_in_time(s3_bucket: Bucket, methods: tuple[str, ...]) -> None:
    async with flaky(s3_bucket, Fault("silent", methods)) as proxy:
        blobs = opened(proxy.bucket, seconds=0.3)
        for work in WRITING if "PUT" in methods else READING:
            with pytest.raises(StorageFailed, match="does not answer"):
                await work(blobs)


async def test_a_put_holds_a_few_parts_and_no_more(s3_bucket: Bucket) -> None:
    async def much() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield bytes(256 * 1024)

    blobs = opened(s3_bucket)
    tracemalloc.start()
    try:
        stored = await blobs.put("a", much())
        async with blobs.open("a") as content:
            assert sum([len(chunk) async for chunk in content]) == stored.size == 100 * 2**20
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


async def test_many_are_deleted_in_few_requests(s3_bucket: Bucket) -> None:
    blobs = opened(s3_bucket)
    await asyncio.gather(*(blobs.put(f"runs/1/{n}", stream(b"x")) for n in range(40)))
    async with flaky(s3_bucket) as proxy:
        await opened(proxy.bucket).delete_below("runs/1", keep=["runs/1/7"])
        assert [asked.method for asked in proxy.asked] == ["GET", "POST"]
    assert await read(blobs, "runs/1/7") == b"x"
    with pytest.raises(NotFound):
        await blobs.size("runs/1/8")


async def test_the_store_serves_a_link_with_type_and_name(bucket: Bucket) -> None:
    blobs = opened(bucket, links="redirect")
    await blobs.put("a", stream(b"pixels"), mime="image/png", filename='ü".png')
    link = await blobs.presigned("a", 60)
    assert link is not None
    assert link.startswith(bucket.url)
    answer = await asyncio.to_thread(urlopen, link, timeout=30)
    assert answer.read() == b"pixels"
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "inline; filename*=utf-8''%C3%BC%22.png"


async def test_links_are_given_only_where_callers_can_follow_them(bucket: Bucket) -> None:
    assert await opened(bucket, links="proxy").presigned("a", 60) is None
    assert await opened(bucket, links="auto").presigned("a", 60) is None  # the endpoint is the operator's own
    public = {name: value for name, value in bucket.environment.items() if not value.startswith("http")}
    link = await open_blobs(f"{bucket.location}/p", Path(), environment=public).presigned("a", 10**9)
    assert urlsplit(str(link)).scheme == "https"


async def test_an_azure_token_opens_the_container_and_signs_no_links() -> None:
    environment = {"AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_SAS_TOKEN": "?sv=2023-11-03&sig=c2ln"}
    assert await open_blobs("az://container/p", Path(), environment=environment).presigned("a", 60) is None


@pytest.mark.parametrize("name", ["GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT"])
def test_a_service_account_is_read_from_its_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be opened with the credentials"):
        open_blobs("gs://bucket", Path(), environment={name: str(tmp_path / "absent.json")})


@pytest.mark.parametrize("text", ["s3:/b", "s3://", "ftp://b", "s3://b/../c", "s3://b//c", "s3://b/c?d", "/folder"])
def test_what_is_no_bucket_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no place for files"):
        open_blobs(text, Path(), environment={})


async def test_azure_is_opened_by_a_connection_string(azure_bucket: Bucket) -> None:
    env = azure_bucket.environment
    parts = {
        "AccountName": env["AZURE_STORAGE_ACCOUNT_NAME"],
        "AccountKey": env["AZURE_STORAGE_ACCOUNT_KEY"],
        "BlobEndpoint": azure_bucket.url,
    }
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    blobs = open_blobs(azure_bucket.location, Path(), environment={"AZURE_STORAGE_CONNECTION_STRING": text})
    await check_blobs(blobs)
