"""Workflows written in TypeScript or JavaScript for the original, run by Node."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from comfyserve.core.errors import InvalidInput
from comfyserve.workflows.calls import TookTooLong
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.limits import WorkflowLimits
from comfyserve.workflows.model import as_graph
from comfyserve.workflows.names import KnownNames, Surroundings, WorkflowContext
from comfyserve.workflows.node_process import NodeEnded, NodeError, NodeProcess
from comfyserve.workflows.table import Row
from comfyserve.workflows.wrong import invalid, kind_of, not_generated

CONFIG_NAMES: Mapping[str, str] = {
    "cacheDir": "cache_dir",
    "comfyDir": "comfy_home",
    "comfyHost": "comfy_host",
    "comfyPort": "comfy_port",
    "inputDir": "comfy_input",
    "logLevel": "log_level",
    "maxBodySize": "max_body_bytes",
    "maxQueueDepth": "max_queue_depth",
    "modelDir": "comfy_models",
    "outputDir": "comfy_output",
    "prependFilenames": "prepend_filenames",
    "workflowDir": "workflow_dir",
    "wrapperHost": "host",
    "wrapperPort": "port",
}
"""Name in the original's config -> name of our setting; the settings stand there under their own names, too."""


class NodeFiles:
    """All files that Node runs, in one process that knows the surroundings of the moment."""

    def __init__(self, context: WorkflowContext, names: KnownNames, limits: WorkflowLimits) -> None:
        self.process = NodeProcess(context.node, limits, context.variables)
        self.names = names
        self._limits = limits
        self._told: Surroundings | None = None

    async def load(self, path: str, file: Path) -> "NodeWorkflow":
        """Load a file. Raises Unreadable with what it throws, and the line."""
        around = await self.names.now()
        try:
            told = await self.ask(around, "describe", str(file), seconds=self._limits.load_seconds)
        except NodeError as error:
            line = f" (line {error.line})" if error.line else ""
            raise Unreadable(f"{error.name}: {error}{line}") from error
        except (NodeEnded, TookTooLong) as error:
            raise Unreadable(f"Loading it did not end well: {error}.") from error
        workflow = NodeWorkflow(path, str(file), self, self._limits.call_seconds)
        workflow.learn(told, around)
        return workflow

    async def ask(self, around: Surroundings, op: str, file: str, *, seconds: float, **facts: Any) -> Any:
        """An answer about a file, given within these surroundings."""
        if around != self._told:
            self._told = around
            await self.process.configure(_config(around))
        return await self.process.ask(op, seconds=seconds, file=file, **facts)

    def forget(self) -> None:
        """Let files be read anew."""
        self._told = None

    async def close(self) -> None:
        """End the process."""
        await self.process.close()


class NodeWorkflow:
    """One .ts or .js file as a workflow."""

    def __init__(self, path: str, file: str, files: NodeFiles, seconds: float) -> None:
        self.path = path
        self._file = file
        self._files = files
        self._seconds = seconds

    def learn(self, told: Mapping[str, Any], around: Surroundings) -> None:
        """Take over what the file says of itself, with the names of that moment in it."""
        self.summary = told["summary"] or self.path.rpartition("/")[2]
        self.description = told["description"]
        self.input_schema: Mapping[str, Any] = {"title": "Input", **told["schema"]}
        self._rows = [Row(**row) for row in told["rows"]]
        self._known = around

    def rows(self) -> list[Row]:
        """The rows of the table of inputs."""
        return self._rows

    async def read(self, given: Any) -> Mapping[str, Any]:
        """The parsed input. Raises InvalidInput."""
        if not isinstance(given, Mapping):
            raise invalid([((), f"Expected object, received {kind_of(given)}")])

        async def use(around: Surroundings) -> Mapping[str, Any]:
            if around != self._known:
                self.learn(await self._asked(around, "describe", lambda why: invalid([((), why)])), around)
            told = await self._asked(around, "read", lambda why: invalid([((), why)]), input=dict(given))
            if (issues := told.get("issues")) is not None:
                raise invalid([(one["path"], one["message"]) for one in issues])
            parsed: Mapping[str, Any] = told.get("parsed") or {}
            return parsed

        return await self._files.names.tried(use)

    async def graph(self, parsed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The graph that the function gives. Raises InvalidInput."""
        told = await self._asked(await self._files.names.now(), "graph", not_generated, input=dict(parsed))
        try:
            return as_graph(told.get("graph"))
        except ValueError as error:
            raise not_generated(str(error)) from error

    async def _asked(self, around: Surroundings, op: str, refuse: Callable[[str], InvalidInput], **facts: Any) -> Any:
        try:
            return await self._files.ask(around, op, self._file, seconds=self._seconds, **facts)
        except (NodeError, NodeEnded, TookTooLong, Unreadable) as error:
            raise refuse(str(error)) from error

    async def close(self) -> None:
        """Let the file be read anew."""
        self._files.forget()


def _config(around: Surroundings) -> dict[str, Any]:
    settings = {name: _plain(value) for name, value in around.settings.items()}
    folder = str(around.settings.get("comfy_models") or "")
    renamed = {name: settings[ours] for name, ours in CONFIG_NAMES.items() if ours in settings}
    models = around.models
    return {
        "samplers": around.samplers,
        "schedulers": around.schedulers,
        "models": None
        if models is None
        else {name: {"dir": f"{folder}/{name}", "all": known} for name, known in models.items()},
        "warmupCkpt": around.warmup_ckpt,
        "settings": {**settings, **renamed},
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool | list | dict) else str(value)
