"""What the outbound policy lets through."""

from ipaddress import ip_address

import pytest

from comfyserve.core.errors import FetchRefused, InvalidInput
from comfyserve.fetch.guard import AllowPrivate, CheckedResolver, Guard
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
