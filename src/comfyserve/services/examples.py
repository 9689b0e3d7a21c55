"""Deploys a workflow folder: a graph, a `deployment.json` that narrows its inputs, and the files it names as defaults.

{"name": "pod", "workflow": "workflow_api.json",
 "inputs": {"input_image": {"default_file": "logo.png", "label": "Logo"}, "input_number": {"allowed": [512, 768]}}}
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from comfyserve.core.errors import NotFound
from comfyserve.services.deployments import Deployments
from comfyserve.services.files import Files
from comfyserve.services.records import Caller, DeploymentDraft, DeploymentView
from comfyserve.services.workflows import Workflows

DEFAULT_FILE = "default_file"


class Examples:
    """Puts bundled examples into a workspace."""

    def __init__(self, workflows: Workflows, deployments: Deployments, files: Files) -> None:
        self._workflows = workflows
        self._deployments = deployments
        self._files = files

    async def deploy(self, caller: Caller, folder: Path) -> DeploymentView:
        """Deploy the example in `folder` under its name; one that is there already is left as it is."""
        wanted = json.loads((folder / "deployment.json").read_text())
        try:
            return await self._deployments.get(caller, wanted["name"])
        except NotFound:
            graph = json.loads((folder / wanted["workflow"]).read_text())
        narrowings = {name: await self._settled(caller, folder, rule) for name, rule in wanted["inputs"].items()}
        workflow = await self._workflows.create(caller, wanted["name"], graph, None, wanted.get("description", ""))
        draft = DeploymentDraft(name=wanted["name"], workflow_id=workflow.id, narrowings=narrowings)
        return await self._deployments.create(caller, draft)

    async def _settled(self, caller: Caller, folder: Path, rule: Mapping[str, Any]) -> dict[str, Any]:
        """The rule with its default file stored as an asset and named by its id."""
        settled = dict(rule)
        if name := settled.pop(DEFAULT_FILE, None):
            asset = await self._files.upload(caller, name, None, _read(folder / name))
            settled["default"] = asset.id
        return settled


async def _read(path: Path) -> AsyncIterator[bytes]:
    yield await asyncio.to_thread(path.read_bytes)
