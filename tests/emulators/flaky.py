"""A reverse proxy before an emulator that misbehaves when told to, and notes what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import aiohttp
from aiohttp import web
from yarl import URL

from tests.emulators.servers import Bucket, environment_of

AUTO = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
"""Headers that aiohttp would add; Azure's signature covers one of them."""

Trouble = Literal["answer", "cut_request", "cut_answer", "silent"]


@dataclass
class Fault:
    """What goes wrong with requests of these methods, so many times, after so many went well.

    `answer`: an error with `status` and the store's `word`. `cut_request`: the connection ends while the body comes in.
    `cut_answer`: it ends in the middle of the answer's body. `silent`: no answer until the proxy closes.
    """

    trouble: Trouble
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    times: int = 1_000_000
    after: int = 0
    status: int = 503
    word: str = "ServiceUnavailable"

    def takes(self, method: str) -> bool:
        """Whether it strikes now."""
        if method not in self.methods:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return self.times >= 0


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass
class Flaky:
    """The running proxy: its own `bucket` is the one behind it under the proxy's address."""

    bucket: Bucket
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def flaky(bucket: Bucket, *faults: Fault) -> AsyncIterator[Flaky]:
    """Run the proxy before a bucket's emulator."""
    host = "/".join(bucket.url.split("/")[:3])
    async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=AUTO) as session:
        state = Flaky(bucket, list(faults))
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", _answering(state, session, host))
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        url = bucket.url.replace(host, address)
        state.bucket = replace(bucket, url=url, environment=environment_of(bucket.kind, url))
        try:
            yield state
        finally:
            state.over.set()
            await runner.cleanup()


def _answering(
    state: Flaky, session: aiohttp.ClientSession, host: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        state.asked.append(Asked(request.method, request.raw_path, dict(request.headers)))
        fault = next((fault for fault in state.faults if fault.takes(request.method)), None)
        if fault is None:
            return await _pass_on(request, session, host, cut=False)
        state.struck.set()
        if fault.trouble == "answer":
            await request.read()
            return web.Response(status=fault.status, text=f"<Error><Code>{fault.word}</Code></Error>")
        if fault.trouble == "cut_answer":
            return await _pass_on(request, session, host, cut=True)
        if fault.trouble == "silent":
            await state.over.wait()
        else:
            await request.content.readany()
        _break_off(request)
        return web.Response(status=500)

    return answer


async def _pass_on(request: web.Request, session: aiohttp.ClientSession, host: str, *, cut: bool) -> web.StreamResponse:
    headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
    body = await request.read()
    url = URL(host + request.raw_path, encoded=True)
    async with session.request(request.method, url, headers=headers, data=body, allow_redirects=False) as got:
        data = await got.read()
        drop = ("transfer-encoding", "connection", "content-length", "server", "date")
        answer = web.StreamResponse(
            status=got.status, headers={name: text for name, text in got.headers.items() if name.lower() not in drop}
        )
        answer.content_length = int(got.headers.get("Content-Length", len(data)))
        await answer.prepare(request)
        await answer.write(data[: len(data) // 2] if cut else data)
        if cut:
            _break_off(request)
        return answer


def _break_off(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
