"""`comfyserve solo check`: a workflow file tried without a server, with an engine's names where one is given."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from comfyserve.core.errors import DomainError, EngineLost
from comfyserve.engines.remote import RemoteEngine
from comfyserve.workflows import WorkflowContext
from comfyserve.workflows.check import Tried, try_file
from comfyserve.workflows.errors import Unreadable

__all__ = ["DomainError", "EngineLost", "Tried", "Unreadable", "check_workflow"]


async def check_workflow(file: Path, given: Any, *, engine_url: str = "", warmup_ckpt: str | None = None) -> Tried:
    """What a file makes of an input. Raises Unreadable, InvalidInput, InvalidGraph; EngineLost when there is no
    engine at the address."""
    async with AsyncExitStack() as ending:
        if not engine_url:
            context = WorkflowContext(warmup_ckpt=lambda: warmup_ckpt)
            return await try_file(file, given, context, catalogue=None)
        engine = RemoteEngine(engine_url)
        ending.push_async_callback(engine.close)
        catalogue = await engine.object_info()

        async def known() -> Mapping[str, Any]:
            return catalogue

        context = WorkflowContext(catalogue=known, models=engine.model_folders, warmup_ckpt=lambda: warmup_ckpt)
        return await try_file(file, given, context, catalogue=catalogue)
