"""The official Python SDK (comfydeploy 0.7.0) against a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from comfydeploy import ComfyDeploy
from comfydeploy.models import errors

from tests.apis.world import ADMIN, STRANGER, World, served


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    async with served(world.app) as url:
        yield url


async def test_queue_get_and_cancel(world: World, address: str) -> None:
    names = await world.names()
    await world.finish(await world.next_claim())
    with ComfyDeploy(bearer=ADMIN, server_url=f"{address}/api") as sdk:
        request = {"deployment_id": names["deployment"], "inputs": {"input_text": "x", "unknown": [1, True, 2.5]}}
        made = await asyncio.to_thread(sdk.run.deployment.queue, request=request)
        run_id = made.create_run_response.run_id
        waiting = (await asyncio.to_thread(sdk.run.get, run_id=run_id)).workflow_run_model
        assert (waiting.status, waiting.number, waiting.outputs) == ("queued", 0, [])
        assert await world.finish(await world.next_claim()) == run_id
        done = (await asyncio.to_thread(sdk.run.get, run_id=run_id)).workflow_run_model
        assert done.status == "success"
        assert done.ended_at is not None and done.run_duration == 0.0
        picture, words = done.outputs
        assert picture.data["images"][0].filename == "x.png"
        assert words.data == {"text": ["a cap"]}
        again = await asyncio.to_thread(sdk.run.cancel, run_id=run_id)
        assert again.any == {"status": "success", "message": "Function cancelled"}


async def test_cancel_a_waiting_run_asynchronously(world: World, address: str) -> None:
    names = await world.names()
    async with ComfyDeploy(bearer=ADMIN, server_url=f"{address}/api") as sdk:
        await sdk.run.cancel_async(run_id=names["queued"])
        run = (await sdk.run.get_async(run_id=names["queued"])).workflow_run_model
        assert run.status == "cancelled"


async def test_a_run_that_failed_can_be_read(world: World, address: str) -> None:
    names = await world.names()
    await world.fail(await world.next_claim())
    async with ComfyDeploy(bearer=ADMIN, server_url=f"{address}/api") as sdk:
        run = (await sdk.run.get_async(run_id=names["queued"])).workflow_run_model
        assert (run.status, run.outputs) == ("failed", [])


async def test_a_run_of_a_bare_graph_can_be_read(world: World, address: str) -> None:
    view = await world.bundle.run()
    async with ComfyDeploy(bearer=ADMIN, server_url=f"{address}/api") as sdk:
        assert (await sdk.run.get_async(run_id=view.id)).workflow_run_model.status == "queued"


async def test_errors_are_the_sdk_s_own(world: World, address: str) -> None:
    names = await world.names()
    async with ComfyDeploy(bearer=ADMIN, server_url=f"{address}/api") as sdk:
        with pytest.raises(errors.HTTPValidationError) as shape:
            await sdk.run.get_async(run_id="no-uuid")
        assert shape.value.data.detail and shape.value.data.detail[0].loc == ["path", "run_id"]
        with pytest.raises(errors.SDKError) as missing:
            await sdk.run.get_async(run_id=names["none"])
        assert missing.value.status_code == 404
    async with ComfyDeploy(bearer=STRANGER, server_url=f"{address}/api") as sdk:
        with pytest.raises(errors.SDKError) as foreign:
            await sdk.run.get_async(run_id=names["run"])
        assert foreign.value.status_code == 403
