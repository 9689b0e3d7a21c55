"""Credentials, convert_output and target through the native API: taken, described, and never told again."""

import json
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from comfyserve.apis.native import options as shapes
from comfyserve.core.conversion import FORMATS
from comfyserve.core.credentials import AUTH_TYPES, BearerAuth
from comfyserve.core.runs import Fact, FactKind
from comfyserve.core.targets import TARGET_TYPES, StorageTarget
from comfyserve.ports import Downloading, StoredOutput
from comfyserve.services.deliver import Delivery
from tests.apis.test_events import SSE, blocks
from tests.apis.world import LABEL_GRAPH, World, over_the_wire

WORD = "open-sesame"
ASKED: dict[str, Any] = {
    "graph": LABEL_GRAPH,
    "credentials": [
        {"url_pattern": f"https://{WORD}.example.com/**", "auth": {"type": "bearer", "token": WORD}},
        {"url_pattern": "s3://b/**", "auth": {"type": "s3", "access_key_id": WORD, "secret_access_key": WORD}},
    ],
    "convert_output": {"format": "webp", "options": {"quality": 70, "lossless": False}},
    "target": {"type": "http", "url_prefix": f"https://me:{WORD}@host/in?sig={WORD}", "auth": {"type": "basic"}},
}
ASKED["target"]["auth"] |= {"username": WORD, "password": WORD}
SHOWN = {
    "convert_output": {"format": "webp", "options": {"quality": 70, "lossless": False}},
    "target": {"type": "http", "url_prefix": "https://host/in"},
}


async def test_options_are_taken_and_only_what_is_no_secret_is_shown(world: World) -> None:
    made = await world.json("POST", "/v1/runs", 201, json=ASKED)
    assert {name: made[name] for name in SHOWN} == SHOWN
    assert "credentials" not in made
    claim = await world.next_claim()
    first, second = claim.options.credentials
    assert (first.auth, second.url_pattern) == (BearerAuth(WORD), "s3://b/**")
    assert claim.options.target is not None and WORD in str(claim.options.target)
    await world.finish(claim)
    answers = [
        await world.client.get(path, headers=headers)
        for path, headers in (
            (f"/v1/runs/{made['id']}", {}),
            ("/v1/runs", {}),
            (f"/v1/runs/{made['id']}/events", {}),
            (f"/v1/runs/{made['id']}/events", SSE),
            (f"/api/run/{made['id']}", {}),
        )
    ]
    assert all(answer.status_code == 200 for answer in answers)
    assert [answer.url for answer in answers if WORD in answer.text] == []
    plain = await world.json("POST", "/v1/runs", 201, json={"graph": LABEL_GRAPH})
    assert "target" not in plain and "convert_output" not in plain


WRONG: list[tuple[str, Any, int, str]] = [
    ("credentials", {}, 422, "credentials"),
    ("credentials", [{"url_pattern": "x"}], 422, "credentials.0.auth"),
    ("credentials", [{"url_pattern": "", "auth": {"type": "bearer", "token": WORD}}], 422, "credentials.0.url_pattern"),
    ("credentials", [{"url_pattern": "x", "auth": {"type": "bearer", "token": [WORD]}}], 422, "token"),
    ("credentials", [{"url_pattern": "x", "auth": {"type": "bearer", "token": f"{WORD}\0"}}], 400, "token"),
    ("credentials", [{"url_pattern": "x", "auth": {"type": "magic", "token": WORD}}], 422, "'s3'"),
    ("credentials", [{"url_pattern": "x", "auth": {"type": "bearer", "token": WORD * 1000}}], 422, "4096"),
    ("credentials", [{"url_pattern": "x", "auth": {"type": "bearer", "password": WORD}}], 422, "token"),
    ("credentials", [{"url_pattern": "x", "auth": {"type": "bearer", "token": "a"}}] * 101, 422, "credentials"),
    ("convert_output", {"format": "gif"}, 422, "convert_output.format"),
    ("convert_output", {"format": "webp", "options": {"quality": 101}}, 400, "from 1 to 100"),
    ("convert_output", {"format": "webp", "options": {"mozjpeg": True}}, 400, "no option 'mozjpeg'"),
    ("convert_output", "webp", 422, "convert_output"),
    ("target", {"type": "ftp", "host": "x"}, 422, "'http'"),
    ("target", {"type": "s3"}, 422, "target.s3.bucket"),
    ("target", {"type": "s3", "bucket": "b", "auth": {"type": "bearer", "token": WORD}}, 422, "target.s3.auth"),
    ("target", {"type": "http", "url_prefix": "x", "auth": {"type": "s3", "secret_access_key": WORD}}, 422, "auth"),
]


@pytest.mark.parametrize(("name", "value", "status", "said"), WRONG, ids=[one[3] for one in WRONG])
async def test_what_is_wrong_is_said_without_quoting_a_secret(
    world: World, name: str, value: Any, status: int, said: str
) -> None:
    answer = await world.client.post("/v1/runs", json={"graph": LABEL_GRAPH, name: value})
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert WORD not in answer.text


TARGETS = {name: kind for name, kind in TARGET_TYPES.items() if kind is not StorageTarget}
"""Those of the native API: storages that an operator has added are for the stateless one, whose requests name them."""


def _asked(kind: type[Any]) -> list[Field[Any]]:
    """The fields that callers set; how files are named is the dialect's own matter."""
    return [one for one in fields(kind) if one.name not in ("names", "first")]


def test_the_shapes_have_the_fields_of_the_core() -> None:
    bodies = [one for one in vars(shapes).values() if isinstance(one, type) and issubclass(one, BaseModel)]
    described = {
        (get_args(body.model_fields["type"].annotation)[0], body.__name__.endswith("TargetBody")): body
        for body in bodies
        if body.__name__.endswith(("AuthBody", "TargetBody"))
    }
    kinds = {(name, False): kind for name, kind in AUTH_TYPES.items()}
    kinds |= {(name, True): kind for name, kind in TARGETS.items()}  # type: ignore[misc]  # one table of both
    assert described.keys() == kinds.keys()
    for name, kind in kinds.items():
        needed = {one.name: one.default is MISSING for one in _asked(kind)}
        told = {field: one.is_required() for field, one in described[name].model_fields.items() if field != "type"}
        assert told == needed, name
    assert set(get_args(shapes.ConvertOutput.model_fields["format"].annotation)) == set(FORMATS)


def test_the_page_tells_each_kind_field_and_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    kinds = [(name, kind) for table in (AUTH_TYPES, TARGETS) for name, kind in table.items()]
    rows = {name: [line for line in page.splitlines() if line.startswith(f"| `{name}` |")] for name, _ in kinds}
    for name, kind in kinds:
        told = [row for row in rows[name] if all(f"`{one.name}`" in row for one in _asked(kind))]
        assert told, f"{name} of {kind.__name__}"
    for name, options in FORMATS.items():
        row = next((line for line in page.splitlines() if line.startswith(f"| `{name}` | `")), "")
        assert name == "jpg" or [option for option in options if f"`{option}`" not in row] == [], name


async def test_the_description_marks_secrets_as_written_only(world: World) -> None:
    shown = (await world.json("GET", "/openapi.json"))["components"]["schemas"]
    secrets = (
        ("BearerAuthBody", "token"),
        ("BasicAuthBody", "password"),
        ("S3AuthBody", "secret_access_key"),
        ("GcsAuthBody", "service_account_json"),
    )
    assert [shown[body]["properties"][name]["writeOnly"] for body, name in secrets] == [True] * 4
    assert "`mozjpeg`" in shown["ConvertOutput"]["properties"]["options"]["description"]
    assert "credentials" in shown["NewRun"]["properties"] and "credentials" not in shown["Run"]["properties"]


async def test_a_download_is_told_in_each_stream_of_its_run(world: World) -> None:
    made = await world.json("POST", "/v1/runs", 201, json=ASKED)
    await world.next_claim()
    async with (
        over_the_wire(world.app) as client,
        client.stream("GET", f"/v1/runs/{made['id']}/events", headers=SSE) as answer,
    ):
        lines = answer.aiter_lines()
        while await anext(lines) != "event: claimed":
            pass
        world.bundle.live.put(made["id"], Downloading("ckpt", "host/model.safetensors", 43, 100))
        while (line := await anext(lines)) != "event: download":
            assert not line.startswith("event: "), line
        told = json.loads((await anext(lines)).removeprefix("data: "))
    assert told == {"label": "ckpt", "name": "host/model.safetensors", "received": 43, "total": 100}


async def test_outputs_in_a_target_are_shown_by_their_address_in_both_dialects(world: World) -> None:
    made = await world.json("POST", "/v1/runs", 201, json=ASKED)
    claim = await world.next_claim()
    address = "https://host/in/x.webp"
    there = StoredOutput(
        "9", "SaveImage", "images", 0, "x.webp", "sub", mime="image/webp", size=5, sha256="ab", url=address
    )
    facts = [Fact(FactKind.STARTED), Fact(FactKind.EXECUTED), Fact(FactKind.SUCCEEDED)]
    await world.bundle.record.apply(claim.run.id, claim.lease.token, facts, [there])
    [output] = (await world.json("GET", f"/v1/runs/{made['id']}"))["outputs"]
    assert output == {
        "node_id": "9",
        "class_type": "SaveImage",
        "key": "images",
        "index": 0,
        "kind": "image",
        "filename": "x.webp",
        "subfolder": "sub",
        "type": "output",
        "mime": "image/webp",
        "size": 5,
        "sha256": "ab",
        "url": address,
        "target_url": address,
    }
    theirs = await world.json("GET", f"/api/run/{made['id']}")
    [item] = theirs["outputs"][0]["data"]["images"]
    assert (item["url"], item["filename"], item["subfolder"]) == (address, "x.webp", "sub")
    stream = blocks((await world.client.get(f"/v1/runs/{made['id']}/events", headers=SSE)).text)
    assert [one["data"]["data"]["url"] for one in stream if one["event"] == "output"] == [address]


async def test_webhooks_show_what_the_run_shows(world: World) -> None:
    from comfyserve.apis.build import APIS

    made = await world.json("POST", "/v1/runs", 201, json=ASKED)
    await world.finish(await world.next_claim())
    told = await world.bundle.runs.told(world.bundle.caller, made["id"])
    for api in APIS:
        owed = Delivery("1", told.run.id, api.name, "http://a", "run.updated", {}, world.bundle.clock())
        posting = api.webhooks[api.name](owed, told, world.bundle.files)
        body = json.loads(b"".join([piece async for piece in posting.content()]))
        assert WORD not in json.dumps(body)
        if api.name == "native":
            assert {name: body["run"][name] for name in SHOWN} == SHOWN


async def test_a_deployment_has_a_format_for_runs_that_ask_for_none(world: World) -> None:
    workflow = await world.json("POST", "/v1/workflows", 201, json={"name": "w", "graph": LABEL_GRAPH})
    webp, avif = {"format": "webp", "options": {"quality": 70}}, {"format": "avif", "options": {}}
    body = {"name": "d", "workflow_id": workflow["id"], "convert_output": webp}
    assert (await world.json("POST", "/v1/deployments", 201, json=body))["convert_output"] == webp
    wrong = body | {"name": "e", "convert_output": {"format": "webp", "options": {"quality": 101}}}
    assert "from 1 to 100" in (await world.json("POST", "/v1/deployments", 400, json=wrong))["error"]["message"]
    own = {"deployment": "d", "convert_output": {"format": "avif"}}
    assert (await world.json("POST", "/v1/runs", 201, json={"deployment": "d"}))["convert_output"] == webp
    assert (await world.json("POST", "/v1/runs", 201, json=own))["convert_output"] == avif
    renamed = await world.json("PATCH", "/v1/deployments/d", json={"name": "f"})
    assert renamed["convert_output"] == webp
    assert "convert_output" not in await world.json("PATCH", "/v1/deployments/f", json={"convert_output": None})
    assert "convert_output" not in await world.json("POST", "/v1/runs", 201, json={"deployment": "f"})
    claims = [(await world.next_claim()).options.convert for _ in range(3)]
    assert [claim and claim.format for claim in claims] == ["webp", "avif", None]
