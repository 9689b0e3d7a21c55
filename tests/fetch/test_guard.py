"""What the outbound policy lets through."""

from ipaddress import ip_address

import pytest

from comfyserve.core.errors import FetchRefused, InvalidInput
from comfyserve.fetch.guard import AllowPrivate, CheckedResolver, Guard

INSIDE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.1.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "fc00::1",
    "fd12::1", "fe80::1", "fe80::1%eth0", "ff02::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "64:ff9b:1::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
]


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


@pytest.mark.parametrize(
    "url",
    [
        "", "host/path", "ftp://host/", "file:///etc/passwd", "gopher://host/", "http://", "http:///x", "http://host:0/",
        "http://host:99999/", "http://[::1", "http://127.1/", "http://2130706433/", "http://0177.0.0.1/",
        "http://127.0.0.1./", "http://127.0.0.1/", "http://１２７.0.0.1/", "http://[::ffff:127.0.0.1]/",
        "http://[fe80::1%25eth0]/", "http://user:pass@127.0.0.1/", "http://host/" + "x" * 9000,
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        Guard().check_url(url)


def test_urls_that_are_allowed() -> None:
    for url in ("https://example.com/a?b=c", "http://example.com:8080/", "HTTP://EXAMPLE.COM", "http://1.1.1.1/"):
        assert Guard().check_url(url).scheme in ("http", "https")


async def test_the_resolver_gives_only_checked_addresses() -> None:
    with pytest.raises(FetchRefused, match="localhost"):
        await CheckedResolver(Guard()).resolve("localhost", 80)
    found = await CheckedResolver(Guard("localhost")).resolve("localhost", 80)
    assert {result["host"] for result in found} <= {"127.0.0.1", "::1"}
