"""What the wire APIs are built from: the services, and the few options that are HTTP's own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from comfyserve.apis.http.events import Slots
from comfyserve.apis.http.spool import Spool
from comfyserve.services.cancel import Cancel
from comfyserve.services.deployments import Deployments
from comfyserve.services.files import Files
from comfyserve.services.forms import EditorForms
from comfyserve.services.keys import Keys
from comfyserve.services.machines import Machines
from comfyserve.services.runs import Runs
from comfyserve.services.submit import Submit
from comfyserve.services.watch import Watch
from comfyserve.services.workflows import Workflows


@dataclass(frozen=True)
class Readiness:
    """Whether the server can run things now; `facts` are shown beside (`database`, `engine`, `error`)."""

    ready: bool
    facts: dict[str, Any] = field(default_factory=dict)


async def always_ready() -> Readiness:
    """The probe of a server that has nothing to wait for."""
    return Readiness(True)


@dataclass(frozen=True)
class Services:
    """The use cases, one object per noun or verb."""

    keys: Keys
    workflows: Workflows
    forms: EditorForms
    deployments: Deployments
    machines: Machines
    submit: Submit
    runs: Runs
    watch: Watch
    cancel: Cancel
    files: Files


@dataclass(frozen=True)
class ApiOptions:
    """What HTTP needs to know. Sizes are bytes, times seconds; `public_url` has no slash at its end. `spool` is where
    files wait that are sent as text; without it they are held in memory."""

    public_url: str = "http://127.0.0.1:3011"
    version: str = "0.1.0"
    max_body_bytes: int = 32 * 1024 * 1024
    max_upload_bytes: int = 250 * 1024 * 1024
    max_streams: int = 1000
    sync_seconds: float = 600.0
    keepalive_seconds: float = 15.0
    session_seconds: int = 30 * 24 * 3600
    cors_origins: tuple[str, ...] = ("*",)
    ready: Callable[[], Awaitable[Readiness]] = always_ready
    spool: Spool | None = None


@dataclass(frozen=True)
class Context:
    """Services and options, where a route finds them."""

    services: Services
    options: ApiOptions
    slots: Slots


def context_of(request: Request) -> Context:
    """The context of the app that serves this request."""
    context: Context = request.app.state.context
    return context


def services_of(request: Request) -> Services:
    """The services of the app that serves this request."""
    return context_of(request).services
