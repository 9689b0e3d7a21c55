"""`comfyserve doctor`: look at everything a start needs and say what is wrong and what to do."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from comfyserve.cli.connection import KeyOption, UrlOption, connect, given_url
from comfyserve.cli.console import Exit, JsonFlag, finish, print_json, say

if TYPE_CHECKING:
    from comfyserve.settings import Settings

ENOUGH_DISK = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `advice` says what to do when it is not well."""

    name: str
    well: bool
    text: str
    advice: str = ""


def doctor(url: UrlOption = "", key: KeyOption = "", json: JsonFlag = False) -> None:
    """Look at this machine, the settings and the server.

    Says what is wrong and what to do about it, and ends with code 5 then.
    """
    from comfyserve.settings import read_settings

    settings = read_settings()
    findings = [check(settings) for check in CHECKS] + finish(_server(url, key, settings), as_json=json)
    if json:
        print_json([asdict(finding) | ({"advice": ""} if finding.well else {}) for finding in findings])
    else:
        for finding in findings:
            mark = typer.style("ok ", fg="green") if finding.well else typer.style("bad", fg="red")
            say(f"{mark}  {finding.name}: {finding.text}")
            if not finding.well and finding.advice:
                say(f"     {finding.advice}")
    if not all(finding.well for finding in findings):
        raise typer.Exit(Exit.UNHEALTHY)


def _python(settings: "Settings") -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")


def _data_dir(settings: "Settings") -> Finding:
    folder = _existing(settings.data_dir)
    return Finding(
        "data directory",
        os.access(folder, os.W_OK),
        str(settings.data_dir),
        f"Make {folder} writable, or set COMFYSERVE_DATA_DIR to a folder that is.",
    )


def _disk(settings: "Settings") -> Finding:
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    return Finding("disk", free >= ENOUGH_DISK, f"{free / 1024**3:.1f} GiB free", "Free some space: results need it.")


def _storage(settings: "Settings") -> Finding:
    from comfyserve.server import storage_trouble

    if not settings.blobs:
        return Finding("files", True, "in the data directory")
    trouble = asyncio.run(storage_trouble(settings))
    return Finding("files", not trouble, settings.blobs, trouble)


def _secrets(settings: "Settings") -> Finding:
    open_files = [path for path in (settings.secret_file, settings.admin_key_file) if _readable_by_others(path)]
    names = ", ".join(str(path) for path in open_files)
    return Finding("secrets", not open_files, names or "private", f"Run: chmod 600 {names}")


def _comfy(settings: "Settings") -> Finding:
    from comfyserve.settings import without_logins

    if settings.comfy_url:
        return Finding("engine", True, f"ComfyUI at {without_logins(settings.comfy_url)}")
    if not settings.comfy_home:
        return Finding("engine", True, "embedded (simulated models)")
    there = settings.comfy_command != "" or (Path(settings.comfy_home).expanduser() / "main.py").is_file()
    return Finding(
        "engine", there, f"ComfyUI in {settings.comfy_home}", "There is no main.py; check COMFYSERVE_COMFY_HOME."
    )


def _names(settings: "Settings") -> Finding:
    from comfyserve.cli.strays import stray_settings

    strays = stray_settings(os.environ, Path())
    return Finding("settings", not strays, " ".join(strays) or "every name is known", "Mend or remove it.")


CHECKS: tuple[Callable[["Settings"], Finding], ...] = (_python, _names, _data_dir, _disk, _storage, _secrets, _comfy)


async def _server(url: str, key: str, settings: "Settings") -> list[Finding]:
    from comfyserve.client import ApiError, ServerUnreachable

    async with connect(url, key) as client:
        try:
            await client.health()
            ready = await client.get("/ready")
        except ServerUnreachable as error:
            return [Finding("server", False, str(error))] if given_url(url) else [_port(settings)]
        except ApiError as error:
            sentence = "the engine is starting" if error.code == "error" else str(error)
            return [Finding("server", False, f"{client.url}: {sentence}", "Its log says more.")]
        findings = [Finding("server", bool(ready.get("ready")), f"{client.url}, engine {ready.get('engine')}")]
        try:
            await client.me()
            findings.append(Finding("key", True, "accepted"))
        except ApiError as error:
            findings.append(Finding("key", False, str(error), "Set COMFYSERVE_KEY to a key of this server."))
        return findings


def _port(settings: "Settings") -> Finding:
    name = f"{settings.host}:{settings.port}"
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return Finding("port", False, f"{name}: {error.strerror}", "Set COMFYSERVE_PORT to a free port.")
    return Finding("port", True, f"{name} is free (no server is running)")


def _existing(folder: Path) -> Path:
    return next(parent for parent in _upwards(folder) if parent.exists())


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents


def _readable_by_others(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & 0o077)
