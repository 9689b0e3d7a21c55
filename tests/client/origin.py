"""A small server that answers as a script says, on a free loopback port."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Origin:
    """Its address, and what it was asked."""

    url: str = ""
    requests: list[web.Request] = field(default_factory=list)

    def headers(self, name: str) -> list[str | None]:
        """What each request had under this name."""
        return [request.headers.get(name) for request in self.requests]


@asynccontextmanager
async def origin(answers: Sequence[Answer]) -> AsyncIterator[Origin]:
    """Each answer is given once, in order; what is asked after them is answered with 418."""
    state, waiting = Origin(), iter(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        state.requests.append(request)
        await request.read()
        given = next(waiting, None)
        return await given(request) if given else web.Response(status=418)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    state.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield state
    await runner.cleanup()


def plain(status: int = 200, body: str = "", kind: str = "application/json") -> Answer:
    """A whole answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, content_type=kind)

    return answer


def pieces(*parts: str, cut: bool = False) -> Answer:
    """A stream of parts; with `cut` the connection breaks after the last one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part.encode())
        if cut and request.transport is not None:
            request.transport.close()
        return response

    return answer
