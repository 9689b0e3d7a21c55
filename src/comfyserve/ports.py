"""The seams of comfyserve, all on one page. Each has one conformance suite in tests/ports that every adapter runs."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from comfyserve.core.credentials import Credential
from comfyserve.core.graph import Graph
from comfyserve.core.options import RunOptions
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.core.runs import Fact, Lease, Run
from comfyserve.core.targets import TargetWish
from comfyserve.core.uploads import Uploads

ByteStream = AsyncIterator[bytes]

# ---------------------------------------------------------------------------------------------------- engine


@dataclass(frozen=True)
class Started:
    """The engine took the prompt from its queue and executes it now."""


@dataclass(frozen=True)
class NodeStarted:
    """The engine began to execute a node."""

    node_id: str


@dataclass(frozen=True)
class Progress:
    """How far a node is: `value` of `maximum` steps; `fraction` of the whole run (0..1) is filled in by the worker."""

    node_id: str
    value: float
    maximum: float
    fraction: float = 0.0


@dataclass(frozen=True)
class Preview:
    """A small picture of the work in progress."""

    image: bytes
    mime: str
    node_id: str | None = None


@dataclass(frozen=True)
class NodeFinished:
    """A node published its UI output while the graph is still running."""

    node_id: str
    outputs: Sequence[NodeOutput]


@dataclass(frozen=True)
class Warned:
    """The engine goes on, but not with all of the graph: outputs that are not valid were left out."""

    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Alive:
    """The engine was asked and says that it still executes the prompt; nothing else is new."""


@dataclass(frozen=True)
class Outcome:
    """How a prompt ended, as the engine's history tells it. `error` is a stored DomainError (see errors.as_dict)."""

    ending: Literal["success", "error", "interrupted"]
    outputs: Sequence[NodeOutput] = ()
    error: Mapping[str, Any] | None = None
    simulated: bool = False


EngineEvent = Started | NodeStarted | Progress | Preview | NodeFinished | Warned | Alive | Outcome


class Engine(Protocol):
    """Anything that speaks the ComfyUI protocol. Every method may raise EngineLost."""

    async def ready(self) -> None:
        """Return when the engine takes prompts. Raises EngineLost when it cannot be started."""

    async def object_info(self) -> Mapping[str, Any]:
        """The node catalogue, as `/object_info` gives it."""

    async def upload(self, name: str, content: ByteStream, *, subfolder: str = "") -> str:
        """Put a file among the engine's inputs; the answer is the name that graphs use for it."""

    async def model_folders(self) -> Mapping[str, Sequence[str]]:
        """The kinds of models that the engine knows (`checkpoints`, `loras`, ...) with the names it offers for each."""

    async def add_model(self, folder: str, name: str, path: Path, *, exact: bool = False) -> "OfferedModel":
        """Offer a file or folder of ours as a model of a kind, without copying it where that can be. Raises EngineError
        when the engine's folders are out of our reach or read-only, or it has no such kind, or does not list it.

        `exact`: under this very name, or not at all: raises Conflict when another file has it."""

    def input_path(self, name: str) -> str | None:
        """Where a file or folder among the engine's inputs lies on its own machine; None when we cannot know."""

    def execute(
        self, prompt_id: str, graph: Mapping[str, Any], extra_data: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """Submit a graph under our own id and tell what happens; the last event is an Outcome.

        The stream is a hint kept true by `/history`: after a lost socket it reconnects and reconciles. Several
        prompts may be in flight. Raises EngineError when the engine refuses the graph, EngineLost when the engine died
        or forgot the prompt. Leaving the context early does not stop the prompt; `interrupt` does.
        """

    async def interrupt(self, prompt_id: str) -> bool:
        """Stop exactly this prompt, waiting or running; whether the engine still had it (a node may end first)."""

    def open(self, file: EngineFile) -> AbstractAsyncContextManager[ByteStream]:
        """Stream a file the engine holds. Raises EngineError when it is gone."""

    async def forget(self, prompt_ids: Sequence[str], files: Sequence[EngineFile]) -> None:
        """Drop the history records and, where the engine's folders are ours, these files and the folders of outputs
        that are named after the prompts."""

    async def restart(self, reason: str) -> None:
        """Stop whatever the engine does and start it again, if it is ours; prompts in flight raise EngineLost."""

    async def close(self) -> None:
        """Let go of the engine; one that we started is stopped, with all its children."""


@dataclass(frozen=True)
class OfferedModel:
    """A model of ours that an engine has: the name that graphs use, and where the symbolic link to our file, or else a
    copy of it, lies."""

    name: str
    link: Path | None = None


# ---------------------------------------------------------------------------------------------------- ledger


@dataclass(frozen=True)
class AssetRef:
    """Where an asset's bytes are, and what they are."""

    id: str
    blob_key: str
    filename: str
    mime: str
    size: int


@dataclass(frozen=True)
class Clocks:
    """The four clocks of a run, in seconds; 0 means no limit."""

    queue: float
    start: float
    run: float
    heartbeat: float


@dataclass(frozen=True)
class Claim:
    """A run that is ours to work on until the lease ends. `graph` is bound; media in it are URLs or `asset:<id>`.

    `more` says whether others waited behind it, so that a worker asks again at once only when it is worth it.
    `outside`: it needs something that others run: files by address, or a target of the caller's.
    """

    run: Run
    lease: Lease
    attempt_id: str
    graph: Graph
    extra_data: Mapping[str, Any]
    assets: Mapping[str, AssetRef]
    clocks: Clocks
    more: bool = True
    options: RunOptions = field(default_factory=RunOptions)
    outside: bool = False


@dataclass(frozen=True)
class StoredOutput:
    """One output of a run that is safely stored: a file as an asset, or a value.

    `url` is the file's address in the caller's own target; `blob_key` is then empty unless we keep a copy.
    """

    node_id: str
    class_type: str
    key: str
    index: int
    filename: str = ""
    subfolder: str = ""
    type: str = "output"
    blob_key: str = ""
    mime: str = ""
    size: int = 0
    sha256: str = ""
    value: Any = None
    url: str = ""


@dataclass(frozen=True)
class Busy:
    """Keys whose runs are not claimed at present: none of `keys`, and of `outside` none that needs something there."""

    keys: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()

    def passes_more_than(self, other: "Busy") -> bool:
        """Whether it passes over a key that the other lets through."""
        return not (self.keys <= other.keys and self.outside <= other.outside)


NOBODY = Busy()


class Ledger(Protocol):
    """The door between a worker and the truth. `apply` raises Stale when the lease is no longer ours."""

    async def claim(self, machine_id: str, worker_id: str, busy: Busy = NOBODY) -> Claim | None:
        """The next run of this machine by priority, fair share, age, but for those that `busy` passes over; None when
        no such run waits."""

    async def renew(self, leases: Collection[Lease]) -> frozenset[str]:
        """Prolong leases; the answer is the tokens that are still ours."""

    async def apply(self, run_id: str, token: str, facts: Sequence[Fact], outputs: Sequence[StoredOutput] = ()) -> Run:
        """Record facts and outputs in one transaction, guarded by the lease token."""

    async def publish_catalogue(self, machine_id: str, object_info: Mapping[str, Any]) -> None:
        """Tell what nodes this machine has, so that callers' values are checked before they queue."""


@dataclass(frozen=True)
class Downloading:
    """How far a file from outside is, in bytes. `label` is the public name of the input that wants it, `name` the file
    as people know it (host and last part of the path, never a query)."""

    label: str
    name: str
    received: int
    total: int | None = None


LiveValue = Progress | Preview | Downloading


class Live(Protocol):
    """Progress, previews and downloads: the last value only, not durable."""

    def put(self, run_id: str, event: LiveValue) -> None:
        """Replace the last value of that kind."""

    def drop(self, run_id: str) -> None:
        """Forget a run that ended."""

    def last(self, run_id: str) -> Sequence[LiveValue]:
        """The last value of each kind, the newest at the end; nothing for a run that is not known."""

    def watch(self, run_id: str) -> AbstractAsyncContextManager[AsyncIterator[LiveValue]]:
        """The values from now on, the newest of each kind, as fast as the reader takes them."""


class Stop(Protocol):
    """Cancel wishes."""

    async def wished(self, run_ids: Collection[str]) -> frozenset[str]:
        """Those of these runs that somebody wants to stop, or that have ended otherwise."""


STOP_TOPIC = "stop"
"""The bell topic that rings when somebody wants a run to stop."""


def machine_topic(machine_id: str) -> str:
    """The bell topic that rings when a run of this machine is queued."""
    return f"machine:{machine_id}"


class Bell(Protocol):
    """A hint that something changed. A missed ring costs one poll interval, nothing more."""

    def ring(self, topic: str) -> None:
        """Wake everybody who waits for the topic."""

    async def wait(self, topic: str, seconds: float, *, since: int | None = None) -> int:
        """Return at the next ring or after this many seconds. The answer is a counter; pass it back as `since` so
        that a ring between two waits is not missed."""

    def now(self, topic: str) -> int:
        """The topic's counter at this moment."""


# --------------------------------------------------------------------------------------------------- storage


@dataclass(frozen=True)
class StoredBlob:
    """What was written under a key."""

    key: str
    size: int
    sha256: str


class Blobs(Protocol):
    """Our storage of files by key. Keys are ours: letters, digits, `-_./`, no leading slash, no `..`."""

    async def put(
        self, key: str, content: ByteStream, *, limit: int | None = None, mime: str = "", filename: str = ""
    ) -> StoredBlob:
        """Write a stream; nothing is visible before the last byte. Raises TooLarge beyond `limit` bytes, StorageFailed.

        `mime` and `filename` are what a store that serves the blob itself says about it."""

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> AbstractAsyncContextManager[ByteStream]:
        """Read a blob or a range of it. Raises NotFound."""

    async def size(self, key: str) -> int:
        """Its size in bytes. Raises NotFound."""

    async def delete(self, key: str) -> None:
        """Remove it; quietly nothing when it is absent."""

    async def delete_below(self, folder: str, *, keep: Collection[str] = ()) -> None:
        """Remove every blob whose key begins with `folder/`, but for the keys in `keep`; quietly nothing if there is
        none. `folder` is written like a key."""

    async def presigned(self, key: str, seconds: int) -> str | None:
        """A URL at which the store itself serves the blob, or None when it cannot."""

    async def close(self) -> None:
        """Let go of connections."""


class Target(Protocol):
    """A caller's own bucket, repository or address, reached under the outbound policy with the caller's credentials."""

    @property
    def at_once(self) -> int:
        """How many files it takes at the same time."""

    def address(self, name: str) -> str:
        """Where a file of this name will lie, without any secret. Raises InvalidInput."""

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Write a file of `size` bytes there; the answer is its address, without any secret.

        Raises TargetFailed: `retryable` tells whether another try may help. A put that fails leaves nothing visible."""


class Targets(Protocol):
    """Opens what callers wish for. `uploads` are those of all who use it."""

    @property
    def uploads(self) -> Uploads:
        """What is under way."""

    def open(self, wish: TargetWish) -> AbstractAsyncContextManager[Target]:
        """The target, until the context is left. Raises InvalidInput for a wish that cannot be, TargetFailed."""


@dataclass(frozen=True)
class Fetched:
    """A file (or a folder: a git or Hugging Face repository) from outside. It lies at `path`, unchanged and safe from
    eviction, until its context is left. `cached`: nothing of it was downloaded for this call. `private`: it was opened
    with credentials, and is for those alone whose credentials open it."""

    path: Path
    size: int
    mime: str
    filename: str
    sha256: str
    cached: bool = False
    is_folder: bool = False
    private: bool = False


Purpose = Literal["input", "model"]
OnBytes = Callable[[int, int | None], None]
"""Is told how many bytes have arrived, and how many there will be when that is known; at most a few times a second, and
on the event loop."""


class Fetch(Protocol):
    """Everything from outside, under the outbound policy and through the download cache.

    Raises FetchRefused, FetchFailed, TooLarge, StorageFailed (our disk), InvalidInput (no such kind of address).
    """

    def fetch(
        self,
        url: str,
        *,
        purpose: Purpose = "input",
        limit: int | None = None,
        credentials: Sequence[Credential] = (),
        sha256: str = "",
        on_bytes: OnBytes | None = None,
    ) -> AbstractAsyncContextManager[Fetched]:
        """The file of an address: one download for all who want it at the same time.

        The file of a private address is given only to a caller whose `credentials` open it. `purpose` chooses the
        limits, and how long a copy may go without asking the origin. `sha256`: what the content must have, if known.
        """

    async def link(self, path: Path, destination: Path) -> None:
        """Remember that a symbolic link leads to a fetched file (place it, if it is not there) or that a copy of it
        lies there, so that it goes when the file is evicted.

        Raises NotFound, Conflict (something else lies there), StorageFailed."""


class Storage(Protocol):
    """A storage of an operator's own, for one scheme of addresses (docs/extending.md). An object may have one of the
    two methods alone. FileNotFoundError and PermissionError are told as such; any other error may pass, except
    ValueError, which says that the address cannot be."""

    def read(self, url: str) -> ByteStream:
        """The file at an address, in pieces."""

    async def write(self, url: str, content: ByteStream, *, size: int, mime: str) -> None:
        """Put a file of `size` bytes at an address; one that fails leaves nothing visible."""


Storages = Mapping[str, Storage]
"""Scheme -> storage."""

# ------------------------------------------------------------------------------------------- pools, webhooks


class Pool(Protocol):
    """Where workers live."""

    async def scale(self, machine_id: str, workers: int) -> None:
        """Want this many workers for a machine, from now on."""

    async def close(self) -> None:
        """Drain and stop them all."""


@dataclass(frozen=True)
class Delivery:
    """A webhook call that is owed."""

    id: str
    run_id: str
    format: str
    url: str
    event: str
    body: Mapping[str, Any]
    created_at: datetime
    tries: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


class Sender(Protocol):
    """Posts webhooks under the outbound policy."""

    async def post(self, url: str, content: ByteStream, headers: Mapping[str, str], *, length: int) -> int:
        """Send a body of `length` bytes as it comes; the receiver's status code. No redirect is followed.

        Raises FetchRefused, FetchFailed, and what `content` raises."""


# --------------------------------------------------------------------------------------------- system events


@dataclass(frozen=True)
class SystemEvent:
    """Something that happened in the program, for its operator: a message of the engine (`comfy.executing`), a file
    that came, went or was sent (`storage.file_downloaded`). `data` holds no secret."""

    label: Literal["comfy", "storage"]
    name: str
    data: Mapping[str, Any]


TellSystem = Callable[[SystemEvent], None]
"""Takes a system event; returns at once and never raises."""
