"""Which server a command talks to, and with which key."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from comfyserve.client import Client
    from comfyserve.settings import Settings

UrlOption = Annotated[str, typer.Option("--url", help="The server's address; else COMFYSERVE_URL.")]
KeyOption = Annotated[str, typer.Option("--key", help="An API key; else COMFYSERVE_KEY.")]

ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})


def given_url(url: str) -> str:
    """The address that the user named, with --url or COMFYSERVE_URL; empty when none."""
    return url or os.environ.get("COMFYSERVE_URL", "")


def server_url(url: str, settings: "Settings") -> str:
    """The flag, else COMFYSERVE_URL, else where a server with these settings listens on this machine."""
    if given := given_url(url):
        return given
    host = "127.0.0.1" if settings.host in ANY_ADDRESS else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def api_key(key: str, settings: "Settings") -> str:
    """The flag, else COMFYSERVE_KEY, else the admin's key that the server of this data directory left for us."""
    if given := key or os.environ.get("COMFYSERVE_KEY", ""):
        return given
    try:
        return settings.admin_key_file.read_text().strip()
    except OSError:
        return ""


def connect(url: str, key: str) -> "Client":
    """A client for a command's flags."""
    from comfyserve.client import Client
    from comfyserve.settings import read_settings

    settings = read_settings()
    return Client(server_url(url, settings), api_key(key, settings))
