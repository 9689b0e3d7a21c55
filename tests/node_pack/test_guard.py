"""The package's own guard, held against the same hostile table as the server's."""

from ipaddress import ip_address
from types import ModuleType

import pytest

from tests.fetch.hostile import ALLOWED_URLS, INSIDE, METADATA, OUTSIDE, REFUSED_URLS

ALLOW = "COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK"


@pytest.mark.parametrize("address", INSIDE + METADATA)
def test_inside_is_refused(comfy: ModuleType, address: str) -> None:
    with pytest.raises(ValueError, match="is not called"):
        comfy._guard.check_address("host", ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_outside_is_allowed(comfy: ModuleType, address: str) -> None:
    comfy._guard.check_address("host", ip_address(address))


@pytest.mark.parametrize("address", INSIDE)
def test_the_operator_may_allow_the_inside(comfy: ModuleType, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for setting in ("on", "minio, host"):
        monkeypatch.setenv(ALLOW, setting)
        comfy._guard.check_address("host", ip_address(address))
    monkeypatch.setenv(ALLOW, "minio, other")
    with pytest.raises(ValueError, match="not a public address"):
        comfy._guard.check_address("host", ip_address(address))


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("setting", ["on", "host, 169.254.0.0/16, 100.64.0.0/10, fd00::/8, 168.63.0.0/16"])
def test_metadata_stays_closed_unless_it_is_named(
    comfy: ModuleType, monkeypatch: pytest.MonkeyPatch, address: str, setting: str
) -> None:
    monkeypatch.setenv(ALLOW, setting)
    with pytest.raises(ValueError, match="metadata"):
        comfy._guard.check_address("host", ip_address(address))
    monkeypatch.setenv(ALLOW, "169.254.169.254")
    comfy._guard.check_address("host", ip_address("169.254.169.254"))


def test_a_list_allows_what_it_names(comfy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW, "minio.local, 10.0.0.0/8 [fd00::5]")
    for host, address in (("MinIO.local.", "192.168.0.9"), ("x", "::ffff:10.9.9.9"), ("x", "fd00::5")):
        comfy._guard.check_address(host, ip_address(address))
    for host, address in (("other.local", "192.168.0.9"), ("sub.minio.local", "192.168.0.9"), ("x", "fd00::6")):
        with pytest.raises(ValueError, match="not a public address"):
            comfy._guard.check_address(host, ip_address(address))


@pytest.mark.parametrize(
    "url", [*REFUSED_URLS, "http://host\\@example.com/", "http://host/a b", "http://host/\r\nX: y"]
)
def test_urls_that_are_refused(comfy: ModuleType, url: str) -> None:
    with pytest.raises(comfy._guard.Refused):
        comfy._guard.check_url(url)


def test_urls_that_are_allowed(comfy: ModuleType) -> None:
    for url in ALLOWED_URLS:
        assert comfy._guard.check_url(url).scheme in ("http", "https")
    target = comfy._guard.check_url("https://münchen.example/käse?a=ü#x")
    assert (target.host, target.path) == ("xn--mnchen-3ya.example", "/k%C3%A4se?a=%C3%BC")


def test_a_name_gives_only_checked_addresses(comfy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    target = comfy._guard.check_url("http://localhost/")
    with pytest.raises(ValueError, match="localhost"):
        comfy._guard.resolve(target)
    monkeypatch.setenv(ALLOW, "localhost")
    assert set(comfy._guard.resolve(target)) <= {"127.0.0.1", "::1"}
