"""What node packages bring for the editor beside their nodes: scripts, translations, example workflows (spec 5)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from comfyserve.embedded.files.folders import file_below

logger = logging.getLogger(__name__)

TEMPLATE_FOLDERS = ("example_workflows", "example", "examples", "workflow", "workflows")
LOCALES = "locales"
MAIN_LOCALE = "main.json"
LOCALE_PARTS = ("nodeDefs", "commands", "settings")
LOCALE_BYTES = 4 * 1024 * 1024
SCRIPT = ".js"

Json = Any


def scripts(folder: Path, url: str) -> list[str]:
    """The address of every script below a folder that is served at `url`."""
    found = (path.relative_to(folder).as_posix() for path in _below(folder) if path.suffix == SCRIPT)
    return [f"{url}/{name}" for name in sorted(found)]


def pack_scripts(web_folders: Mapping[str, Path]) -> list[str]:
    """The address of every script of every package."""
    return [one for name, folder in web_folders.items() for one in scripts(folder, f"/extensions/{quote(name)}")]


def translations(packs: Mapping[str, Path]) -> dict[str, Json]:
    """Language -> texts, merged over all packages in the order of their names."""
    merged: dict[str, Json] = {}
    for _, pack in sorted(packs.items()):
        for language in _folders(pack / LOCALES):
            if texts := _texts(language):
                merged[language.name] = merge(merged.get(language.name, {}), texts)
    return merged


def merge(base: Json, update: Json) -> Json:
    """Objects are merged key by key, lists are joined, of anything else the update wins."""
    if isinstance(base, dict) and isinstance(update, dict):
        return base | {key: merge(base[key], value) if key in base else value for key, value in update.items()}
    if isinstance(base, list) and isinstance(update, list):
        return base + update
    return update


def templates(packs: Mapping[str, Path]) -> dict[str, list[str]]:
    """Package -> the names of its example workflows; packages without any are left out."""
    found = {name: [path.stem for path in _template_files(pack)] for name, pack in packs.items()}
    return {name: names for name, names in found.items() if names}


def template_file(pack: Path, name: str) -> Path | None:
    """A file of the example workflows (a workflow or its picture); None when there is none."""
    candidates = (file_below(pack / folder, name) for folder in TEMPLATE_FOLDERS)
    return next((path for path in candidates if path is not None), None)


def _template_files(pack: Path) -> list[Path]:
    return [path for folder in TEMPLATE_FOLDERS for path in sorted((pack / folder).glob("*.json")) if path.is_file()]


def _texts(language: Path) -> dict[str, Json]:
    texts = _locale(language / MAIN_LOCALE)
    parts = {part: _locale(language / f"{part}.json") for part in LOCALE_PARTS}
    return texts | {part: value for part, value in parts.items() if value}


def _locale(path: Path) -> dict[str, Json]:
    try:
        if path.stat().st_size > LOCALE_BYTES:
            raise ValueError(f"it is larger than {LOCALE_BYTES} bytes")
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, RecursionError) as error:
        logger.warning("locale file left out", extra={"path": str(path), "reason": str(error)})
        return {}
    return value if isinstance(value, dict) else {}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _below(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(path, name) for name in names)
