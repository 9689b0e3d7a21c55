"""A supervised engine process: started, watched, restarted with back-off and stopped, with all its descendants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from comfyserve.core.errors import EngineLost, EngineRestarted, EngineUnreached
from comfyserve.core.outputs import EngineFile
from comfyserve.engines.child import Child
from comfyserve.engines.client import ComfyClient, Patience
from comfyserve.engines.launch import Launch, folders_of, takes_arguments
from comfyserve.ports import ByteStream, EngineEvent, OfferedModel, TellSystem
from comfyserve.protocol import routes

PROBE_SECONDS = 0.03
"""Between two looks whether it answers; a refused connection costs half a millisecond."""

NOTICE_SECONDS = 2.0
"""The kernel refuses connections to a dead process a little before we are told of its death."""

log = structlog.get_logger(__name__)


class EngineState(StrEnum):
    """Where the process is. FATAL: it failed too often in a row and stays down until `ready` asks again."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    FATAL = "fatal"


SETTLED = frozenset({EngineState.STOPPED, EngineState.READY, EngineState.FATAL})
"""The states that do not pass by themselves; a restart goes from STOPPING to STARTING."""


@dataclass(frozen=True)
class RestartPolicy:
    """How often to start again: `failures` in a row end it, with these `delays` between; a process that was ready for
    `stable_seconds` has made up for earlier failures. A running one that does not say within `answer_seconds` that it
    is ready is replaced."""

    failures: int = 3
    delays: tuple[float, ...] = (0.1, 1.0, 5.0, 15.0)
    stable_seconds: float = 10.0
    answer_seconds: float = 5.0


class ProcessEngine:
    """An Engine that is a process of ours. Nothing is started before `ready`; after that it is kept alive."""

    def __init__(
        self,
        launch: Launch,
        *,
        patience: Patience | None = None,
        policy: RestartPolicy | None = None,
        on_state: Callable[[EngineState], None] = lambda state: None,
        tell: TellSystem | None = None,
    ) -> None:
        """`on_state` is told every state that it enters, `tell` what the engine says that is a system event."""
        self.launch = launch
        self._on_state = on_state
        self._tell = tell
        self.state = EngineState.STOPPED
        self._patience = patience
        self._policy = policy or RestartPolicy()
        self._client: ComfyClient | None = None
        self._child: Child | None = None
        self._folders = launch.folders
        self._keeper: asyncio.Task[None] | None = None
        self._failures = 0
        self._failure = EngineLost(f"The {launch.name} is not started.")
        self._changed = asyncio.Condition()
        self._turn = asyncio.Lock()
        """Held by whoever starts or stops the keeper, so that there is one keeper and one process at a time."""

    @property
    def pid(self) -> int | None:
        """The process id of the engine, while it runs."""
        return self._child.pid if self._child is not None else None

    @property
    def url(self) -> str | None:
        """Where the engine listens, while it runs; another port at every start."""
        return self._child.url if self._child is not None else None

    @property
    def failure(self) -> EngineLost:
        """Why it does not run, or why it ended the last time."""
        return self._failure

    async def ready(self) -> None:
        """Return when the engine takes prompts, starting it if need be, and anew, once, when the process lives and
        does not answer. Raises EngineLost when it does not start."""
        given_up = False
        while True:
            await self._started()
            silent = self._child
            try:
                return await self._answers_soon()
            except EngineLost as error:
                if await self._notices():
                    continue
                if given_up:
                    raise
                given_up = True
                log.warning("engine.silent", engine=self.launch.name, reason=error.message)
                await self._replace("it did not answer", only=silent)

    async def _answers_soon(self) -> None:
        seconds = self._policy.answer_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._now().ready()
        except TimeoutError:
            raise EngineLost(f"The {self.launch.name} does not answer within {seconds:g} s.") from None

    async def _started(self) -> None:
        async with self._turn:
            if self._keeper is None or self._keeper.done():
                self._begin()
        async with self._changed:
            await self._changed.wait_for(lambda: self.state in SETTLED)
        if self.state is not EngineState.READY:
            raise self._failure

    async def _replace(self, reason: str, *, only: Child | None = None) -> None:
        """Start anew, whatever runs; nothing when `only` is given and somebody else has replaced it by now."""
        task = asyncio.ensure_future(self._begin_anew(reason, only))
        await asyncio.shield(task)  # half of it would leave two processes

    async def _begin_anew(self, reason: str, only: Child | None) -> None:
        async with self._turn:
            if only is not None and self._child is not only:
                return
            kind = EngineRestarted if only is None else EngineLost  # a silent one may be silent for what it executes
            await self._stop(kind(f"The {self.launch.name} was restarted: {reason}"))
            self._begin()

    def _begin(self) -> None:
        self._failures = 0
        self._enter(EngineState.STARTING)
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of the {self.launch.name}")

    async def _notices(self) -> bool:
        """Whether the death of a process that does not answer is noticed soon, so that another start is under way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTICE_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self.state is not EngineState.READY)
        return self.state is not EngineState.READY

    async def object_info(self) -> Mapping[str, Any]:
        """The node catalogue."""
        return await self._now().object_info()

    async def upload(self, name: str, content: ByteStream, *, subfolder: str = "") -> str:
        """Put a file among the engine's inputs."""
        return await self._now().upload(name, content, subfolder=subfolder)

    async def model_folders(self) -> Mapping[str, Sequence[str]]:
        """The kinds of models that the engine knows, with the names it offers for each."""
        return await self._now().model_folders()

    async def add_model(self, folder: str, name: str, path: Path, *, exact: bool = False) -> OfferedModel:
        """Offer a file or folder of ours as a model of a kind."""
        return await self._now().add_model(folder, name, path, exact=exact)

    def input_path(self, name: str) -> str | None:
        """Where a file or folder among the engine's inputs lies; None when its folders are not ours."""
        path = None if self._folders is None else self._folders.input_path(name)
        return None if path is None else str(path)

    def execute(
        self, prompt_id: str, graph: Mapping[str, Any], extra_data: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """Submit a graph; the death of the process is EngineLost at once."""
        return self._now().execute(prompt_id, graph, extra_data)

    async def interrupt(self, prompt_id: str) -> bool:
        """Stop exactly this prompt; whether the engine still had it."""
        return await self._now().interrupt(prompt_id)

    def open(self, file: EngineFile) -> AbstractAsyncContextManager[ByteStream]:
        """Stream a file the engine holds."""
        return self._now().open(file)

    async def forget(self, prompt_ids: Sequence[str], files: Sequence[EngineFile]) -> None:
        """Drop the history records, these files and the prompts' folders; the files also when the process is dead."""
        if self._client is None and self._folders is not None:
            await self._folders.remove(prompt_ids, files)
        await self._now().forget(prompt_ids, files)

    async def restart(self, reason: str) -> None:
        """Stop the process and start it again; prompts in flight raise EngineLost."""
        log.info("engine.restart", engine=self.launch.name, reason=reason)
        await self._replace(reason)
        await self.ready()

    async def close(self) -> None:
        """Stop the process and everything it started."""
        async with self._turn:
            await self._stop(EngineLost(f"The {self.launch.name} was stopped."))
            await self._set(EngineState.STOPPED)

    def _now(self) -> ComfyClient:
        if self._client is None:
            raise EngineUnreached(self._failure.message)
        return self._client

    async def _keep(self) -> None:
        """Keep the process alive until it failed too often; a bug of ours ends it like that, too."""
        try:
            await self._start_again_and_again()
        except Exception as error:
            log.exception("engine.keeper_failed", engine=self.launch.name)
            self._failure = EngineLost(f"The {self.launch.name} cannot be kept alive: {error!r}")
        await self._set(EngineState.FATAL)

    async def _start_again_and_again(self) -> None:
        while True:
            await self._set(EngineState.STARTING)
            since = await self._run_once()
            now = asyncio.get_running_loop().time()
            stable = since is not None and now - since >= self._policy.stable_seconds
            self._failures = 1 if stable else self._failures + 1
            log.warning("engine.ended", engine=self.launch.name, reason=self._failure.message, failures=self._failures)
            if self._failures >= self._policy.failures:
                return
            await self._set(EngineState.BACKOFF)
            await asyncio.sleep(self._policy.delays[min(self._failures, len(self._policy.delays)) - 1])

    async def _run_once(self) -> float | None:
        """One life of the process; the answer is when it became ready. Leaves the reason of its end in `_failure`."""
        since = None
        try:
            self._child = child = await Child.spawn(self.launch)
            await self._await_answer(child)
            await self._connect(child.url)
            since = asyncio.get_running_loop().time()
            await self._set(EngineState.READY)
            code = await asyncio.shield(child.ended)
            self._failure = EngineLost(f"The {self.launch.name} ended with exit code {code}. Its log may say why.")
            await self._set(EngineState.BACKOFF)
        except EngineLost as error:
            self._failure = error
        await self._let_go(self._failure, 0.0)
        return since

    async def _connect(self, url: str) -> None:
        """Make the client, with the folders that the engine has where only its start script knows them."""
        self._client = client = ComfyClient(url, folders=self._folders, patience=self._patience, tell=self._tell)
        await client.ready()
        if takes_arguments(self.launch.command):
            return
        folders = folders_of(self.launch, await client.arguments())
        if folders == self._folders:
            return
        self._folders = folders
        await client.close()
        self._client = ComfyClient(url, folders=folders, patience=self._patience, tell=self._tell)
        await self._client.ready()

    async def _await_answer(self, child: Child) -> None:
        """Return when it answers HTTP. Raises EngineLost when it ends before or takes too long."""
        probe = asyncio.create_task(_answers(child.url))
        try:
            await asyncio.wait(
                {probe, child.ended}, timeout=self.launch.start_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if child.ended.done():
                raise self._death(child, f"ended with exit code {child.ended.result()} before it was ready")
            if not probe.done():
                self._failures = self._policy.failures
                raise self._death(child, f"was not ready within {self.launch.start_seconds:g} s")
            child.settle()
            if stranger := await child.stranger():
                raise EngineLost(f"The {self.launch.name} did not get its port: {stranger} answers at {child.url}.")
        finally:
            probe.cancel()

    def _death(self, child: Child, what: str) -> EngineLost:
        """Why it did not start, in its own last words: before it was ready they can hold nothing of a caller's."""
        last = child.output.last
        said = f"Its last lines:\n{last}" if last else "It printed nothing."
        return EngineLost(f"The {self.launch.name} {what}. {said}")

    async def _stop(self, reason: EngineLost) -> None:
        if self._keeper is not None:
            await self._set(EngineState.STOPPING)
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        self._failure = reason
        await self._let_go(reason, self.launch.stop_seconds)

    async def _let_go(self, reason: EngineLost, seconds: float) -> None:
        client, self._client = self._client, None
        child, self._child = self._child, None
        try:
            if client is not None:
                client.lose(reason)
                await client.close()
        finally:
            if child is not None:
                await child.stop(seconds)

    async def _set(self, state: EngineState) -> None:
        async with self._changed:
            self._enter(state)
            self._changed.notify_all()

    def _enter(self, state: EngineState) -> None:
        if state is self.state:
            return
        self.state = state
        log.info("engine.state", engine=self.launch.name, state=state)
        self._on_state(state)


async def _answers(url: str) -> None:
    """Return at the first answer to `/system_stats` that is 200."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        up = await _is_up(session, url)
        while not up:
            await asyncio.sleep(PROBE_SECONDS)
            up = await _is_up(session, url)


async def _is_up(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url + routes.SYSTEM_STATS, allow_redirects=False) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
