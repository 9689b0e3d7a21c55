"""Whether what an origin gave can be a model at all: sign-in and error pages come with status 200, too."""

from pathlib import Path

from comfyserve.core.errors import FetchFailed
from comfyserve.core.safetensors import is_safetensors

SAFETENSORS = frozenset({".safetensors", ".sft"})
PAGES = frozenset({"text/html", "application/xhtml+xml"})
_PAGE_BEGINS = (b"<!doctype html", b"<html")
_LOOK = 1024


def confirm_model(path: Path, ending: str, mime: str, host: str) -> None:
    """Raise FetchFailed for a web page, and for what is called safetensors and is none. Raises OSError."""
    if ending.lower() in SAFETENSORS and is_safetensors(path):
        return
    with path.open("rb") as file:
        begin = file.read(_LOOK).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if mime in PAGES or begin.startswith(_PAGE_BEGINS):
        raise FetchFailed(
            f"{host} gave a web page. Give the address of the file itself, and credentials if it needs some."
        )
    if ending.lower() in SAFETENSORS:
        raise FetchFailed(f"What {host} gave is no safetensors file, or a broken one. Check the address.")
