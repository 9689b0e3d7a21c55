"""`comfyserve solo generate-workflow`: a workflow file from a graph and a node catalogue."""

import asyncio
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comfyserve.core.errors import DomainError, EngineLost, InvalidInput, Place
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs.built_in import load_catalogue
from comfyserve.engines.remote import RemoteEngine
from comfyserve.workflows.documents import read_document
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.language_model import Choice, LanguageModelFailed, choose_model
from comfyserve.workflows.write import JSON, PYTHON, Written, graph_in, write_workflow

__all__ = ["Choice", "DomainError", "EngineLost", "LanguageModelFailed", "Written", "generate_workflow"]

MAX_CATALOGUE_BYTES = 256 * 1024 * 1024


async def generate_workflow(
    graph_file: Path,
    out: Path,
    *,
    engine_url: str = "",
    object_info: Path | None = None,
    model: Choice = "auto",
    force: bool = False,
) -> Written:
    """Write the workflow file `out` (.py or .json). The catalogue is that of the engine at `engine_url`, of the file
    `object_info`, or of the embedded engine. Raises InvalidInput, InvalidGraph, EngineLost, LanguageModelFailed."""
    _check(out, model, force=force)
    chosen = choose_model(model, os.environ) if out.suffix == PYTHON else None
    graph = await asyncio.to_thread(graph_in, graph_file)
    catalogue = await _catalogue(engine_url, object_info)
    written = await write_workflow(graph, catalogue, out.stem, out.suffix, chosen)
    await asyncio.to_thread(_save, out, written.text)
    return written


def _check(out: Path, model: Choice, *, force: bool) -> None:
    if out.suffix not in (PYTHON, JSON):
        raise InvalidInput(f"{out} must end in {PYTHON} or {JSON}.", place=Place(field="out"))
    if out.suffix == JSON and model not in ("auto", "none"):
        raise InvalidInput(f"Language models write {PYTHON} files alone.", place=Place(field="model"))
    if out.exists() and not force:
        raise InvalidInput(f"{out} is there already. Give --force to write over it.", place=Place(field="out"))


async def _catalogue(engine_url: str, object_info: Path | None) -> Mapping[str, Any]:
    if object_info is not None:
        return await asyncio.to_thread(_read, object_info)
    if not engine_url:
        return await asyncio.to_thread(_embedded)
    engine = RemoteEngine(engine_url)
    try:
        return await engine.object_info()
    finally:
        await engine.close()


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = read_document(file, MAX_CATALOGUE_BYTES)
    except Unreadable as error:
        raise InvalidInput(str(error), place=Place(field="object_info")) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} is no answer of /object_info.", place=Place(field="object_info"))
    return found


def _embedded() -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        found: Mapping[str, Any] = load_catalogue(Folders(Path(folder))).all_info()
        return found


def _save(out: Path, text: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror}.", place=Place(field="out")) from error
