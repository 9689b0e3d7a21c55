"""All services on one small database, as app.py builds them, with a clock that tests move."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from comfyserve.core.runs import Fact, FactKind
from comfyserve.db import keys
from comfyserve.db.database import Database
from comfyserve.db.tables import deliveries
from comfyserve.ports import Claim, Clocks, StoredOutput
from comfyserve.services.bell import LocalBell
from comfyserve.services.cancel import Cancel
from comfyserve.services.deployments import Deployments
from comfyserve.services.door import Door
from comfyserve.services.files import Files
from comfyserve.services.forms import EditorForms
from comfyserve.services.graphs import Graphs
from comfyserve.services.keys import Keys
from comfyserve.services.live import LocalLive
from comfyserve.services.machines import Machines
from comfyserve.services.media import MediaStore
from comfyserve.services.record import Record
from comfyserve.services.records import Caller, DeploymentDraft, RunView, SubmitRequest, WebhookWish
from comfyserve.services.request_ids import RequestIds
from comfyserve.services.runs import Runs
from comfyserve.services.sealing import Sealing
from comfyserve.services.submit import Submit, SubmitLimits
from comfyserve.services.sweep import Keeping, Sweep
from comfyserve.services.watch import Watch
from comfyserve.services.workflows import Workflows
from comfyserve.testing import MemoryBlobs, StepClock

ADMIN_KEY = "cs_admin-key-of-the-tests"
LEASE = 30.0
CLOCKS = Clocks(queue=3600, start=600, run=1200, heartbeat=60)
KEEP_ALL = Keeping(runs=0, detail_days=0)
FILE_URLS: dict[str, Any] = {"public_url": "http://127.0.0.1:3011", "url_seconds": 3600}
LIMITS = SubmitLimits(max_queued=1000, max_attempts=3, graph_bytes=1_000_000, inputs_bytes=1_000_000)

TEXT_GRAPH: dict[str, Any] = {
    "1": {
        "class_type": "ComfyUIDeployExternalText",
        "inputs": {"input_id": "input_text", "default_value": "a cap", "display_name": "Prompt", "description": ""},
    },
    "2": {"class_type": "ShowText", "inputs": {"text": ["1", 0]}},
}
IMAGE_GRAPH: dict[str, Any] = {
    "1": {
        "class_type": "ComfyUIDeployExternalImage",
        "inputs": {"input_id": "input_image", "default_value_url": "", "display_name": "", "description": ""},
    },
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
SECRET = b"the secret key of the tests"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32


_EMPTY: list[bytes] = []
"""A migrated database, kept from the first test on, since making one takes a while."""


def new_id() -> str:
    """A fresh id."""
    return str(uuid.uuid4())


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """Bytes as a stream."""
    for piece in data:
        yield piece


@dataclass
class Bundle:
    """The services, the caller of the admin key, and the id of the local machine."""

    db: Database
    clock: StepClock
    bell: LocalBell
    live: LocalLive
    blobs: MemoryBlobs
    door: Door
    keys: Keys
    files: Files
    graphs: Graphs
    machines: Machines
    forms: EditorForms
    workflows: Workflows
    deployments: Deployments
    submit: Submit
    runs: Runs
    watch: Watch
    cancel: Cancel
    record: Record
    sweep: Sweep
    caller: Caller
    machine_id: str
    request_ids: RequestIds

    async def run(self, graph: Any = None, *, caller: Caller | None = None, **request: Any) -> RunView:
        """Submit a graph that is not deployed."""
        return await self.submit.submit(
            caller or self.caller, SubmitRequest(graph=TEXT_GRAPH if graph is None else graph, **request)
        )

    async def claim(self, worker: str = "host/1") -> Claim:
        """The next run, which must be there."""
        claim = await self.record.claim(self.machine_id, worker)
        assert claim is not None
        return claim

    async def finish(self, claim: Claim, outputs: Sequence[StoredOutput] = ()) -> None:
        """Carry a claim to success."""
        kinds = (FactKind.STARTED, FactKind.EXECUTED, FactKind.SUCCEEDED)
        await self.record.apply(claim.run.id, claim.lease.token, [Fact(kind) for kind in kinds], outputs)

    async def deploy(self, name: str = "caps", graph: Any = None, **draft: Any) -> str:
        """The id of a new deployment of a new workflow."""
        workflow = await self.workflows.create(self.caller, name, graph or TEXT_GRAPH)
        made = await self.deployments.create(self.caller, DeploymentDraft(name, workflow.id, **draft))
        return made.id

    async def another_key(self, name: str) -> Caller:
        """A second caller of the same workspace."""
        return await self.keys.authenticate((await self.keys.create(self.caller, name)).secret)

    async def foreigner(self) -> Caller:
        """A caller of another workspace."""
        workspace, key = new_id(), new_id()

        def write(connection: Any) -> None:
            keys.insert_workspace(connection, {"id": workspace, "name": "other", "created_at": self.clock()})

        await self.db.write(write)
        return Caller(workspace, key, "api", "stranger", "other")


def hook(url: str, on: Any = "end", form: str = "native") -> tuple[WebhookWish, ...]:
    """One webhook of a run."""
    return (WebhookWish(url, form, on),)


async def owed(bundle: Bundle, run_id: str) -> list[Any]:
    """The webhooks of a run: event and the state that it tells."""
    statement = select(deliveries).where(deliveries.c.run_id == run_id).order_by(deliveries.c.seq)
    rows = await bundle.db.read(lambda connection: connection.execute(statement).all())
    return [(row.event, row.body["status"]) for row in rows]


async def open_bundle(path: Path, **changes: Any) -> Bundle:
    """Services over a fresh database in `path`; close its `db` at the end."""
    file = path / "comfyserve.db"
    if _EMPTY:
        await asyncio.to_thread(file.write_bytes, _EMPTY[0])
    else:
        await (await Database.open(str(file))).close()
        _EMPTY.append(await asyncio.to_thread(file.read_bytes))
    db = await Database.open(str(file))
    clock: StepClock = changes.pop("clock", None) or StepClock()
    return await compose(db, clock, **changes)


async def compose(
    db: Database,
    clock: StepClock,
    *,
    limits: SubmitLimits = LIMITS,
    clocks: Clocks = CLOCKS,
    keeping: Keeping = KEEP_ALL,
    secret: bytes = SECRET,
) -> Bundle:
    """Build everything, make the workspace and the local machine."""
    chance = random.Random(7)
    bell, live, blobs = LocalBell(), LocalLive(), MemoryBlobs()
    door, graphs = Door(new_id), Graphs()
    common: dict[str, Any] = {"clock": clock, "ids": new_id}
    keys = Keys(db, random_bytes=chance.randbytes, session_seconds=86_400, sign_in_seconds=900, **common)
    files = Files(db, blobs, secret=b"secret", upload_limit=1_000_000, **FILE_URLS, **common)
    machines, runs = Machines(db, **common), Runs(db, url=files.url)
    forms = EditorForms(machines, graph_bytes=1_000_000, wait_seconds=0)
    sealing, request_ids = Sealing(secret), RequestIds()
    told: dict[str, Any] = {"bell": bell, "live": live, "on_attempt": request_ids.note}
    record = Record(db, door, sealing=sealing, lease_seconds=LEASE, clocks=clocks, **told, **common)
    await keys.ensure_admin(ADMIN_KEY)
    caller = await keys.authenticate(ADMIN_KEY)
    return Bundle(
        db=db,
        clock=clock,
        bell=bell,
        live=live,
        blobs=blobs,
        door=door,
        keys=keys,
        files=files,
        graphs=graphs,
        machines=machines,
        forms=forms,
        workflows=Workflows(db, graphs, forms=forms, graph_bytes=1_000_000, **common),
        deployments=Deployments(db, graphs=graphs, machines=machines, **common),
        submit=Submit(
            db,
            door,
            machines=machines,
            graphs=graphs,
            forms=forms,
            media=MediaStore(files, data_limit=10_000),
            runs=runs,
            sealing=sealing,
            draw=chance.randint,
            bell=bell,
            limits=limits,
            **common,
        ),
        runs=runs,
        watch=Watch(db, runs, bell=bell, live=live, url=files.url, poll_seconds=5),
        cancel=Cancel(db, door, runs, clock=clock, bell=bell),
        record=record,
        sweep=Sweep(db, record, blobs, clock=clock, clocks=clocks, keeping=keeping),
        caller=caller,
        machine_id=await machines.ensure_local(caller.workspace_id, kind="embedded", workers=1),
        request_ids=request_ids,
    )
