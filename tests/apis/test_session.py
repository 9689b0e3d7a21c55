"""Signing in to the pages, and what a cookie may do."""

from pathlib import Path

import pytest

from tests.apis.world import ADMIN, BASE, World, open_world
from tests.services.bundle import open_bundle

BARE = {"authorization": ""}
SAME = {"sec-fetch-site": "same-origin"}


async def sign_in(world: World) -> None:
    token = await world.bundle.keys.issue_sign_in(world.bundle.caller.workspace_id)
    me = await world.json("POST", "/v1/session", json={"token": token}, headers=BARE)
    assert me["key"]["kind"] == "session"


async def test_a_link_signs_in_once(world: World) -> None:
    token = await world.bundle.keys.issue_sign_in(world.bundle.caller.workspace_id)
    answer = await world.client.post("/v1/session", json={"token": token}, headers=BARE)
    cookie = answer.headers["set-cookie"].lower()
    assert "comfyserve_session=" in cookie and "httponly" in cookie and "samesite=lax" in cookie
    assert (await world.json("GET", "/v1/me", headers=BARE))["workspace"]["name"] == "default"
    await world.json("POST", "/v1/session", 401, json={"token": token}, headers=BARE)


async def test_a_key_signs_in(world: World) -> None:
    await world.json("POST", "/v1/session", json={"key": ADMIN}, headers=BARE)
    await world.json("GET", "/v1/me", headers=BARE)


@pytest.mark.parametrize("body", [{}, {"token": "a", "key": "b"}, {"token": ""}])
async def test_a_sign_in_names_one_thing(world: World, body: dict[str, str]) -> None:
    await world.json("POST", "/v1/session", 422, json=body, headers=BARE)


async def test_signing_out_ends_the_session(world: World) -> None:
    await sign_in(world)
    cookie = world.client.cookies["comfyserve_session"]
    await world.json("DELETE", "/v1/session", 204, headers=BARE | SAME)
    await world.json("GET", "/v1/me", 401, headers=BARE | {"cookie": f"comfyserve_session={cookie}"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (SAME, 201),
        ({"sec-fetch-site": "none"}, 201),
        ({"origin": "http://127.0.0.1:3011"}, 201),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({}, 403),
    ],
)
async def test_a_cookie_changes_things_from_our_own_pages_only(
    world: World, headers: dict[str, str], status: int
) -> None:
    await sign_in(world)
    answer = await world.client.post("/v1/keys", json={"name": "x"}, headers=BARE | headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "cross-site"}, 200),
        ({"origin": BASE, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": BASE}, 200),
        ({"origin": "http://127.0.0.1:8188", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:8188"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_scripts_of_other_sites_read_nothing_with_a_cookie(
    world: World, headers: dict[str, str], status: int
) -> None:
    await sign_in(world)
    for path in ("/v1/me", "/v1/workflows"):
        assert (await world.client.get(path, headers=BARE | headers)).status_code == status


async def test_a_key_beats_a_stale_cookie(world: World) -> None:
    await world.json("GET", "/v1/me", headers={"cookie": "comfyserve_session=stale"})


@pytest.mark.parametrize("headers", [{"authorization": f"bearer {ADMIN}"}, {"authorization": "", "x-api-key": ADMIN}])
async def test_a_key_comes_in_more_than_one_header(world: World, headers: dict[str, str]) -> None:
    await world.json("GET", "/v1/me", headers=headers)


async def test_scripts_of_other_sites_may_call_with_a_key_but_not_with_a_cookie(world: World) -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "authorization,content-type"
    answer = await world.client.options("/v1/runs", headers=BARE | asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_script_of_another_site_reads_the_answer_to_its_key(world: World) -> None:
    answer = await world.client.get(
        "/v1/me", headers={"origin": "http://127.0.0.1:8188", "sec-fetch-site": "same-site"}
    )
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    refused = await world.client.get("/v1/me", headers=BARE | {"origin": "http://127.0.0.1:8188"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")


@pytest.mark.parametrize("allowed", [(), ("https://app.example",)])
async def test_the_sites_may_be_listed(tmp_path: Path, allowed: tuple[str, ...]) -> None:
    bundle = await open_bundle(tmp_path)
    async with open_world(bundle, cors_origins=allowed) as narrow:
        for origin in ("https://app.example", "https://evil.example"):
            asked = {"origin": origin, "access-control-request-method": "POST"}
            answer = await narrow.client.options("/v1/workflows", headers=asked)
            assert answer.status_code == (200 if origin in allowed else 400)
            answer = await narrow.client.get("/v1/me", headers={"origin": origin})
            assert answer.headers.get("access-control-allow-origin") == (origin if origin in allowed else None)
    await bundle.db.close()
