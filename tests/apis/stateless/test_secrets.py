"""What opens an address is told to nobody, lies nowhere in the open, and still opens it."""

from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.logins import bare_address, without_values
from comfyserve.core.targets import HttpTarget
from tests.apis.stateless.desk import Desk
from tests.apis.stateless.test_webhooks import delivered
from tests.apis.stateless.working import picture_graph

SECRET = "hunter2-of-the-caller"
HOOK = f"https://me:{SECRET}@receiver.example/new?id=1"
OLD = f"https://me:{SECRET}@receiver.example/old"


def graph() -> dict[str, Any]:
    """A graph with a signed address."""
    signed = f"https://me:{SECRET}@example.com/in.png?X-Sig={SECRET}&raw=1&flag#part"
    load = {"class_type": "LoadImage", "inputs": {"image": signed}}
    return picture_graph() | {"1": load, "4": {"class_type": "LoadImage", "inputs": {"image": signed}}}


async def test_logins_of_webhooks_and_uploads(desk: Desk, tmp_path: Path) -> None:
    desk.set(public_links=True)
    uploads = {"http_upload": {"url_prefix": f"https://me:{SECRET}@files.example/in"}}
    body = {"prompt": picture_graph(), "id": "mine", "webhook_v2": HOOK, **uploads}
    first = await desk.json("POST", "/prompt", 202, json=body)
    again = await desk.json("POST", "/prompt", 202, json=body)
    await desk.json("POST", "/prompt", 409, json=body | {"webhook_v2": HOOK.replace(SECRET, "other")})
    claim = await desk.next_claim()
    assert claim.options.target == HttpTarget(uploads["http_upload"]["url_prefix"], names="plain", first="mine")
    await desk.finish(claim)
    receiver = await delivered(desk)
    result = await desk.json("GET", "/prompt/mine/result")
    ((url, _, told),) = receiver.calls
    assert url == HOOK
    assert SECRET not in f"{first}{again}{told.decode()}{result}"
    assert first["webhook_v2"] == result["webhook_v2"] == "https://receiver.example/new?id=1"
    assert not _holding_the_secret(tmp_path)


def _holding_the_secret(folder: Path) -> list[str]:
    return [file.name for file in folder.glob("*.db*") if SECRET.encode() in file.read_bytes()]


async def test_both_webhooks_keep_their_logins(desk: Desk) -> None:
    other = OLD.replace("me:", "you:")
    await desk.done("both", webhook_v2=HOOK, webhook=other)
    receiver = await delivered(desk)
    assert sorted(url for url, _, _ in receiver.calls) == sorted([HOOK, other])


async def test_signed_addresses_of_a_graph_are_echoed_without_their_values(desk: Desk) -> None:
    body = {"prompt": graph(), "id": "signed", "webhook_v2": HOOK}
    told = await desk.json("POST", "/prompt", 202, json=body)
    assert told["prompt"]["1"]["inputs"]["image"] == "https://example.com/in.png?X-Sig=&raw=#part"
    await desk.finish(await desk.next_claim())
    result = await desk.json("GET", "/prompt/signed/result")
    receiver = await delivered(desk)
    assert SECRET not in f"{told}{result}{receiver.bodies()}"


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://a:b@h/x?y=1", "https://h/x?y=1"),
        ("https://h/x", "https://h/x"),
        ("http://a:b@[::1/x", "http"),
        ("no address", "no address"),
    ],
)
def test_a_bare_address(url: str, bare: str) -> None:
    assert bare_address(url) == bare


@pytest.mark.parametrize(
    ("url", "shown"),
    [("https://h/x?sas-token", "https://h/x?"), ("s3://b/k?a=1;b=2", "s3://b/k?a="), ("hf://a/b/c", "hf://a/b/c")],
)
def test_an_address_without_values(url: str, shown: str) -> None:
    assert without_values(url) == shown
