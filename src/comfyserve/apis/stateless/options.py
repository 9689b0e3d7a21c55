"""What this dialect may know of the program behind it: facts of the settings, and what only solo can do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from fastapi import Depends
from starlette.requests import Request

from comfyserve.core.credentials import Credential
from comfyserve.core.graph import Graph
from comfyserve.services.model_files import ModelArrived, ModelOrder
from comfyserve.services.model_orders import ModelOrders
from comfyserve.services.records import Caller
from comfyserve.services.system_events import SystemEvent, TellSystem

UploadKey = Literal["s3", "hf_upload", "azure_blob_upload", "http_upload", "storage_upload"]


@dataclass(frozen=True)
class Condition:
    """How the program is: `healthy` once the first warm-up has finished, `ready` while it takes work; `queued` and
    `running` are numbers of runs, `reason` says why it is not ready, or what is missing although it is."""

    healthy: bool
    ready: bool
    queued: int = 0
    running: int = 0
    reason: str = ""


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


def tell_nobody(event: SystemEvent) -> None:
    """No system webhook is set."""


@dataclass(frozen=True)
class StatelessOptions:
    """Built by `app.solo`, put into `app.state.stateless`. `keyed`: whether calls need a key. `tell`: who hears of
    downloads that fail. `uploads`: the storages that are configured. `accept_seconds`: how long a call that will be
    answered 202 may wait for its files, so that a wrong address is still a 400. `sync_seconds`: how long a synchronous
    call waits; 0: for ever. `public_links`: links in answers lead to the server's public URL, whatever the request's
    own address. `orders` keeps the models that were promised. `cancel_abandoned`: whether a run goes when its
    synchronous caller has gone."""

    version: str
    condition: Callable[[], Awaitable[Condition]]
    caller: Callable[[Request], Awaitable[Caller]]
    models: Callable[[], Awaitable[Mapping[str, Sequence[str]]]]
    check_model: Callable[[ModelOrder], Awaitable[None]]
    download: Callable[[ModelOrder], Awaitable[ModelArrived]]
    prefetch: Callable[[Graph, Sequence[Credential]], Awaitable[None]]
    workflows: Sequence[WorkflowEndpoint] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    uploads: frozenset[str] = frozenset({"hf_upload", "http_upload"})
    strict: bool = False
    prepend_filenames: bool = True
    cancel_abandoned: bool = False
    accept_seconds: float = 30.0
    sync_seconds: float = 0.0
    public_links: bool = False
    port: int = 3000
    keyed: bool = False
    tell: TellSystem = tell_nobody
    orders: ModelOrders | None = None


def stateless_of(request: Request) -> StatelessOptions:
    """The options of the app that serves this request."""
    options: StatelessOptions = request.app.state.stateless
    return options


async def _caller(request: Request) -> Caller:
    return await stateless_of(request).caller(request)


SignedIn = Annotated[Caller, Depends(_caller)]
"""The caller of a route of this dialect: everybody, unless keys are set."""
