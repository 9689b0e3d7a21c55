"""What this dialect may know of the program behind it: facts of the settings, and what only solo can do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from starlette.requests import Request

from comfyserve.core.credentials import Auth, Credential
from comfyserve.core.graph import Graph
from comfyserve.services.records import Caller

UploadKey = Literal["s3", "hf_upload", "azure_blob_upload", "http_upload"]


@dataclass(frozen=True)
class Condition:
    """How the program is: `healthy` once the first warm-up has finished, `ready` while it takes work; `queued` and
    `running` are numbers of runs, `reason` says why it is not ready."""

    healthy: bool
    ready: bool
    queued: int = 0
    running: int = 0
    reason: str = ""


@dataclass(frozen=True)
class ModelOrder:
    """A model that a caller wants in a model folder, under a name of its own."""

    url: str
    folder: str
    filename: str
    auth: Auth | None = None


@dataclass(frozen=True)
class ModelArrived:
    """A model is there: its name in the folder, its bytes, and the seconds that it took."""

    filename: str
    size: int
    seconds: float


class WorkflowEndpoint(Protocol):
    """One custom workflow: a file of the workflow folder."""

    @property
    def path(self) -> str:
        """`sd1.5/txt2img`: folders and file name without its ending."""

    @property
    def summary(self) -> str:
        """One line."""

    @property
    def description(self) -> str:
        """Markdown; with a table of the inputs where that is wanted."""

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of `input`."""

    async def read(self, given: Any) -> Mapping[str, Any]:
        """The parsed input: defaults filled in, unknown keys dropped. Raises InvalidInput, whose place names the field
        as `input.<field>`."""

    async def graph(self, parsed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The graph for a parsed input. Raises InvalidInput with the place `input`."""


@dataclass(frozen=True)
class StatelessOptions:
    """Built by `app.solo`. `uploads`: the storages that are configured. `accept_seconds`: how long a call that will be
    answered 202 may wait for its files, so that a wrong address is still a 400. `sync_seconds`: how long a synchronous
    call waits; 0: for ever. `cancel_abandoned`: whether a run goes when its synchronous caller has gone."""

    version: str
    condition: Callable[[], Awaitable[Condition]]
    caller: Callable[[Request], Awaitable[Caller]]
    models: Callable[[], Awaitable[Mapping[str, Sequence[str]]]]
    download: Callable[[ModelOrder], Awaitable[ModelArrived]]
    prefetch: Callable[[Graph, Sequence[Credential]], Awaitable[None]]
    workflows: Sequence[WorkflowEndpoint] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    uploads: frozenset[UploadKey] = frozenset({"hf_upload", "http_upload"})
    strict: bool = False
    prepend_filenames: bool = True
    cancel_abandoned: bool = False
    accept_seconds: float = 30.0
    sync_seconds: float = 0.0
    port: int = 3000
    spool_folder: str = ""
