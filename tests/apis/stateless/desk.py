"""The stateless API over real services and no worker: a test claims and finishes the runs itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from comfyserve.apis.stateless.options import StatelessOptions
from tests.apis.stateless.working import app_of, picture_graph
from tests.apis.world import World
from tests.services.bundle import open_bundle

BASE = "http://127.0.0.1:3000"
HOOK = "https://receiver.example/hook"


class Desk(World):
    """A World whose app speaks this dialect."""

    @property
    def options(self) -> StatelessOptions:
        """What the operator has decided."""
        options: StatelessOptions = self.app.state.stateless
        return options

    def set(self, **changes: Any) -> None:
        """Change what the operator has decided."""
        self.app.state.stateless = replace(self.options, **changes)

    async def send(self, request_id: str, **fields: Any) -> None:
        """Queue a prompt under a request id."""
        body = {"prompt": picture_graph(), "id": request_id, "webhook_v2": HOOK, **fields}
        answer = await self.client.post("/prompt", json=body)
        assert answer.status_code == 202, answer.text

    async def done(self, request_id: str, **fields: Any) -> None:
        """A prompt that has succeeded with one picture and one text."""
        await self.send(request_id, **fields)
        await self.finish(await self.next_claim())

    async def failed(self, request_id: str, **fields: Any) -> None:
        """A prompt of which a node has raised."""
        await self.send(request_id, **fields)
        await self.fail(await self.next_claim())


@asynccontextmanager
async def open_desk(folder: Path, **options: Any) -> AsyncIterator[Desk]:
    """The app over fresh services, called in process."""
    bundle = await open_bundle(folder)
    app, _ = app_of(bundle, **options)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        yield Desk(bundle, app, client, bundle.caller)
    await bundle.db.close()
