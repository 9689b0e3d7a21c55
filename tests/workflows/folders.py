"""What tests of workflow files share: a folder filled with files, and an engine's names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comfyserve.core.errors import InvalidInput
from comfyserve.workflows import LoadedWorkflow, WorkflowContext, WorkflowFolder

SAMPLERS = ["euler", "heun"]
SCHEDULERS = ["normal", "karras"]
CHECKPOINTS = ["a.safetensors", "b.safetensors"]
CATALOGUE = {"KSampler": {"input": {"required": {"sampler_name": [SAMPLERS], "scheduler": [SCHEDULERS]}}}}

GRAPH: dict[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "cfg": 8.0, "model": ["4", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "out", "images": ["3", 0]}},
}


class Engine:
    """The names that an engine tells; they may change, and it may be away."""

    def __init__(self) -> None:
        self.models: Mapping[str, Sequence[str]] = {"checkpoints": CHECKPOINTS, "loras": []}
        self.away = False
        self.asked = 0

    async def catalogue(self) -> Mapping[str, Any]:
        if self.away:
            raise ConnectionError("no engine")
        return CATALOGUE

    async def offered(self) -> Mapping[str, Sequence[str]]:
        self.asked += 1
        if self.away:
            raise ConnectionError("no engine")
        return self.models

    def context(self, warmup_ckpt: str | None = None, **more: Any) -> WorkflowContext:
        return WorkflowContext(self.catalogue, self.offered, lambda: warmup_ckpt, **more)


def fill(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def found(workflows: WorkflowFolder, path: str) -> LoadedWorkflow:
    one = next((workflow for workflow in workflows.endpoints if workflow.path == path), None)
    assert one is not None, (path, dict(workflows.unreadable))
    return one


async def refused(workflow: LoadedWorkflow, given: Any) -> dict[str, str]:
    """Field -> sentence of everything that is wrong with an input."""
    try:
        parsed = await workflow.read(given)
        raise AssertionError(f"it was taken: {parsed}")
    except InvalidInput as error:
        issues = error.details.get("issues") or [{"field": error.place.field, "message": error.message}]
        return {one["field"]: one["message"] for one in issues}
