"""What the outbound policy lets through."""

import asyncio
from ipaddress import ip_address
from threading import Event

import pytest
from yarl import URL

from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput
from comfyserve.fetch.guard import AllowPrivate, CheckedResolver, Guard
from comfyserve.fetch.lookup import Lookup
from tests.fetch.hostile import ALLOWED_URLS, INSIDE, METADATA, OUTSIDE, REFUSED_URLS


@pytest.mark.parametrize("address", INSIDE + METADATA)
def test_inside_is_refused(address: str) -> None:
    with pytest.raises(FetchRefused, match="is not called"):
        Guard().check_address("host", ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_outside_is_allowed(address: str) -> None:
    Guard().check_address("host", ip_address(address))


@pytest.mark.parametrize("address", INSIDE + OUTSIDE)
def test_on_allows_the_inside(address: str) -> None:
    Guard("on").check_address("host", ip_address(address))


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("setting", ["on", "host, 169.254.0.0/16, 100.64.0.0/10, fd00::/8, 168.63.0.0/16"])
def test_metadata_stays_closed_unless_it_is_named(address: str, setting: str) -> None:
    with pytest.raises(FetchRefused, match="metadata"):
        Guard(setting).check_address("host", ip_address(address))
    Guard(f"{setting} 169.254.169.254").check_address("host", ip_address("169.254.169.254")) if "," in setting else None


def test_a_list_allows_what_it_names() -> None:
    guard = Guard("minio.local, 10.0.0.0/8 [fd00::5]")
    guard.check_address("MinIO.local.", ip_address("192.168.0.9"))
    guard.check_address("x", ip_address("10.9.9.9"))
    guard.check_address("x", ip_address("::ffff:10.9.9.9"))
    guard.check_address("x", ip_address("fd00::5"))
    for host, address in (("other.local", "192.168.0.9"), ("sub.minio.local", "192.168.0.9"), ("x", "fd00::6")):
        with pytest.raises(FetchRefused):
            guard.check_address(host, ip_address(address))


def test_the_setting_is_read_strictly() -> None:
    assert AllowPrivate.parse("") == AllowPrivate.parse("off") == AllowPrivate()
    assert AllowPrivate.parse("ON").everything
    for wrong in ("10.0.0.0/99", "host:80", "http://host/"):
        with pytest.raises(InvalidInput, match="allow_private_network"):
            AllowPrivate.parse(wrong)


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        Guard().check_url(url)


def test_urls_that_are_allowed() -> None:
    for url in ALLOWED_URLS:
        assert Guard().check_url(url).scheme in ("http", "https")


async def test_the_resolver_gives_only_checked_addresses() -> None:
    with pytest.raises(FetchRefused, match="localhost"):
        await CheckedResolver(Guard()).resolve("localhost", 80)
    found = await CheckedResolver(Guard("localhost")).resolve("localhost", 80)
    assert {result["host"] for result in found} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    "host", ["a..b", "...", ".a", "xn--", "a" * 64 + ".test", "a" * 300, "\udc80.test"], ids=range(7)
)
async def test_names_that_no_host_can_have_are_refused(host: str) -> None:
    with pytest.raises((FetchRefused, OSError)):
        await CheckedResolver(Guard()).resolve(host, 80)


async def test_name_servers_that_do_not_answer_hold_nobody_else() -> None:
    asked, answer = Event(), Event()

    def silent(*_: object, **__: object) -> list[object]:
        asked.set()
        answer.wait(20)
        return []

    names = CheckedResolver(Guard(lookup=Lookup(silent, at_once=64)))
    waiting = [asyncio.create_task(names.resolve(f"{number}.test", 80)) for number in range(50)]
    try:
        async with asyncio.timeout(10):
            await asyncio.to_thread(asked.wait)  # and asyncio's own threads are free all the time
            await asyncio.gather(*(asyncio.to_thread(len, "") for _ in range(50)))
        assert not any(task.done() for task in waiting)
    finally:
        answer.set()
    assert await asyncio.gather(*waiting) == [[]] * 50


async def test_a_name_server_has_its_time() -> None:
    answer = Event()
    guard = Guard(
        lookup=Lookup(lambda *_, **__: [answer.wait(20)][:0], at_once=1, seconds=0.01), proxies={"http": "http://p:1"}
    )
    try:
        for _ in range(2):  # the second waits for its turn alone
            with pytest.raises(FetchFailed, match=r"a\.test cannot be found") as failed:
                await guard.proxy_for(URL("http://a.test/"))
            assert failed.value.retryable
    finally:
        answer.set()


@pytest.mark.parametrize("proxy", ["https://p:3128", "socks5://p:1080", "p:3128", "http://"])
def test_proxies_that_cannot_be_used_are_refused_at_the_start(proxy: str) -> None:
    with pytest.raises(InvalidInput, match="HTTPS_PROXY"):
        Guard(proxies={"https": proxy})
