"""Receiving a multipart upload and giving it a name; nothing is held whole in memory (spec section 4)."""

from __future__ import annotations

import asyncio
import filecmp
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aiohttp import BodyPartReader, web

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.files.pictures import apply_mask
from comfyserve.embedded.routes.bodies import bad_request
from comfyserve.protocol.files import FILE_TYPES

CHUNK_BYTES = 256 * 1024
FIELD_BYTES = 64 * 1024
MAX_FIELDS = 32

_NAMING = threading.Lock()
"""Held from the search for a free name until it is taken, so that no two uploads find the same one."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A received file: where it lies for now, and the name its sender gave it."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """The other fields of the form."""

    overwrite: bool
    kind: str
    subfolder: str
    original_ref: str | None


@asynccontextmanager
async def receive(request: web.Request, folders: Folders, limit: int) -> AsyncIterator[tuple[Upload, Wish]]:
    """Read the form into a temporary file, which is gone afterwards. 400 without a file, 413 above the limit."""
    if not request.content_type.startswith("multipart/"):
        raise bad_request("The upload must be multipart/form-data with a file in the field image")
    handle, name = tempfile.mkstemp(prefix=".upload-", dir=folders.temp)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            reader = _FormReader(request, limit)
            await reader.read(file)
        if not reader.file_name:
            raise bad_request("The field image with a file name is missing")
        yield Upload(path, reader.file_name), reader.wish()
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def store(upload: Upload, target: Path, overwrite: bool) -> Path:
    """Move the upload to its target, or to a free name beside it unless the same content is already there."""
    return _placed(upload, target, overwrite)


def store_mask(upload: Upload, original: Path, target: Path, overwrite: bool) -> Path:
    """Store the original with the upload's alpha. ValueError or OSError when the pictures do not fit."""
    return _placed(upload, target, overwrite, apply_mask(upload.path, original))


def _placed(upload: Upload, target: Path, overwrite: bool, content: bytes | None = None) -> Path:
    """Give the upload its name, and other content first; names are compared by what was uploaded, as in ComfyUI."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _NAMING:
        path, exists = (target, False) if overwrite else _free_name(upload.path, target)
        if not exists:
            if content is not None:
                upload.path.write_bytes(content)
            upload.path.chmod(0o644)
            upload.path.replace(path)
    return path


class _FormReader:
    """Reads the parts in the order they come, within one limit for all of them."""

    def __init__(self, request: web.Request, limit: int) -> None:
        self._request = request
        self._limit = limit
        self._left = limit
        self._fields: dict[str, str] = {}
        self.file_name: str | None = None

    async def read(self, file: BinaryIO) -> None:
        """Write the file of the field image to `file` and keep the other fields."""
        count = 0
        try:
            reader = await self._request.multipart()
        except ValueError as error:
            raise bad_request(f"The form cannot be read: {error}") from error
        async for part in reader:
            count += 1
            if count > MAX_FIELDS or not isinstance(part, BodyPartReader):
                raise bad_request("The form has too many or nested parts")
            if part.name == "image" and part.filename:
                self.file_name = part.filename
                await self._copy(part, file)
            elif part.name:
                self._fields[part.name] = await self._text(part)

    async def _copy(self, part: BodyPartReader, file: BinaryIO) -> None:
        file.seek(0)
        file.truncate()
        while chunk := await part.read_chunk(CHUNK_BYTES):
            self._left -= len(chunk)
            if self._left < 0:
                raise web.HTTPRequestEntityTooLarge(max_size=self._limit, actual_size=self._limit - self._left)
            await asyncio.to_thread(file.write, chunk)

    async def _text(self, part: BodyPartReader) -> str:
        value = bytearray()
        while chunk := await part.read_chunk():
            value += chunk
            if len(value) > FIELD_BYTES:
                raise bad_request(f"The field {part.name} is longer than {FIELD_BYTES} bytes")
        return value.decode("utf-8", "replace")

    def wish(self) -> Wish:
        fields = self._fields
        kind = fields.get("type") or "input"
        if kind not in FILE_TYPES:
            raise bad_request("type must be input, output or temp")
        return Wish(
            fields.get("overwrite") in ("true", "1"), kind, fields.get("subfolder", ""), fields.get("original_ref")
        )


def _free_name(content: Path, target: Path) -> tuple[Path, bool]:
    """The first of 'x.png', 'x (1).png', ... that is free, or that has this content already (then True)."""
    path, index = target, 0
    while path.exists():
        if filecmp.cmp(path, content, shallow=False):
            return path, True
        index += 1
        path = target.with_name(f"{target.stem} ({index}){target.suffix}")
    return path, False
