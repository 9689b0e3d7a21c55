"""Opens the storage that the settings name."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from comfyserve.blobs.local import LocalBlobs
from comfyserve.blobs.object_store import ObjectBlobs
from comfyserve.blobs.own import open_own
from comfyserve.blobs.stream import FOR_EVER
from comfyserve.ports import Blobs

FOLDER = "blobs"
FileLinks = Literal["auto", "redirect", "proxy"]


def open_blobs(
    location: str,
    data_dir: Path,
    *,
    environment: Mapping[str, str],
    file_links: FileLinks = "auto",
    storage_seconds: float = 120.0,
    sync: bool = True,
) -> Blobs:
    """Blobs at a location (`s3://bucket/prefix`, `az://`, `gs://`), or in a folder of `data_dir` when it is empty.

    `environment` has the credentials. `file_links`: `auto` gives out the store's own links unless the store is at an
    endpoint of the operator's, which callers may not reach. `storage_seconds`: how long a bucket may stand still or
    owe an answer; 0: for ever. `sync`: files in a folder survive a power cut. Raises InvalidInput.
    """
    if not location:
        return LocalBlobs(data_dir / FOLDER, sync=sync)
    seconds = storage_seconds or FOR_EVER
    opened = open_own(location, environment, idle_seconds=seconds)
    wanted = file_links == "redirect" or (file_links == "auto" and not opened.own_endpoint)
    return ObjectBlobs(opened, idle_seconds=seconds, links=wanted and opened.signs)


async def check_blobs(blobs: Blobs) -> None:
    """Try a bucket out: write, read, list, delete. Raises StorageFailed with what to change."""
    if isinstance(blobs, ObjectBlobs):
        await blobs.probe(secrets.token_hex(8))
