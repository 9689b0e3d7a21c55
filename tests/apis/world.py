"""The real app over real services on a small database, and what tests do with it by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from comfyserve.apis.build import build_api
from comfyserve.apis.http.bundle import ApiOptions, Services
from comfyserve.core.runs import Fact, FactKind
from comfyserve.ports import Claim, StoredOutput
from comfyserve.services.records import Caller, DeploymentDraft, SubmitRequest
from tests.services.bundle import PNG, Bundle, new_id, pieces

ADMIN = "cs_admin-key-of-the-tests"
STRANGER = "cs_key-of-another-workspace"
BASE = "http://127.0.0.1:3011"

LABEL_GRAPH: dict[str, Any] = {
    "1": {
        "class_type": "ComfyUIDeployExternalText",
        "inputs": {"input_id": "input_text", "default_value": "a cap", "display_name": "Prompt", "description": ""},
    },
    "2": {"class_type": "ComfyDeployOutputText", "inputs": {"text": ["1", 0], "output_id": "final_result"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}},
    "8": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
}


@dataclass
class World:
    """An app, its services, and a client that holds the admin's key."""

    bundle: Bundle
    app: FastAPI
    client: httpx2.AsyncClient
    stranger: Caller

    async def json(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """The JSON of an answer that must have this status."""
        answer = await self.client.request(method, path, **request)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    async def names(self) -> dict[str, str]:
        """The ids of one of everything: a deployed workflow, a finished run, a queued run, an asset, a key."""
        workflow = await self.bundle.workflows.create(self.bundle.caller, "labels", LABEL_GRAPH)
        draft = DeploymentDraft("labels", workflow.id)
        deployment = await self.bundle.deployments.create(self.bundle.caller, draft)
        wish = SubmitRequest(deployment=deployment.id)
        done = await self.bundle.submit.submit(self.bundle.caller, wish)
        await self.finish(await self.next_claim())
        queued = await self.bundle.submit.submit(self.bundle.caller, wish)
        spare = await self.bundle.deployments.create(self.bundle.caller, DeploymentDraft("spare", workflow.id))
        asset = await self.bundle.files.upload(self.bundle.caller, "a.png", "image/png", pieces(PNG))
        made = await self.bundle.keys.create(self.bundle.caller, "spare")
        return {
            "workflow": workflow.id,
            "version": workflow.latest_version_id,
            "deployment": deployment.id,
            "spare": spare.id,
            "machine": self.bundle.machine_id,
            "run": done.id,
            "queued": queued.id,
            "asset": asset.id,
            "file": asset.url.removeprefix(BASE),
            "key": made.key.id,
            "none": "00000000-0000-4000-8000-000000000000",
        }

    async def finish(self, claim: Claim, *, text: str = "a cap") -> str:
        """Carry a claim to success with one picture and one text; the answer is the run's id."""
        key = f"runs/{claim.run.id}/x.png"
        blob = await self.bundle.blobs.put(key, pieces(PNG))
        image = StoredOutput(
            "9", "SaveImage", "images", 0, "x.png", "", "output", key, "image/png", blob.size, blob.sha256
        )
        words = StoredOutput("2", "ComfyDeployOutputText", "text", 0, value=text)
        node = {"node_id": "9", "class_type": "SaveImage", "title": "Save", "index": 1, "total": 2}
        facts = [Fact(FactKind.STAGED), Fact(FactKind.STARTED), Fact(FactKind.NODE_STARTED, node)]
        ending = [Fact(FactKind.EXECUTED), Fact(FactKind.SUCCEEDED)]
        await self.bundle.record.apply(claim.run.id, claim.lease.token, facts + ending, [image, words])
        return claim.run.id

    async def fail(self, claim: Claim) -> None:
        """Carry a claim to a failure of a node."""
        error = {"code": "engine_error", "message": "out of paint", "place": {"node_id": "9"}}
        facts = [Fact(FactKind.STARTED), Fact(FactKind.FAILED, {"error": error})]
        await self.bundle.record.apply(claim.run.id, claim.lease.token, facts)

    async def next_claim(self) -> Claim:
        """The next run, as soon as one is queued."""
        topic = f"machine:{self.bundle.machine_id}"
        async with asyncio.timeout(10):
            while True:
                seen = self.bundle.bell.now(topic)
                claim = await self.bundle.record.claim(self.bundle.machine_id, "worker")
                if claim is not None:
                    return claim
                await self.bundle.bell.wait(topic, 1.0, since=seen)


def services_of(bundle: Bundle) -> Services:
    """The services as the app wants them."""
    names = ("keys", "workflows", "forms", "deployments", "machines", "submit", "runs", "watch", "cancel", "files")
    return Services(**{name: getattr(bundle, name) for name in names})


@asynccontextmanager
async def open_world(bundle: Bundle, **options: Any) -> AsyncIterator[World]:
    """The app of a bundle, called in process."""
    app = build_api(services_of(bundle), ApiOptions(**options), options.pop("pages", None))
    transport = httpx2.ASGITransport(app=app)
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield World(bundle, app, client, await _stranger(bundle))


async def _stranger(bundle: Bundle) -> Caller:
    from comfyserve.db import keys

    workspace = new_id()

    def write(connection: Any) -> None:
        keys.insert_workspace(connection, {"id": workspace, "name": "other", "created_at": bundle.clock()})
        keys.insert(connection, bundle.keys._row(workspace, "api", "stranger", STRANGER, None))

    await bundle.db.write(write)
    return await bundle.keys.authenticate(STRANGER)


class Server(uvicorn.Server):
    """A server that says when it listens."""

    listening: asyncio.Event

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The app on a free port of the loopback; the value is its address."""
    server = Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    server.listening = asyncio.Event()
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(server.listening.wait(), 10)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def over_the_wire(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the served app, with the admin's key: answers arrive as they are sent."""
    async with served(app) as address, httpx2.AsyncClient(base_url=address, headers=key(ADMIN), timeout=20) as client:
        yield client


def key(token: str) -> dict[str, str]:
    """The header of another key."""
    return {"authorization": f"Bearer {token}"}
