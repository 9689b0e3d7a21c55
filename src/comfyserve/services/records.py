"""What the services give to the wire APIs: frozen views of rows, without secrets and without HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from comfyserve.core.conversion import Conversion
from comfyserve.core.inputs.declare import Input
from comfyserve.core.options import RunOptions
from comfyserve.core.runs import Status

T = TypeVar("T")

KeyKind = Literal["api", "session", "sign_in"]
Json = Mapping[str, Any]

MAX_PAGE = 200


@dataclass(frozen=True)
class Caller:
    """Who asks: one key of one workspace. `name` is the key's name."""

    workspace_id: str
    key_id: str
    kind: KeyKind
    name: str
    workspace_name: str = ""


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `next_cursor` is opaque and None on the last page."""

    items: Sequence[T]
    next_cursor: str | None = None


@dataclass(frozen=True)
class KeyView:
    """A key without its secret; `prefix` is what people recognise it by."""

    id: str
    name: str
    kind: KeyKind
    prefix: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; `secret` is shown this once."""

    key: KeyView
    secret: str


@dataclass(frozen=True)
class WorkflowView:
    """A named graph; `latest_version` counts from 1."""

    id: str
    workspace_id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    latest_version: int
    latest_version_id: str
    created_by: str


@dataclass(frozen=True)
class VersionView:
    """An immutable version of a workflow; `graph` and `editor` are None in lists."""

    id: str
    workspace_id: str
    workflow_id: str
    version: int
    comment: str
    graph_hash: str
    created_at: datetime
    created_by: str
    inputs: Sequence[Input] = ()
    graph: Json | None = None
    editor: Json | None = None


@dataclass(frozen=True)
class DeploymentView:
    """A stable name for a workflow version on a machine; `inputs` are the declared ones, narrowed. `convert_output` is
    what its runs get that ask for none."""

    id: str
    workspace_id: str
    name: str
    environment: str
    workflow_id: str
    workflow_name: str
    version_id: str
    version: int
    machine_id: str
    narrowings: Json
    inputs: Sequence[Input]
    created_by: str
    created_at: datetime
    updated_at: datetime
    simulated: bool = False
    convert_output: Json | None = None


@dataclass(frozen=True)
class DeploymentDraft:
    """What a new deployment is made of; `version` None is the latest one, `machine_id` None the local machine."""

    name: str
    workflow_id: str
    version: int | None = None
    machine_id: str | None = None
    environment: str = "production"
    narrowings: Json = field(default_factory=dict)
    convert_output: Conversion | None = None


@dataclass(frozen=True)
class DeploymentChange:
    """The fields of a deployment to change; None leaves a field as it is, but ends the default of `convert_output`.

    A version is named by its number or, when it may be one of another workflow, by its id.
    """

    name: str | None = None
    version: int | None = None
    version_id: str | None = None
    machine_id: str | None = None
    environment: str | None = None
    narrowings: Json | None = None
    convert_output: Conversion | Literal["keep"] | None = "keep"


@dataclass(frozen=True)
class MachineView:
    """An environment that runs graphs, with how much waits for it now."""

    id: str
    workspace_id: str
    name: str
    kind: str
    status: Literal["starting", "ready", "failed"]
    workers: int
    queued: int
    running: int
    created_at: datetime
    updated_at: datetime
    error: Json | None = None


@dataclass(frozen=True)
class AssetView:
    """A stored file; `url` is signed and lives for a limited time."""

    id: str
    workspace_id: str
    filename: str
    mime: str
    size: int
    sha256: str
    url: str
    created_at: datetime
    blob_key: str
    run_id: str | None = None


OutputKind = Literal["image", "video", "audio", "text", "3d", "file"]


@dataclass(frozen=True)
class OutputView:
    """One output of a run: a file, or a `value`. Of a file `asset_id` is there while we have it, `target_url` when it
    went to the caller's own target; `url` is where it can be had."""

    id: str
    run_id: str
    node_id: str
    class_type: str
    key: str
    index: int
    kind: OutputKind
    created_at: datetime
    filename: str = ""
    subfolder: str = ""
    type: str = "output"
    mime: str = ""
    size: int = 0
    sha256: str = ""
    asset_id: str | None = None
    url: str | None = None
    target_url: str | None = None
    value: Any = None


@dataclass(frozen=True)
class EventView:
    """One durable fact of a run's ledger; `seq` counts from 1 within the run, `status` is the run's after it."""

    seq: int
    kind: str
    at: datetime
    attempt_id: str | None
    status: Status
    data: Json


@dataclass(frozen=True)
class WebhookWish:
    """A call that a run's caller wants. `format` names who writes its body; `on`: when the run has ended, at each
    change of its state, or for each of its files when it has succeeded (previews only when there is nothing else), and
    once when it has ended otherwise."""

    url: str
    format: str
    on: Literal["end", "changes", "outputs"] = "end"


@dataclass(frozen=True)
class RunView:
    """A run as its caller sees it. `outputs` are empty in lists; `replayed` says that an idempotency key found it.

    `target` is what its caller wished, without anything secret.
    """

    id: str
    workspace_id: str
    key_id: str
    status: Status
    machine_id: str
    dialect: str
    origin: str
    inputs: Json
    priority: int
    attempts: int
    max_attempts: int
    created_at: datetime
    updated_at: datetime
    deployment_id: str | None = None
    deployment_name: str | None = None
    workflow_id: str | None = None
    version_id: str | None = None
    version: int | None = None
    attempt_id: str | None = None
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    error: Json | None = None
    warnings: Sequence[Json] = ()
    outputs: Sequence[OutputView] = ()
    queue_position: int | None = None
    simulated: bool = False
    convert_output: Json | None = None
    target: Json | None = None
    webhooks: Sequence[WebhookWish] = ()
    last_event: int = 0
    replayed: bool = False

    @property
    def queued_seconds(self) -> float | None:
        """From the submit to the last claim, or to the end of a run that was never claimed."""
        return _seconds(self.created_at, self.claimed_at or self.ended_at)

    @property
    def running_seconds(self) -> float | None:
        """From the first start in an engine to the end."""
        return _seconds(self.started_at, self.ended_at)

    @property
    def total_seconds(self) -> float | None:
        """From the submit to the end."""
        return _seconds(self.created_at, self.ended_at)


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; None does not filter. `deployment` is an id or a name."""

    deployment: str | None = None
    workflow_id: str | None = None
    status: Status | None = None


@dataclass(frozen=True)
class SubmitRequest:
    """One wish to run a deployment (id or name), a workflow version (`version_id`) or a bare graph.

    `graph` is raw JSON in the API form, or in the editor's. `unknown_inputs`: refuse names that no node declares, or
    report them as warnings. `randomise_seeds` is the seed policy of the dialect. `reuse`: whether an idempotency key is
    free again once its run has ended otherwise than with success. `memo` is kept with the run, as it is, for what the
    dialect says later of it; nothing secret. `asked` is what the caller sent, where the graph was made of it: two
    requests are the same when this is the same. `spooled`: the long texts of the request that are in files, each by the
    token that stands for it; they need to live until it is submitted.
    """

    deployment: str | None = None
    version_id: str | None = None
    graph: Any = None
    editor: Json | None = None
    machine_id: str | None = None
    inputs: Json = field(default_factory=dict)
    priority: int = 0
    webhooks: tuple[WebhookWish, ...] = ()
    dialect: str = "native"
    origin: str = "api"
    idempotency_key: str | None = None
    reuse: Literal["never", "after_failure"] = "never"
    unknown_inputs: Literal["refuse", "report"] = "refuse"
    randomise_seeds: bool = False
    options: RunOptions = field(default_factory=RunOptions)
    memo: Json = field(default_factory=dict)
    asked: Json | None = field(default=None, repr=False)
    spooled: Mapping[str, Path] = field(default_factory=dict)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    span: timedelta = end - start
    return max(0.0, span.total_seconds())
