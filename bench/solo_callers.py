"""Ways to have a graph run by `comfyserve solo`, and large ones to have run by it or by an engine."""

import asyncio
import base64
import io
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web
from PIL import Image

from bench import servers
from bench.callers import Job, check_picture, graph
from bench.servers import Server

BUCKET = "bench"
PIECE = 1 << 20
SECRETS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1"}

_colours = count(1)


def session_of(server: Server) -> aiohttp.ClientSession:
    """A client without bounds of its own."""
    timeout = aiohttp.ClientTimeout(total=600)
    return aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


@asynccontextmanager
async def base64_in_answer(server: Server, convert: str = "") -> AsyncIterator[Job]:
    """POST /prompt, its picture decoded from the answer; converted if a format is named."""
    extra = {"convert_output": {"format": convert}} if convert else {}
    async with session_of(server) as session:

        async def job() -> None:
            colour = next(_colours)
            answer = await prompt(session, graph(colour), **extra)
            check_picture(base64.b64decode(answer["images"][0]), None if convert else colour)

        yield job


@asynccontextmanager
async def webhook(server: Server) -> AsyncIterator[Job]:
    """POST /prompt with webhook_v2, and wait for the call."""
    called: dict[str, asyncio.Future[Any]] = {}

    async def receive(request: web.Request) -> web.Response:
        body = await request.json()
        called[body["id"]].set_result(body)
        return web.Response()

    async with session_of(server) as session, _listening("/hook", receive) as address:

        async def job() -> None:
            colour, key = next(_colours), str(uuid4())
            called[key] = asyncio.get_running_loop().create_future()
            await prompt(session, graph(colour), id=key, webhook_v2=address)
            body = await called[key]
            del called[key]
            check_picture(base64.b64decode(body["images"][0]), colour)

        yield job


@asynccontextmanager
async def s3(server: Server) -> AsyncIterator[Job]:
    """POST /prompt with an upload that is waited for."""
    async with session_of(server) as session:

        async def job() -> None:
            answer = await prompt(session, graph(next(_colours)), s3={"bucket": BUCKET, "prefix": f"{uuid4()}/"})
            if not answer["images"][0].startswith(f"s3://{BUCKET}/"):
                raise RuntimeError(f"the picture went to {answer['images'][0]}")

        yield job


@asynccontextmanager
async def with_s3(work_ms: int) -> AsyncIterator[Server]:
    """A solo that may upload to a store of its own."""
    async with servers.object_store() as store:
        async with aiohttp.ClientSession() as session, session.put(f"{store}/{BUCKET}") as made:
            made.raise_for_status()
        async with servers.solo(work_ms, AWS_ENDPOINT_URL=store, **SECRETS) as server:
            yield server


async def prompt(session: aiohttp.ClientSession, nodes: Mapping[str, Any], **fields: Any) -> Any:
    """POST /prompt and its answer. RuntimeError for anything but 200 and 202."""
    async with session.post("/prompt", json={"prompt": nodes, **fields}) as answer:
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {(await answer.text())[:300]}")
        return await answer.json()


def work_graph(image: str, number: int) -> dict[str, Any]:
    """A graph that loads a picture and works for 50 ms."""
    work = {"image": ["1", 0], "milliseconds": 50, "number": number}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "BenchWork", "inputs": work},
    }


async def send_large(session: aiohttp.ClientSession, text: bytes, number: int) -> None:
    """POST /prompt with a picture in base64."""
    head, tail = json.dumps({"prompt": work_graph("<>", number)}).encode().split(b"<>")

    async def pieces() -> AsyncIterator[bytes]:
        yield head
        for start in range(0, len(text), PIECE):
            yield text[start : start + PIECE]
        yield tail

    size = len(head) + len(text) + len(tail)
    headers = {"content-type": "application/json", "content-length": str(size)}
    async with session.post("/prompt", data=pieces(), headers=headers) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {(await answer.text())[:300]}")
        await answer.read()


async def send_large_to_engine(session: aiohttp.ClientSession, picture: bytes, number: int) -> None:
    """Upload a picture and run the same graph, waiting by /history."""
    form = aiohttp.FormData()
    form.add_field("image", picture, filename=f"large{number}.bmp")
    async with session.post("/upload/image", data=form) as answer:
        name = (await answer.json())["name"]
    await run_on_engine(session, work_graph(name, number))


async def run_on_engine(session: aiohttp.ClientSession, nodes: Mapping[str, Any]) -> Any:
    """The outputs of a graph, asked for every 20 ms."""
    key = str(uuid4())
    async with session.post("/prompt", json={"prompt": nodes, "prompt_id": key}) as answer:
        answer.raise_for_status()
    while True:
        async with session.get(f"/history/{key}") as answer:
            if record := (await answer.json()).get(key):
                return record["outputs"]
        await asyncio.sleep(0.02)


def files_graph(files: int, size: int) -> dict[str, Any]:
    """A graph that gives so many files of so many bytes."""
    inputs = {"files": files, "size": size, "filename_prefix": f"large{uuid4().hex}"}
    return {"1": {"class_type": "BenchFiles", "inputs": inputs}}


async def take_files(session: aiohttp.ClientSession, files: int, size: int) -> None:
    """POST /prompt, the answer thrown away as it comes; RuntimeError when it is shorter than its files."""
    seen = 0
    async with session.post("/prompt", json={"prompt": files_graph(files, size)}) as answer:
        answer.raise_for_status()
        async for piece in answer.content.iter_chunked(PIECE):
            seen += len(piece)
    if seen < files * size * 4 // 3:
        raise RuntimeError(f"the answer had {seen} bytes for {files} files of {size}")


async def take_files_from_engine(session: aiohttp.ClientSession, files: int, size: int) -> None:
    """Run and get each file by /view."""
    for file in (await run_on_engine(session, files_graph(files, size)))["1"]["files"]:
        async with session.get("/view", params=file) as answer:
            answer.raise_for_status()
            async for _ in answer.content.iter_chunked(PIECE):
                pass


def large_picture(size: int) -> bytes:
    """A BMP of about so many bytes, that nothing shrinks."""
    side = int((size / 3) ** 0.5) // 4 * 4
    data = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(data, "BMP")
    return data.getvalue()


@asynccontextmanager
async def _listening(path: str, receive: Any) -> AsyncIterator[str]:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post(path, receive)
    runner = web.AppRunner(app)
    await runner.setup()
    port = servers.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}{path}"
    finally:
        await runner.cleanup()
