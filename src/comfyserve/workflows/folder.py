"""The workflow folder: every file that can be loaded is an endpoint, every other is listed with its reason."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, overload

from comfyserve.core.errors import InvalidInput
from comfyserve.workflows.calls import Threads
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.files import Found, Walk, walk
from comfyserve.workflows.json_file import load_json
from comfyserve.workflows.limits import WorkflowLimits
from comfyserve.workflows.names import KnownNames, WorkflowContext
from comfyserve.workflows.node_file import NodeFiles
from comfyserve.workflows.python_file import load_python
from comfyserve.workflows.table import Row, markdown

logger = logging.getLogger(__name__)

WATCH_SECONDS = 1.0


class Readable(Protocol):
    """What each kind of file gives."""

    @property
    def summary(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def input_schema(self) -> Mapping[str, Any]: ...

    def rows(self) -> list[Row]: ...

    async def read(self, given: Any) -> Mapping[str, Any]: ...

    async def graph(self, parsed: Mapping[str, Any]) -> Mapping[str, Any]: ...

    async def close(self) -> None: ...


class LoadedWorkflow:
    """One endpoint: a file of the folder, in whatever language it is written."""

    def __init__(self, found: Found, inside: Readable, *, table: bool) -> None:
        self.found = found
        self.inside = inside
        self._table = table

    @property
    def path(self) -> str:
        """Folders and file name without its ending."""
        return self.found.path

    @property
    def summary(self) -> str:
        """One line."""
        return self.inside.summary

    @property
    def description(self) -> str:
        """Markdown; with a table of the inputs where that is wanted."""
        said = self.inside.description.strip()
        return f"{said}\n\n{markdown(self.inside.rows())}".lstrip() if self._table else said

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of `input`."""
        return self.inside.input_schema

    async def read(self, given: Any) -> Mapping[str, Any]:
        """The parsed input: defaults filled in, unknown keys dropped. Raises InvalidInput, whose place names the
        field as `input.<field>`; several problems stand in `details["issues"]`."""
        return await self.inside.read(given)

    async def graph(self, parsed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The graph for a parsed input. Raises InvalidInput with the place `input`."""
        try:
            return await self.inside.graph(parsed)
        except InvalidInput as error:
            logger.info("workflow %s: %s", self.path, error.message)
            raise


class LiveSequence(Sequence[LoadedWorkflow]):
    """The endpoints as they are at this moment, by path."""

    def __init__(self, loaded: Mapping[str, LoadedWorkflow]) -> None:
        self._loaded = loaded

    @overload
    def __getitem__(self, index: int) -> LoadedWorkflow: ...

    @overload
    def __getitem__(self, index: slice) -> list[LoadedWorkflow]: ...

    def __getitem__(self, index: int | slice) -> LoadedWorkflow | list[LoadedWorkflow]:
        return self._ordered()[index]

    def __len__(self) -> int:
        return len(self._loaded)

    def __iter__(self) -> Iterator[LoadedWorkflow]:
        return iter(self._ordered())

    def _ordered(self) -> list[LoadedWorkflow]:
        return [self._loaded[path] for path in sorted(self._loaded)]


class WorkflowFolder:
    """All workflows of a folder. `endpoints` and `unreadable` (path of the workflow, or the file where another one
    has its path -> reason) follow what `refresh` finds."""

    def __init__(self, folder: Path, context: WorkflowContext, limits: WorkflowLimits) -> None:
        self._folder = folder
        self._table = context.markdown
        self._limits = limits
        self._names = KnownNames(context)
        self._threads = Threads(limits.threads)
        self._node = NodeFiles(context, self._names, limits)
        self._loaded: dict[str, LoadedWorkflow] = {}
        self._failed: dict[str, tuple[Found, str]] = {}
        self._helpers: Mapping[str, Any] = {}
        self._lock = asyncio.Lock()
        self.endpoints: Sequence[LoadedWorkflow] = LiveSequence(self._loaded)
        self.unreadable: dict[str, str] = {}

    async def refresh(self) -> None:
        """Look at the folder again: load what is new or changed, forget what is gone. Never raises for a file."""
        async with self._lock:
            walked = await asyncio.to_thread(self._walked)
            await self._names.now()
            if walked.helpers != self._helpers:
                self._helpers = walked.helpers
                await self._forget(list(self._loaded))
                self._failed.clear()
            await self._forget([path for path in self._loaded if not self._is_current(walked, path)])
            self._failed = {
                path: (found, why) for path, (found, why) in self._failed.items() if walked.found.get(path) == found
            }
            for path, found in walked.found.items():
                if path not in self._loaded and path not in self._failed:
                    await self._load(found)
            self.unreadable.clear()
            self.unreadable.update(walked.failed)
            self.unreadable.update({path: f"{found.file.name}: {why}" for path, (found, why) in self._failed.items()})

    async def watch(self, every: float = WATCH_SECONDS) -> NoReturn:
        """Refresh for ever, for those who write workflows."""
        while True:
            await asyncio.sleep(every)
            await self.refresh()

    async def close(self) -> None:
        """Forget the workflows, and end Node and the loop of asynchronous functions."""
        await self._forget(list(self._loaded))
        self._threads.close()
        await self._node.close()

    def _walked(self) -> Walk:
        return walk(self._folder, self._limits) if self._folder.is_dir() else Walk()

    def _is_current(self, walked: Walk, path: str) -> bool:
        return walked.found.get(path) == self._loaded[path].found

    async def _forget(self, paths: Sequence[str]) -> None:
        for path in paths:
            await self._loaded.pop(path).inside.close()

    async def _load(self, found: Found) -> None:
        try:
            loaded = await self.opened(found)
        except Unreadable as error:
            self._failed[found.path] = (found, str(error))
            logger.warning("workflow file %s was left out: %s", self._name(found), error)
            return
        self._loaded[found.path] = loaded
        logger.info("workflow /workflow/%s loaded from %s", found.path, self._name(found))

    async def opened(self, found: Found) -> LoadedWorkflow:
        """One file as a workflow, beside those of the folder. Raises Unreadable."""
        return LoadedWorkflow(found, await self._opened(found), table=self._table)

    async def _opened(self, found: Found) -> Readable:
        if found.kind == "python":
            return await load_python(found.path, found.file, self._names, self._threads, self._limits)
        if found.kind == "node":
            return await self._node.load(found.path, found.file)
        root, most = self._folder.resolve(), self._limits.file_bytes
        return await asyncio.to_thread(load_json, found.path, found.file, root, self._names, most)

    def _name(self, found: Found) -> str:
        return str(found.file.relative_to(self._folder.resolve()))


async def load_workflows(
    folder: Path, context: WorkflowContext, limits: WorkflowLimits | None = None
) -> WorkflowFolder:
    """Load every workflow file of a folder; a folder that is not there has none. Never raises for a file."""
    workflows = WorkflowFolder(folder, context, limits or WorkflowLimits())
    await workflows.refresh()
    return workflows
