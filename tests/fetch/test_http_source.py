"""The HTTP source against origins that serve well."""

import asyncio
import base64
import gzip
import hashlib
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused, TooLarge
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpSource
from comfyserve.fetch.source import Arrived, Order, Unchanged, Validators
from tests.fetch.downloads import LIMIT, LIMITS, arrived, content_of, left_in
from tests.fetch.hostile import NAMES_OF_LOOPBACK, REDIRECTS_INSIDE
from tests.fetch.origin import PNG, Origin
from tests.fetch.scripted import CONTENT, ETAG, Asked, answer, scripted, serve_content


async def test_a_file_comes_with_its_facts(source: HttpSource, origin: Origin, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    url = f"{origin.url}/a/my%20cat.png?token=secret"
    result = await arrived(source, url, tmp_path / "f", on_bytes=lambda *told_now: told.append(told_now))
    assert content_of(tmp_path / "f") == PNG
    assert (tmp_path / "f").stat().st_mode & 0o077 == 0
    assert result.names[-1] == "my cat.png"
    assert result.mime == "application/octet-stream"
    assert result.head == PNG[:64]
    assert result.validators.size == len(PNG)
    assert (told[0], told[-1]) == ((0, len(PNG)), (len(PNG), len(PNG)))


async def test_a_file_in_chunks_and_one_that_is_empty(source: HttpSource, tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/empty":
            await answer(writer, 200)
            return
        await answer(
            writer, 200, b"4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n", Content_Length="", Transfer_Encoding="chunked"
        )

    async with scripted(play) as server:
        await arrived(source, f"{server.url}/chunks", tmp_path / "f")
        assert content_of(tmp_path / "f") == b"wikipedia"
        assert (await arrived(source, f"{server.url}/empty", tmp_path / "f")).size == 0


async def test_redirects_are_followed_and_give_the_name(source: HttpSource, origin: Origin, tmp_path: Path) -> None:
    result = await arrived(source, f"{origin.url}/redirect/x.bin?to=/a/b.png", tmp_path / "f")
    assert result.names == (None, "b.png", "x.bin")
    with pytest.raises(FetchFailed, match="redirects more than 5 times"):
        await arrived(source, f"{origin.url}/loop/1", tmp_path / "f")


@pytest.mark.parametrize("to", [*REDIRECTS_INSIDE, "data:,x", "javascript:1", "s3://bucket/key"])
async def test_every_redirect_is_checked(source: HttpSource, origin: Origin, tmp_path: Path, to: str) -> None:
    for ask in (source.download(Order(f"{origin.url}/redirect?to={to}", LIMIT), tmp_path / "f"),
                source.check(f"{origin.url}/redirect?to={to}", None)):  # fmt: skip
        with pytest.raises(FetchRefused):
            await ask
    assert not left_in(tmp_path)


async def test_names_that_lead_inside_are_refused_before_any_connection(origin: Origin, tmp_path: Path) -> None:
    source = HttpSource(Guard("off"), LIMITS)
    for host in NAMES_OF_LOOPBACK:
        with pytest.raises(FetchRefused, match="allow_private_network"):
            await arrived(source, f"http://{host}:{origin.port}/a.png", tmp_path / "f")
    await source.close()
    assert not origin.asked


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="cat.png"', "cat.png"),
        ("attachment; filename*=UTF-8''k%C3%A4tzchen.png", "kätzchen.png"),
        ("attachment", None),
    ],
)
async def test_the_name_of_the_header_comes_first(
    source: HttpSource, origin: Origin, tmp_path: Path, header: str, name: str | None
) -> None:
    url = f"{origin.url}/named?as={header.replace('%', '%25')}"
    assert (await arrived(source, url, tmp_path / "f")).names == (name, "named", "named")


@pytest.mark.parametrize("path", ["a.png", "endless", "gzip"])
async def test_too_large_is_told_early(source: HttpSource, origin: Origin, tmp_path: Path, path: str) -> None:
    with pytest.raises(TooLarge, match="100000"):
        await arrived(source, f"{origin.url}/{path}", tmp_path / "f", limit=100_000)
    assert origin.asked[path] == 1
    assert not left_in(tmp_path)


async def test_exactly_the_limit_is_allowed(source: HttpSource, origin: Origin, tmp_path: Path) -> None:
    await arrived(source, f"{origin.url}/a.png", tmp_path / "f", limit=len(PNG))
    await arrived(source, f"{origin.url}/gzip", tmp_path / "f", limit=len(PNG))


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_packed_content_is_unpacked(source: HttpSource, tmp_path: Path, coding: str, pack: object) -> None:
    packed = pack(CONTENT)  # type: ignore[operator]  # one of the two above

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        assert asked.headers["accept-encoding"] == "identity"
        await answer(writer, 200, packed, Content_Encoding=coding, ETag=ETAG)

    async with scripted(play) as server:
        await arrived(source, server.url, tmp_path / "f")
    assert content_of(tmp_path / "f") == CONTENT


async def test_what_is_held_is_asked_for_conditionally(source: HttpSource, tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        fits = asked.headers.get("if-none-match") == ETAG
        await (answer(writer, 304, Content_Length="") if fits else serve_content(asked, writer))

    async with scripted(play) as server:
        held = Validators(etag=ETAG, last_modified="Sun, 01 Nov 2026 10:00:00 GMT")
        order = Order(server.url, LIMIT, held=held)
        assert isinstance(await source.download(order, tmp_path / "f"), Unchanged)
        assert server.asked[0].headers["if-modified-since"] == held.last_modified
        assert not left_in(tmp_path)
        result = await arrived(source, server.url, tmp_path / "f", held=Validators(etag='"v0"'))
        assert result.validators == Validators(etag=ETAG, size=len(CONTENT))


SHA = hashlib.sha256(CONTENT).digest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("header", "right", "wrong"),
    [
        ("Repr_Digest", f"sha-256=:{b64(SHA)}:", f"sha-256=:{b64(SHA[::-1])}:"),
        ("Digest", f"SHA-256={b64(SHA)}", f"SHA-256={b64(SHA[::-1])}"),
        ("Content_MD5", b64(MD5), b64(MD5[::-1])),
        ("X_Goog_Hash", f"crc32c=AAAAAA==, md5={b64(MD5)}", f"crc32c=AAAAAA==, md5={b64(MD5[::-1])}"),
    ],
)
async def test_checksums_that_the_origin_tells(
    source: HttpSource, tmp_path: Path, header: str, right: str, wrong: str
) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(writer, 200, CONTENT, **{header: right if asked.target == "/right" else wrong})

    async with scripted(play) as server:
        await arrived(source, f"{server.url}/right", tmp_path / "f")
        with pytest.raises(FetchFailed, match="checksum"):
            await arrived(source, f"{server.url}/wrong", tmp_path / "g")
    assert left_in(tmp_path) == {"f"}


async def test_the_checksum_that_a_redirect_tells(source: HttpSource, tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target == "/blob":
            await answer(writer, 200, CONTENT)
            return
        linked = SHA.hex() if asked.target == "/right" else "0" * 64
        await answer(writer, 302, Location="/blob", X_Linked_Etag=f'"{linked}"')

    async with scripted(play) as server:
        await arrived(source, f"{server.url}/right", tmp_path / "f")
        with pytest.raises(FetchFailed, match="sha256"):
            await arrived(source, f"{server.url}/wrong", tmp_path / "f")


async def test_the_checksum_that_the_order_names(source: HttpSource, origin: Origin, tmp_path: Path) -> None:
    await arrived(source, f"{origin.url}/a", tmp_path / "f", sha256=hashlib.sha256(PNG).hexdigest().upper())
    with pytest.raises(FetchFailed, match="does not have its sha256 checksum") as caught:
        await arrived(source, f"{origin.url}/a", tmp_path / "g", sha256="0" * 64)
    assert not caught.value.retryable
    assert left_in(tmp_path) == {"f"}


@pytest.mark.parametrize("known", [True, False])
async def test_a_large_file_is_hashed_only_to_be_compared(origin: Origin, tmp_path: Path, known: bool) -> None:
    source, sha256 = HttpSource(Guard("on"), replace(LIMITS, hash_below=1000)), hashlib.sha256(PNG).hexdigest()
    order = Order(f"{origin.url}/a.png", LIMIT, sha256=sha256 if known else "")
    result = await source.download(order, tmp_path / "f")
    assert isinstance(result, Arrived)
    assert (result.size, result.sha256) == (len(PNG), order.sha256)
    assert content_of(tmp_path / "f") == PNG
    await source.close()
