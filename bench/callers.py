"""The three ways to run the same graph: the engine directly, our queue with its event stream, our sync call.

Each job has a colour of its own and the picture that comes back is checked for it.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp
from PIL import Image

from bench.servers import Server

Job = Callable[[], Awaitable[None]]

_colours = count(1)


def graph(colour: int, *, external: bool = False) -> dict[str, Any]:
    """64x64 pixels of one colour, saved; with `external` the colour is the input `colour`."""
    nodes: dict[str, Any] = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": ["3", 0] if external else colour},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"bench{colour}"}},
    }
    if external:
        inputs = {"input_id": "colour", "default_value": colour}
        nodes["3"] = {"class_type": "ComfyUIDeployExternalNumberInt", "inputs": inputs}
    return nodes


@asynccontextmanager
async def direct(server: Server) -> AsyncIterator[Job]:
    """POST /prompt, one shared websocket, GET /history/{id}, GET /view."""
    client_id = uuid4().hex
    ended: dict[str, asyncio.Event] = {}
    async with _session(server) as session, session.ws_connect(f"/ws?clientId={client_id}") as socket:

        async def listen() -> None:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    event = json.loads(message.data)
                    data = event.get("data") or {}
                    if event["type"] == "executing" and data.get("node") is None and "prompt_id" in data:
                        ended.setdefault(data["prompt_id"], asyncio.Event()).set()

        async def job() -> None:
            colour, prompt_id = next(_colours), str(uuid4())
            done = ended.setdefault(prompt_id, asyncio.Event())
            body = {"prompt": graph(colour), "client_id": client_id, "prompt_id": prompt_id}
            await _json(session.post("/prompt", json=body))
            await done.wait()
            del ended[prompt_id]
            record = (await _json(session.get(f"/history/{prompt_id}")))[prompt_id]
            await _check(session.get("/view", params=record["outputs"]["2"]["images"][0]), colour)

        listener = asyncio.create_task(listen())
        yield job
        listener.cancel()


@asynccontextmanager
async def queue(server: Server) -> AsyncIterator[Job]:
    """POST /v1/runs, the run's event stream to its end, GET the file."""
    async with _session(server) as session:
        deployment = await _deploy(session)

        async def job() -> None:
            colour = next(_colours)
            body = {"deployment": deployment, "inputs": {"colour": colour}}
            run = await _json(session.post("/v1/runs", json=body))
            ended = await _last_event(session, run["id"])
            if ended["status"] != "success":
                raise RuntimeError(f"run {run['id']} ended as {ended['status']}: {ended['error']}")
            await _check(session.get(ended["outputs"][0]["url"]), colour)

        yield job


@asynccontextmanager
async def sync(server: Server) -> AsyncIterator[Job]:
    """POST /api/run/deployment/sync, GET the file."""
    async with _session(server) as session:
        deployment = await _deploy(session)

        async def job() -> None:
            colour = next(_colours)
            body = {"deployment_id": deployment, "inputs": {"colour": colour}}
            outputs = await _json(session.post("/api/run/deployment/sync", json=body))
            await _check(session.get(outputs[0]["data"]["images"][0]["url"]), colour)

        yield job


def _session(server: Server) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    return aiohttp.ClientSession(server.url, headers=headers, connector=aiohttp.TCPConnector(limit=64))


async def _deploy(session: aiohttp.ClientSession) -> str:
    workflow = {"name": f"bench-{uuid4().hex[:8]}", "graph": graph(0, external=True)}
    made = await _json(session.post("/v1/workflows", json=workflow))
    body = {"name": workflow["name"], "workflow_id": made["id"]}
    return str((await _json(session.post("/v1/deployments", json=body)))["id"])


async def _last_event(session: aiohttp.ClientSession, run_id: str) -> Any:
    headers = {"Accept": "text/event-stream"}
    async with session.get(f"/v1/runs/{run_id}/events", headers=headers) as answer:
        kind = ""
        async for raw in answer.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event:"):
                kind = line[6:].strip()
            elif line.startswith("data:") and kind == "run":
                return json.loads(line[5:])
    raise RuntimeError("the stream ended without its last event")


async def _json(request: Any) -> Any:
    async with request as answer:
        if answer.status >= 300:
            raise RuntimeError(f"{answer.url} answered {answer.status}: {(await answer.text())[:300]}")
        return await answer.json()


async def _check(request: Any, colour: int) -> None:
    async with request as answer:
        check_picture(await answer.read(), colour)


def check_picture(data: bytes, colour: int | None) -> None:
    """Raise RuntimeError unless the picture has this colour; None: any, for formats that lose some of it."""
    pixel = Image.open(io.BytesIO(data)).convert("RGB").getpixel((5, 5))
    if colour is None:
        return
    if pixel != (colour >> 16 & 255, colour >> 8 & 255, colour & 255):
        raise RuntimeError(f"the picture is {pixel}, not colour {colour}")
