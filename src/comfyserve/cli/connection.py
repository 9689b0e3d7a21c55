"""Which server a command talks to, and with which key."""

import os
from pathlib import Path
from typing import Annotated

import typer

from comfyserve.client import Client
from comfyserve.settings import Settings, read_settings

UrlOption = Annotated[str, typer.Option("--url", help="The server's address (COMFYSERVE_URL).")]
KeyOption = Annotated[str, typer.Option("--key", help="An API key (COMFYSERVE_KEY).")]

ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})


def server_url(url: str, settings: Settings) -> str:
    """The flag, else COMFYSERVE_URL, else where a server with these settings listens on this machine."""
    if given := url or os.environ.get("COMFYSERVE_URL", ""):
        return given
    host = "127.0.0.1" if settings.host in ANY_ADDRESS else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def api_key(key: str, settings: Settings) -> str:
    """The flag, else COMFYSERVE_KEY, else the admin's key that the server of this data directory left for us."""
    if given := key or os.environ.get("COMFYSERVE_KEY", ""):
        return given
    try:
        return settings.admin_key_file.read_text().strip()
    except OSError:
        return ""


def connect(url: str, key: str, data_dir: Path | None = None) -> Client:
    """A client for a command's flags."""
    settings = read_settings(data_dir=data_dir)
    return Client(server_url(url, settings), api_key(key, settings))
