"""A server that takes PUT, as a caller's own would: a file shows when all of it is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class PutServer:
    """`files` by path; `status` answers other than 201; `silent` never answers, `cuts` breaks off while a
    file comes in; `headers` of the last request."""

    url: str = ""
    status: int = 201
    times: int = 1_000_000
    silent: bool = False
    cuts: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def put_server() -> AsyncIterator[PutServer]:
    """Run it."""
    state = PutServer()

    async def take(request: web.Request) -> web.Response:
        state.asked.set()
        state.headers, state.query = dict(request.headers), dict(request.query)
        if state.silent:
            await state.over.wait()
        if state.cuts and request.transport is not None:
            await request.content.readany()
            request.transport.abort()
        data = await request.read()
        if state.status != 201 and state.times > 0:
            state.times -= 1
            return web.Response(status=state.status, headers={"Location": "http://169.254.169.254/"})
        state.files[request.path] = (data, request.headers.get("Content-Type", ""))
        return web.Response(status=201)

    app = web.Application(client_max_size=0)
    app.router.add_put("/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield state
    finally:
        state.over.set()
        await runner.cleanup()
