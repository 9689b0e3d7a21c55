"""Links to files lead to where the caller reached us; those in webhooks to the server's own address."""

import json
from typing import Any

import pytest

from comfyserve.apis.stateless.links import linked
from tests.apis.stateless.desk import BASE, Desk
from tests.apis.stateless.test_webhooks import delivered

OWN = "http://127.0.0.1:3011"
"""The public URL of the services under test."""


def link_in(outputs: list[dict[str, Any]]) -> str:
    """The address of the one file, without what names it."""
    (url,) = [output["url"] for output in outputs if "url" in output]
    origin, _, rest = url.partition("/files/")
    assert rest.partition("?")[2].startswith("expires=")
    return str(origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("solo.example", "http://solo.example"),
        ("my_service:3000", "http://my_service:3000"),
        ("192.0.2.7:80", "http://192.0.2.7:80"),
        ("[2001:db8::1]:3000", "http://[2001:db8::1]:3000"),
        ("solo.example:70000", OWN),
        ("a b", OWN),
        ("user@solo.example", OWN),
        ("solo.example/path", OWN),
        ("solo.example?x", OWN),
        ("<script>", OWN),
        ("", OWN),
    ],
)
async def test_answers_link_to_the_host_of_the_request(desk: Desk, host: str, origin: str) -> None:
    await desk.done("mine")
    for path in ("/prompt/mine", "/prompt/mine/result"):
        answer = await desk.client.get(path, headers={"host": host})
        assert link_in(answer.json()["outputs"]) == origin
    stream = await desk.client.get("/prompt/mine/events", headers={"host": host})
    last = [line for line in stream.text.splitlines() if line.startswith("data:")][-1]
    assert link_in(json.loads(last.removeprefix("data:"))["outputs"]) == origin


async def test_such_a_link_works_and_the_scheme_is_that_of_the_request(desk: Desk) -> None:
    await desk.done("mine")
    body = await desk.json("GET", "/prompt/mine")
    url = next(output["url"] for output in body["outputs"] if "url" in output)
    assert url.startswith(BASE)
    assert (await desk.client.get(url)).status_code == 200
    assert linked("http://127.0.0.1:3000/files/a/b?c=%2F", "https://h:1") == "https://h:1/files/a/b?c=%2F"


async def test_webhooks_link_to_the_servers_own_address(desk: Desk) -> None:
    await desk.done("mine")
    (told,) = (await delivered(desk)).bodies()
    assert link_in(told["outputs"]) == OWN


async def test_a_public_url_is_kept(desk: Desk) -> None:
    desk.set(public_links=True)
    await desk.done("mine")
    assert link_in((await desk.json("GET", "/prompt/mine"))["outputs"]) == OWN
