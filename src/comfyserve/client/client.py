"""Calls of the native API over httpx2."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from comfyserve.client.errors import ApiError, ServerUnreachable
from comfyserve.client.events import LAST, Event, read_events, read_lines

Json = dict[str, Any]

READ_BYTES = 256 * 1024
SERVER_ERROR = 500
MAX_RECONNECTS = 10
MAX_RECONNECT_SECONDS = 5.0
QUIET_SECONDS = 60.0
"""A stream without a word for so long is dead: the server says something every 15 seconds."""


class Client:
    """One server and one key. Every call raises ApiError when refused, ServerUnreachable when nothing answers."""

    def __init__(self, url: str, key: str, *, timeout: float = 60.0) -> None:
        if not key.isascii():
            raise ApiError(401, {"code": "unauthorized", "message": "This is no API key: keys are ASCII."})
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._key = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx2.AsyncClient(base_url=self.url, timeout=timeout, trust_env=False)
        except httpx2.InvalidURL as error:
            raise ServerUnreachable(self.url, str(error)) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON answer of a GET; query values that are None are left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer of a POST."""
        return await self._call("POST", path, json=body, headers=headers)

    async def patch(self, path: str, body: Any) -> Any:
        """The JSON answer of a PATCH."""
        return await self._call("PATCH", path, json=body)

    async def delete(self, path: str) -> None:
        """A DELETE, which answers nothing."""
        await self._call("DELETE", path)

    async def health(self) -> None:
        """Return when a comfyserve answers, else raise ServerUnreachable."""
        try:
            answer = await self.get("/health")
        except ApiError as error:
            raise ServerUnreachable(self.url, "something else answers there") from error
        if not isinstance(answer, dict) or answer.get("status") != "ok":
            raise ServerUnreachable(self.url, "something else answers there")

    async def me(self) -> Json:
        """Who the key belongs to."""
        return _object(await self.get("/v1/me"))

    async def create_run(
        self,
        deployment: str | None,
        inputs: Mapping[str, Any],
        *,
        graph: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        credentials: Sequence[Mapping[str, Any]] | None = None,
        convert_output: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
    ) -> Json:
        """Queue a run of a deployment (id or name), or of a graph that is not deployed.

        `credentials` open private addresses, `convert_output` chooses the format of pictures, `target` is where the
        outputs go; docs/api.md has their shapes.
        """
        asked: Json = {"graph": graph} if graph is not None else {"deployment": deployment}
        options = {"credentials": credentials, "convert_output": convert_output, "target": target}
        asked |= {name: value for name, value in options.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return _object(await self.post("/v1/runs", {**asked, "inputs": inputs}, headers=headers))

    async def run(self, run_id: str) -> Json:
        """A run with its outputs."""
        return _object(await self.get(f"/v1/runs/{run_id}"))

    async def cancel(self, run_id: str) -> Json:
        """Ask for a run to stop."""
        return _object(await self.post(f"/v1/runs/{run_id}/cancel"))

    async def events(self, run_id: str, *, after: str | None = None) -> AsyncGenerator[Event]:
        """The events of a run until its end, over lost connections too; the last one is `run`."""
        cursor, failures, done = after, 0, False
        reasons = deque(["the stream ended early"], maxlen=1)
        while not done and failures < MAX_RECONNECTS:
            if failures:
                await asyncio.sleep(min(0.1 * 2**failures, MAX_RECONNECT_SECONDS))
            failures += 1
            async with aclosing(self._events_once(run_id, cursor, reasons)) as events:
                async for event in events:
                    cursor, failures, done = event.id or cursor, 0, event.kind == LAST
                    yield event
        if not done:
            raise ServerUnreachable(self.url, reasons[-1])

    async def _events_once(self, run_id: str, after: str | None, reasons: deque[str]) -> AsyncGenerator[Event]:
        """The events of one connection; why it broke, when another may do better, goes to `reasons`."""
        headers = {"Accept": "text/event-stream", **self._key} | ({"Last-Event-ID": after} if after else {})
        timeout = httpx2.Timeout(self._timeout, read=QUIET_SECONDS)
        stream = self._http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers, timeout=timeout)
        try:
            async with stream as answer, aclosing(read_events(read_lines(answer.aiter_bytes()))) as events:
                await _raise_for(answer)
                async for event in events:
                    yield event
        except httpx2.TransportError as error:
            reasons.append(str(error) or type(error).__name__)
        except ApiError as error:
            if error.status < SERVER_ERROR:
                raise
            reasons.append(str(error))

    async def upload(self, path: Path) -> Json:
        """Store a file as an asset; the answer holds its `url` and the type that the server saw in its name."""
        return _object(
            await self._call(
                "POST",
                "/v1/assets",
                params={"filename": path.name},
                content=_read(path),
            )
        )

    async def read_graph(self, path: Path) -> Json:
        """What a workflow file holds: `graph`, `editor` and the `inputs` it declares."""
        return _object(await self._call("POST", "/v1/graphs", content=_read(path)))

    async def download(self, url: str, target: Path) -> None:
        """Stream a file to `target`; one that breaks off is not left behind. The key goes to our server only, also
        when that redirects to the bucket where it keeps its files."""
        partial = target.with_name(f".{target.name}.part")
        key = self._key if self._is_ours(url) else {}
        try:
            async with self._http.stream("GET", url, headers=key, follow_redirects=True) as answer:
                await _raise_for(answer)
                with partial.open("wb") as file:
                    async for piece in answer.aiter_bytes(READ_BYTES):
                        file.write(piece)
            partial.replace(target)
        except httpx2.TransportError as error:
            raise ServerUnreachable(self.url, str(error)) from error
        finally:
            partial.unlink(missing_ok=True)

    def _is_ours(self, url: str) -> bool:
        return url.startswith(("/", f"{self.url}/"))

    async def _call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any) -> Any:
        try:
            answer = await self._http.request(method, path, headers={**self._key, **(headers or {})}, **request)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise ServerUnreachable(self.url, str(error) or type(error).__name__) from error
        if answer.is_error:
            raise _error(answer)
        return _parsed(answer.content) if answer.content else None


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise _strange_answer() from error


def _object(answer: Any) -> Json:
    if not isinstance(answer, dict):
        raise _strange_answer()
    return answer


def _strange_answer() -> ApiError:
    return ApiError(
        200, {"code": "unexpected_answer", "message": "The answer is none of comfyserve's. Check the address."}
    )


async def _raise_for(answer: httpx2.Response) -> None:
    """Raise ApiError when a streamed answer is a refusal."""
    if answer.is_error:
        await answer.aread()
        raise _error(answer)


def _error(answer: httpx2.Response) -> ApiError:
    try:
        error = json.loads(answer.content).get("error")
    except (ValueError, AttributeError):
        error = None
    return ApiError(answer.status_code, error if isinstance(error, dict) else {})


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            yield piece
