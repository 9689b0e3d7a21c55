"""ComfyUI's protocol from the caller's side: the Engine port over HTTP and one websocket (spec comfyui-protocol)."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import structlog

from comfyserve.core.errors import EngineError, EngineLost, EngineUnreached, TooLarge
from comfyserve.core.outputs import EngineFile
from comfyserve.engines.folders import Folders, read_pieces
from comfyserve.engines.inbox import Inbox
from comfyserve.engines.listener import Listener
from comfyserve.engines.models import Models
from comfyserve.engines.reading import (
    bounded,
    read_arguments,
    read_json,
    read_node_errors,
    read_outcome,
    read_refusal,
    traceback_of,
    tracebacks_in,
)
from comfyserve.ports import Alive, ByteStream, EngineEvent, OfferedModel, Outcome, TellSystem, Warned
from comfyserve.protocol import routes

CHUNK_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_CONNECTIONS = 32
LAST_WORD_SECONDS = 0.25
KEEP_ALIVE_SECONDS = 30.0
"""Shorter than any engine's own, so that a request does not meet a connection that is just being closed."""

NO_ENTRY = frozenset({401, 403})
"""Answers that stay what they are until the operator sets other headers."""

RETRY_LATER = NO_ENTRY | frozenset({404, 408, 425, 429, 502, 503, 504})
"""Answers of `POST /prompt` that say nothing about the graph: a proxy, a full queue, a wrong address."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Patience:
    """Seconds the client waits: for a connection, the next piece of an answer, a whole one that is no file (`whole`),
    its websocket, a sign of life of that (`heartbeat`, and half of it for the answer to a ping); between questions
    about a prompt it hears nothing of (`quiet` with a good socket, at most `poll` without); before an absent prompt
    counts as forgotten; before an engine is lost that cannot be reached, or has no record of a prompt whose end it
    announced."""

    connect: float = 5.0
    answer: float = 60.0
    whole: float = 300.0
    heartbeat: float = 20.0
    socket: float = 2.0
    quiet: float = 10.0
    poll: float = 1.0
    forgotten: float = 1.0
    lost: float = 30.0


class ComfyClient:
    """An engine at a base URL. Build it inside a running loop; `folders` only when they are ours, `models` when its
    folder of models alone is in our reach, and the engine elsewhere."""

    def __init__(
        self,
        url: str,
        *,
        folders: Folders | None = None,
        models: Folders | None = None,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        tell: TellSystem | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._folders = folders
        self._models = Models(self._told, models or folders, far=models is not None, why_not=_why_no_models(self.url))
        self._patience = patience or Patience()
        self._whole = aiohttp.ClientTimeout(
            total=self._patience.whole, sock_connect=self._patience.connect, sock_read=self._patience.answer
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._patience.connect, sock_read=self._patience.answer
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
        )
        self._listener = Listener(self._session, self.url, heartbeat=self._patience.heartbeat, tell=tell)
        self._lost: EngineLost | None = None

    async def ready(self) -> None:
        """Return when the engine answers and the websocket is up (or was given its time). Raises EngineLost."""
        async with self._request("GET", routes.SYSTEM_STATS) as response:
            if response.status != 200:
                hint = " Set COMFYSERVE_COMFY_HEADERS to what it wants." if response.status in NO_ENTRY else ""
                sentence = f"The engine at {self.url} answers {response.status} to {routes.SYSTEM_STATS}.{hint}"
                raise EngineLost(sentence, details={"status": response.status})
        await self._listener.connected(self._patience.socket)

    async def arguments(self) -> Sequence[str]:
        """The command line that the engine says it was started with; empty when it says none."""
        return read_arguments(await self._told(routes.SYSTEM_STATS))

    async def object_info(self) -> Mapping[str, Any]:
        """The node catalogue."""
        catalogue = await self._json("GET", routes.OBJECT_INFO)
        if not isinstance(catalogue, dict):
            raise EngineLost(f"The engine at {self.url} does not tell its nodes; is it a ComfyUI?")
        return catalogue

    async def upload(self, name: str, content: ByteStream, *, subfolder: str = "") -> str:
        """Put a file among the engine's inputs; the answer is the name that graphs use for it. Raises TooLarge."""
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("subfolder", subfolder)
        form.add_field("type", "input")
        broken: list[Exception] = []
        form.add_field("image", _watched(content, broken), filename=name, content_type="application/octet-stream")
        try:
            answer = await self._put(name, form)
        except EngineLost:
            if broken:
                raise broken[0] from None  # not the engine failed, but what we sent it
            raise
        folder = answer.get("subfolder")
        return f"{folder}/{answer['name']}" if isinstance(folder, str) and folder else str(answer["name"])

    async def model_folders(self) -> Mapping[str, Sequence[str]]:
        """The kinds of models that the engine knows, with the names it offers for each."""
        return await self._models.offered()

    async def add_model(self, folder: str, name: str, path: Path, *, exact: bool = False) -> OfferedModel:
        """Offer a file or folder of ours as a model of a kind."""
        return await self._models.add(folder, name, path, exact=exact)

    def input_path(self, name: str) -> str | None:
        """Where a file or folder among the engine's inputs lies; None when its folders are not ours."""
        path = None if self._folders is None else self._folders.input_path(name)
        return None if path is None else str(path)

    async def _put(self, name: str, form: aiohttp.FormData) -> Mapping[str, Any]:
        async with self._request("POST", routes.UPLOAD_IMAGE, data=form) as response:
            if response.status == 413:
                raise TooLarge(f"The file {name} is larger than the engine takes.")
            answer = read_json(await _body(response))
            if response.status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("name"), str):
                raise EngineError(f"The engine did not take the file {name}: status {response.status}.")
            return answer

    @asynccontextmanager
    async def execute(
        self, prompt_id: str, graph: Mapping[str, Any], extra_data: Mapping[str, Any]
    ) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """Submit a graph under our own id and tell what happens (see the port)."""
        await self._listener.connected(self._patience.socket)
        inbox = self._listener.register(prompt_id)
        try:
            if self._lost is not None:
                raise EngineUnreached(self._lost.message) from self._lost
            try:
                await self._submit(inbox, graph, extra_data)
            except EngineLost as error:
                if not await self._took(prompt_id):
                    await inbox.wait(LAST_WORD_SECONDS, LAST_WORD_SECONDS)
                    why = inbox.lost or error  # whoever watches the process knows better why
                    if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                        raise EngineUnreached(why.message) from error
                    raise why from error
            async with aclosing(self._follow(inbox)) as events:
                yield events
        finally:
            self._listener.unregister(inbox)

    async def interrupt(self, prompt_id: str) -> bool:
        """Stop exactly this prompt, waiting or running; whether the engine still had it."""
        for look in range(3):
            place = await self._place(prompt_id)
            if place == "running":
                await self._post(routes.INTERRUPT, {"prompt_id": prompt_id})
                return True
            if place is None:
                return look > 0
            if (inbox := self._listener.find(prompt_id)) is not None:
                inbox.dropped = True
            await self._post(routes.QUEUE, {"delete": [prompt_id]})
            if inbox is not None:
                inbox.hint()
        return True

    @asynccontextmanager
    async def open(self, file: EngineFile) -> AsyncIterator[ByteStream]:
        """Stream a file the engine holds. Raises EngineError when it is gone."""
        path = None if self._folders is None else self._folders.find(file)
        if path is not None:
            yield read_pieces(path)
            return
        query = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        async with self._request("GET", routes.VIEW, params=query) as response:
            if response.status != 200:
                raise EngineError(
                    f"The engine does not give the file {file.filename}: status {response.status}.",
                    details={"filename": file.filename, "subfolder": file.subfolder, "type": file.type},
                )
            yield _chunks(response)

    async def forget(self, prompt_ids: Sequence[str], files: Sequence[EngineFile]) -> None:
        """Drop the history records and, where the engine's folders are ours, these files and the prompts' folders."""
        if self._folders is not None:
            await self._folders.remove(prompt_ids, files)
        await self._post(routes.HISTORY, {"delete": list(prompt_ids)})

    async def restart(self, reason: str) -> None:
        """Ask the engine to drop its models and its cache; more is not in our power."""
        log.info("engine.free", url=self.url, reason=reason)
        await self._post(routes.FREE, {"unload_models": True, "free_memory": True})

    async def close(self) -> None:
        """Let go of the engine."""
        self.lose(EngineLost(f"The connection to the engine at {self.url} was closed."))
        await self._listener.close()
        await self._session.close()

    def lose(self, error: EngineLost) -> None:
        """The engine is known to be gone: everybody who waits for it is told at once."""
        self._lost = self._lost or error
        self._listener.lose(self._lost)

    async def _submit(self, inbox: Inbox, graph: Mapping[str, Any], extra_data: Mapping[str, Any]) -> None:
        client_id = self._listener.client_id
        if client_id is None:
            inbox.orphan = True
            inbox.hint()
        body = {"prompt": dict(graph), "prompt_id": inbox.prompt_id, "extra_data": dict(extra_data)}
        async with self._request(
            "POST",
            routes.PROMPT,
            data=json.dumps(body if client_id is None else body | {"client_id": client_id}).encode(),
            headers={"Content-Type": "application/json"},
        ) as response:
            answer = read_json(await _body(response))
            if response.status in RETRY_LATER:
                raise EngineLost(f"The engine at {self.url} does not take prompts: it answers {response.status}.")
            refused = None if response.status == 200 else read_refusal(response.status, answer)
        if traceback := tracebacks_in(answer):
            log.info("engine.check_raised", prompt_id=inbox.prompt_id, traceback=traceback)
        if refused is not None and (response.status < 500 or not await self._took(inbox.prompt_id)):
            raise refused
        if isinstance(answer, dict) and (node_errors := answer.get("node_errors")):
            inbox.add(_warning(node_errors))

    async def _took(self, prompt_id: str) -> bool:
        """Whether a prompt arrived although its answer did not; False when nobody can tell."""
        try:
            return await self._place(prompt_id) is not None or await self._record(prompt_id) is not None
        except EngineLost:
            return False

    async def _follow(self, inbox: Inbox) -> AsyncGenerator[EngineEvent, None]:
        while True:
            ask = await inbox.wait(self._patience.quiet, self._patience.poll)
            for event in inbox.take():
                yield event
            inbox.raise_if_lost()
            if not ask:
                continue
            outcome = await self._look(inbox)
            for event in inbox.take():
                yield event
            if outcome is not None:
                yield outcome
                return
            if inbox.executing:
                yield Alive()

    async def _look(self, inbox: Inbox) -> Outcome | None:
        """Ask what became of a prompt: its Outcome, or None while it waits or runs. Raises EngineLost."""
        now = asyncio.get_running_loop().time()
        try:
            record = await self._record(inbox.prompt_id)
            place = None if record else await self._place(inbox.prompt_id)
            if record is None and place is None:
                record = await self._record(inbox.prompt_id)
        except EngineLost:
            inbox.raise_if_lost()
            inbox.executing = False
            inbox.unreachable_since = inbox.unreachable_since or now
            if now - inbox.unreachable_since >= self._patience.lost:
                raise
            inbox.doubt()
            return None
        inbox.unreachable_since = None
        inbox.executing = place == "running"
        if record is None and place is None:
            return self._absent(inbox, now)
        inbox.missing_since = None
        if record or place == "running":
            inbox.start()
        if record is None:
            return None
        if traceback := traceback_of(record):
            log.info("engine.node_raised", prompt_id=inbox.prompt_id, traceback=traceback)
        return read_outcome(record)

    def _absent(self, inbox: Inbox, now: float) -> Outcome | None:
        if inbox.dropped:
            return Outcome("interrupted")
        inbox.missing_since = inbox.missing_since or now
        if now - inbox.missing_since >= (self._patience.lost if inbox.ended else self._patience.forgotten):
            raise EngineLost(f"The engine at {self.url} has forgotten the prompt; it was probably restarted.")
        inbox.doubt()
        return None

    async def _record(self, prompt_id: str) -> Mapping[str, Any] | None:
        history = await self._json("GET", routes.HISTORY_ONE.format(prompt_id=prompt_id))
        record = history.get(prompt_id, {}) if isinstance(history, dict) else None
        if not isinstance(record, dict):
            raise EngineLost(f"The engine at {self.url} answers {routes.HISTORY} with what is no history.")
        return record or None

    async def _place(self, prompt_id: str) -> Literal["running", "pending"] | None:
        queue = await self._json("GET", routes.QUEUE)
        if not isinstance(queue, dict):
            raise EngineLost(f"The engine at {self.url} answers {routes.QUEUE} with what is no queue.")
        if _holds(queue.get("queue_running"), prompt_id):
            return "running"
        return "pending" if _holds(queue.get("queue_pending"), prompt_id) else None

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        async with self._request("POST", path, json=body) as response:
            await _body(response)
            if response.status >= 500:
                raise EngineLost(f"The engine at {self.url} answers {response.status} to {path}.")

    async def _told(self, path: str) -> Any:
        """The answer to a GET, None for any status but 200."""
        async with self._request("GET", path) as response:
            body = await _body(response)
            return read_json(body) if response.status == 200 else None

    async def _json(self, method: str, path: str) -> Any:
        async with self._request(method, path, timeout=self._whole) as response:
            body = await _body(response)
            if response.status != 200:
                raise EngineLost(f"The engine at {self.url} answers {response.status} to {path}.")
            return read_json(body)

    @asynccontextmanager
    async def _request(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; whatever goes wrong on the way is EngineLost. Redirects are not followed."""
        try:
            async with self._session.request(method, self.url + path, allow_redirects=False, **options) as response:
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise EngineLost(f"The engine at {self.url} cannot be reached: {reason}") from error
        except RuntimeError as error:
            if not self._session.closed:
                raise
            raise EngineLost(f"The connection to the engine at {self.url} was closed.") from error


def _why_no_models(url: str) -> str:
    return (
        f"The folder of models of the engine at {url} is out of reach, so that no model can be brought by URL."
        " Mount it on this machine and set COMFYSERVE_COMFY_MODELS to it, or put the file there yourself."
    )


async def _body(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise EngineError(f"The engine's answer is larger than {MAX_ANSWER_BYTES} bytes.")
        parts.append(part)
    return b"".join(parts)


async def _watched(content: ByteStream, broken: list[Exception]) -> ByteStream:
    """The same stream; what it raises is noted, for the HTTP client makes an error of the connection of it."""
    try:
        async for piece in content:
            yield piece
    except Exception as error:
        broken.append(error)
        raise


async def _chunks(response: aiohttp.ClientResponse) -> ByteStream:
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            yield chunk
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise EngineLost(f"The engine broke off in the middle of a file: {error or type(error).__name__}") from error


def _holds(items: Any, prompt_id: str) -> bool:
    if not isinstance(items, list):
        return False
    return any(isinstance(item, list) and len(item) > 1 and item[1] == prompt_id for item in items)


def _warning(node_errors: Any) -> Warned:
    sentences = [sentence for _, _, sentence in read_node_errors(node_errors)]
    reason = sentences[0] if sentences else "It does not say why."
    return Warned(
        f"The engine left out a part of the graph that is not valid. {reason}", {"node_errors": bounded(node_errors)}
    )
