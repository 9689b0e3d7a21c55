"""The same request again: it is known before anything is made, fetched or looked at for it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest_asyncio

from comfyserve.apis.build import close_streams
from comfyserve.core.errors import FetchFailed
from comfyserve.workflows import WorkflowContext, WorkflowLimits, load_workflows
from tests.apis.stateless.desk import BASE, HOOK, Desk, open_desk
from tests.apis.stateless.working import Prefetched, app_of, picture_graph
from tests.services.bundle import LIMITS, open_bundle

SEEDED = """
from pydantic import BaseModel, Field

from comfyserve.workflows import random_seed

summary = "Any colour"


class Input(BaseModel):
    color: int = Field(default_factory=random_seed)


def generate(input: Input) -> dict:
    empty = {"width": 8, "height": 8, "batch_size": 1, "color": input.color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": empty},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
"""


@pytest_asyncio.fixture
async def seeded(tmp_path: Path) -> AsyncIterator[Desk]:
    files = tmp_path / "workflows"
    files.mkdir()
    (files / "any.py").write_text(SEEDED)
    (files / "other.py").write_text(SEEDED)
    loaded = await load_workflows(files, WorkflowContext(), WorkflowLimits())
    async with open_desk(tmp_path, workflows=loaded.endpoints) as made:
        yield made
    await loaded.close()


def prefetched(desk: Desk) -> Prefetched:
    """What was asked for before the answers of 202."""
    made = desk.options.prefetch
    assert isinstance(made, Prefetched)
    return made


async def test_a_workflow_with_a_random_default_is_known_again(seeded: Desk) -> None:
    body: dict[str, Any] = {"input": {}, "id": "same", "webhook_v2": HOOK}
    first = await seeded.json("POST", "/workflow/any", 202, json=body)
    again = await seeded.json("POST", "/workflow/any", 202, json=body)
    assert again["prompt"] == first["prompt"]
    assert again["input"] == first["input"]


async def test_what_is_asked_otherwise_is_another_request(seeded: Desk) -> None:
    body: dict[str, Any] = {"input": {}, "id": "same", "webhook_v2": HOOK}
    await seeded.json("POST", "/workflow/any", 202, json=body)
    await seeded.json("POST", "/workflow/any", 409, json=body | {"input": {"color": 1}})
    await seeded.json("POST", "/workflow/any", 409, json=body | {"webhook_v2": f"{HOOK}/2"})
    await seeded.json("POST", "/workflow/other", 409, json=body)


async def test_an_accepted_request_stays_accepted_when_its_source_is_gone(desk: Desk) -> None:
    body = {"prompt": picture_graph(), "id": "kept", "webhook_v2": HOOK}
    first = await desk.json("POST", "/prompt", 202, json=body)
    prefetched(desk).wrong = FetchFailed("The host answers with status 404.")
    assert await desk.json("POST", "/prompt", 202, json=body) == first
    assert len(prefetched(desk).graphs) == 1
    assert (await desk.client.post("/prompt", json=body | {"id": "new"})).status_code == 400


async def test_a_full_queue_costs_no_download(tmp_path: Path) -> None:
    bundle = await open_bundle(tmp_path, limits=replace(LIMITS, max_queued=1))
    app, asked = app_of(bundle)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        body = {"prompt": picture_graph(), "webhook_v2": HOOK}
        assert (await client.post("/prompt", json=body)).status_code == 202
        refused = await client.post("/prompt", json=body)
    await bundle.db.close()
    assert (refused.status_code, len(asked.graphs)) == (429, 1)


async def test_calls_that_wait_for_their_files_are_bounded(desk: Desk) -> None:
    gate, slots = prefetched(desk).gate, desk.app.state.context.slots
    gate.clear()
    slots.free = 1
    body = {"prompt": picture_graph(), "webhook_v2": HOOK}
    waits = asyncio.create_task(desk.client.post("/prompt", json=body))
    await asyncio.wait_for(prefetched(desk).begun.wait(), 10)
    assert (await desk.client.post("/prompt", json=body)).status_code == 503
    gate.set()
    assert (await waits).status_code == 202
    assert slots.free == 1


async def test_what_goes_on_after_the_answer_is_bounded_and_ends_with_the_server(desk: Desk) -> None:
    prefetched(desk).gate.clear()
    desk.set(accept_seconds=0.01)
    body = {"prompt": picture_graph(), "webhook_v2": HOOK}
    await desk.json("POST", "/prompt", 202, json=body)
    going_on = desk.app.state.prefetches.going_on
    desk.app.state.prefetches._most = 1
    await desk.json("POST", "/prompt", 202, json=body)
    (task,) = going_on
    close_streams(desk.app)
    await asyncio.wait_for(asyncio.wait([task]), 10)
    assert not going_on


async def test_a_call_that_waits_when_the_server_stops_is_kept(desk: Desk) -> None:
    prefetched(desk).gate.clear()
    body = {"prompt": picture_graph(), "webhook_v2": HOOK, "id": "stops"}
    waits = asyncio.create_task(desk.client.post("/prompt", json=body))
    await asyncio.wait_for(prefetched(desk).begun.wait(), 10)
    close_streams(desk.app)
    assert (await waits).status_code == 202
    assert (await desk.json("GET", "/prompt/stops"))["status"] == "queued"
