"""Fetch against origins that serve well and badly."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput, TooLarge
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import FetchLimits, HttpFetch
from tests.fetch.conftest import LIMITS
from tests.fetch.hostile import NAMES_OF_LOOPBACK, REDIRECTS_INSIDE
from tests.fetch.origin import PNG, Origin


async def test_a_file_comes_with_its_facts_and_goes_with_the_context(fetch: HttpFetch, origin: Origin) -> None:
    async with fetch.fetch(f"{origin.url}/a/my%20cat.png?token=secret") as file:
        assert file.path.read_bytes() == PNG
        assert (file.size, file.mime, file.filename) == (len(PNG), "image/png", "my cat.png")
        assert file.sha256 == hashlib.sha256(PNG).hexdigest()
        assert file.path.stat().st_mode & 0o077 == 0
    assert not file.path.exists()


async def test_the_file_is_removed_when_the_reader_fails(fetch: HttpFetch, origin: Origin) -> None:
    with pytest.raises(ZeroDivisionError):
        async with fetch.fetch(f"{origin.url}/a.png") as file:
            raise ZeroDivisionError
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("path", "asked"), [("status/404", 1), ("status/403", 1), ("status/500", 3), ("status/429", 3)]
)
async def test_a_status_is_told_without_the_query(fetch: HttpFetch, origin: Origin, path: str, asked: int) -> None:
    with pytest.raises(FetchFailed) as caught:
        async with fetch.fetch(f"{origin.url}/{path}?token=secret"):
            pass
    assert caught.value.message == f"127.0.0.1 answers with status {path[-3:]}."
    assert caught.value.retryable is (asked > 1)
    assert origin.asked[path] == asked


@pytest.mark.parametrize("path", ["flaky/a.png", "breaks/a.png"])
async def test_what_fails_at_first_is_tried_again(fetch: HttpFetch, origin: Origin, path: str) -> None:
    async with fetch.fetch(f"{origin.url}/{path}") as file:
        assert file.sha256 == hashlib.sha256(PNG).hexdigest()
    assert origin.asked[path] > 1


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("hang", "keeps us waiting"), ("short", "broke off"), ("loop/1", "redirects more than 5 times")],
)
async def test_origins_that_misbehave_are_given_up(fetch: HttpFetch, origin: Origin, path: str, sentence: str) -> None:
    with pytest.raises(FetchFailed, match=sentence):
        async with fetch.fetch(f"{origin.url}/{path}"):
            pass


async def test_a_drip_ends_with_the_total_time(origin: Origin, tmp_path: Path) -> None:
    fetch = HttpFetch(tmp_path, Guard("on"), FetchLimits(total_seconds=0.3))
    with pytest.raises(FetchFailed, match="within"):
        async with fetch.fetch(f"{origin.url}/drip"):
            pass
    await fetch.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208  (a look at the folder)


@pytest.mark.parametrize("path", ["endless", "a.png", "gzip"])
async def test_too_large_is_told_early(fetch: HttpFetch, origin: Origin, path: str) -> None:
    with pytest.raises(TooLarge, match="100000"):
        async with fetch.fetch(f"{origin.url}/{path}", limit=100_000):
            pass
    assert origin.asked[path] == 1


async def test_the_caller_cannot_raise_the_limit(fetch: HttpFetch, origin: Origin) -> None:
    with pytest.raises(TooLarge, match=str(LIMITS.max_bytes)):
        async with fetch.fetch(f"{origin.url}/endless", limit=10**12):
            pass


async def test_gzip_is_undone(fetch: HttpFetch, origin: Origin) -> None:
    async with fetch.fetch(f"{origin.url}/gzip") as file:
        assert file.path.read_bytes() == PNG


async def test_a_host_that_is_not_there(fetch: HttpFetch, origin: Origin) -> None:
    await origin.stop()
    with pytest.raises(FetchFailed, match=r"127\.0\.0\.1 cannot be reached") as caught:
        async with fetch.fetch(f"{origin.url}/a.png?token=secret"):
            pass
    assert caught.value.retryable
    with pytest.raises(FetchFailed, match="cannot be found"):
        async with fetch.fetch("http://no-such-host.invalid/a"):
            pass


async def test_redirects_are_followed(fetch: HttpFetch, origin: Origin) -> None:
    async with fetch.fetch(f"{origin.url}/redirect?to=/a/b.png") as file:
        assert file.filename == "b.png"


@pytest.mark.parametrize("to", REDIRECTS_INSIDE)
async def test_every_redirect_is_checked(fetch: HttpFetch, origin: Origin, to: str) -> None:
    with pytest.raises(FetchRefused):
        async with fetch.fetch(f"{origin.url}/redirect?to={to}"):
            pass


async def test_a_name_that_leads_inside_is_refused_before_any_connection(origin: Origin, tmp_path: Path) -> None:
    fetch = HttpFetch(tmp_path, Guard("off"), LIMITS)
    for host in NAMES_OF_LOOPBACK:
        with pytest.raises(FetchRefused, match="allow_private_network"):
            async with fetch.fetch(f"http://{host}:{origin.port}/a.png"):
                pass
    await fetch.close()
    assert not origin.asked


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="cat.png"', "cat.png"),
        ("attachment; filename*=UTF-8''k%C3%A4tzchen.png", "kätzchen.png"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename=".."', "named"),
        ("attachment", "named"),
    ],
)
async def test_the_name_comes_from_the_header_or_the_path(
    fetch: HttpFetch, origin: Origin, header: str, name: str
) -> None:
    async with fetch.fetch(f"{origin.url}/named?as={header.replace('%', '%25')}") as file:
        assert file.filename == name


async def test_the_type_comes_from_the_content_then_the_header_then_the_name(fetch: HttpFetch, origin: Origin) -> None:
    async with fetch.fetch(f"{origin.url}/typed?as=image/svg%2Bxml") as file:
        assert file.mime == "image/svg+xml"
    async with fetch.fetch(f"{origin.url}/typed/a.mp4?as=application/octet-stream") as file:
        assert (file.mime, file.filename) == ("video/mp4", "a.mp4")
    async with fetch.fetch(f"{origin.url}/a") as file:
        assert (file.mime, file.filename) == ("image/png", "a.png")


async def test_a_data_uri_is_a_file_like_any_other(fetch: HttpFetch) -> None:
    async with fetch.fetch("data:image/png;base64," + base64.b64encode(PNG).decode()) as file:
        assert file.path.read_bytes() == PNG
        assert (file.mime, file.filename, file.size) == ("image/png", "file.png", len(PNG))
    with pytest.raises(InvalidInput):
        async with fetch.fetch("data:image/png;base64,!!!"):
            pass
    with pytest.raises(TooLarge):
        async with fetch.fetch("data:image/png;base64," + "A" * 4_000_000):
            pass
