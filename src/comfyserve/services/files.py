"""Files: uploads become assets, assets get signed URLs, and our own URLs are recognised when they come back."""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from sqlalchemy import Connection

from comfyserve.core.addresses import asset_of
from comfyserve.core.errors import Conflict, NotFound
from comfyserve.core.media import UNKNOWN_TYPE, type_of
from comfyserve.db import assets
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.ports import Blobs, ByteStream
from comfyserve.services.asset_ids import is_asset_id, new_asset_id
from comfyserve.services.paging import check_limit, page_of, read_number
from comfyserve.services.records import AssetView, Caller, Page
from comfyserve.services.views import asset_view

MAX_FILENAME = 200
ROUNDING = 3600
"""Seconds to which an expiry is rounded up, so that a file keeps its URL for a while and caches can work."""

LINK_SECONDS = 3600
"""How long a link of the store itself works: every visit of our own URL leads to a fresh one."""

FILES_PATH = "/files/"
_MIME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,62}/[a-z0-9][a-z0-9.+-]{0,62}")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


class Files:
    """Assets of a workspace. Their bytes are in `blobs`, their names and sizes in the database."""

    def __init__(
        self,
        db: Database,
        blobs: Blobs,
        *,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        secret: bytes,
        public_url: str,
        url_seconds: int,
        upload_limit: int,
    ) -> None:
        """`secret` signs URLs that live for `url_seconds`; `upload_limit` is in bytes."""
        self._db = db
        self._blobs = blobs
        self._clock = clock
        self._ids = ids
        self._secret = secret
        self._public_url = public_url.rstrip("/")
        self._url_seconds = url_seconds
        self._upload_limit = upload_limit

    async def upload(
        self, caller: Caller, filename: str, mime: str | None, stream: ByteStream, limit: int | None = None
    ) -> AssetView:
        """Store a stream as an asset. Raises TooLarge beyond `limit` bytes (the general limit if None)."""
        name = clean_filename(filename)
        kind = clean_mime(mime, name)
        asset_id = new_asset_id(kind, self._ids)
        key = f"assets/{caller.workspace_id}/{asset_id}"
        blob = await self._blobs.put(
            key, stream, limit=min(limit or self._upload_limit, self._upload_limit), mime=kind, filename=name
        )
        row = {
            "id": asset_id,
            "workspace_id": caller.workspace_id,
            "run_id": None,
            "filename": name,
            "mime": kind,
            "size": blob.size,
            "sha256": blob.sha256,
            "blob_key": key,
            "created_at": self._clock(),
        }
        try:
            await self._db.write(lambda connection: assets.insert(connection, [row]))
        except Exception:
            await self._blobs.delete(key)
            raise
        return self._view(row)

    async def get(self, caller: Caller, asset_id: str) -> AssetView:
        """An asset of the caller's workspace. Raises NotFound."""
        return self._view(await self._find(asset_id, caller.workspace_id))

    async def list(self, caller: Caller, cursor: str | None = None, limit: int = 50) -> Page[AssetView]:
        """The assets of the workspace, newest first."""
        before, size = read_number(cursor), check_limit(limit)
        rows = await self._db.read(
            lambda connection: assets.page(connection, caller.workspace_id, before=before, limit=size + 1)
        )
        return page_of(rows, size, self._view, lambda row: [row["seq"]])

    async def remove(self, caller: Caller, asset_id: str) -> None:
        """Remove an asset of the workspace with its bytes. Raises NotFound, Conflict for one that belongs to a run."""

        def write(connection: Connection) -> str:
            row = assets.find(connection, asset_id, workspace_id=caller.workspace_id)
            if row is None:
                raise _no_such_asset()
            if row["run_id"] is not None:
                raise Conflict(f"This file belongs to run {row['run_id']}, and goes when that run goes.")
            assets.delete(connection, [asset_id])
            return str(row["blob_key"])

        await self._blobs.delete(await self._db.write(write))

    async def stored(self, asset_id: str) -> AssetView:
        """An asset whatever its workspace: for a URL that `verify` has accepted. Raises NotFound."""
        return self._view(await self._find(asset_id, None))

    def open(
        self, asset: AssetView, *, start: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read an asset or a range of it."""
        return self._blobs.open(asset.blob_key, start=start, length=length)

    async def link(self, asset: AssetView) -> str | None:
        """An address at which the store itself serves an asset for LINK_SECONDS, or None when it does not."""
        return await self._blobs.presigned(asset.blob_key, LINK_SECONDS)

    def url(self, asset_id: str, filename: str) -> str:
        """A signed URL of ours that lives for at least the configured time."""
        expires = -(-(int(self._clock().timestamp()) + self._url_seconds) // ROUNDING) * ROUNDING
        signature = self._sign(asset_id, str(expires))
        path = f"{FILES_PATH}{asset_id}/{quote(filename, safe='')}"
        return f"{self._public_url}{path}?expires={expires}&sig={signature}"

    def verify(self, asset_id: str, expires: str, sig: str) -> None:
        """Raise NotFound unless the signature is ours and its time has not passed."""
        if not self._is_ours(asset_id, expires, sig) or int(expires) < self._clock().timestamp():
            raise NotFound("This link is not valid any more. Ask for a fresh one with your key.")

    async def resolve(self, caller: Caller, value: str) -> str | None:
        """The asset that `asset:<id>`, an id or a URL of ours means; None for anything else.

        A URL counts as ours by its signature, or by standing under the public URL. Raises NotFound for an asset that
        is absent or in another workspace, and for a URL of ours with a wrong signature.
        """
        asset_id = self._named(value)
        if asset_id is None:
            return None
        await self._find(asset_id, caller.workspace_id)
        return asset_id

    def _named(self, value: str) -> str | None:
        if (asset_id := asset_of(value)) is not None:
            return asset_id
        if is_asset_id(value):
            return value
        parts = _url_parts(value)
        if parts is None or not parts.path.startswith(FILES_PATH):
            return None
        asset_id = unquote(parts.path.removeprefix(FILES_PATH).partition("/")[0])
        query = parse_qs(parts.query)
        if self._is_ours(asset_id, query.get("expires", [""])[0], query.get("sig", [""])[0]):
            return asset_id
        if value.startswith(self._public_url + FILES_PATH):
            raise NotFound("This link to a file of ours has a wrong signature. Use the URL as it was given.")
        return None

    async def _find(self, asset_id: str, workspace_id: str | None) -> Row:
        row = await self._db.look_up(lambda connection: assets.find(connection, asset_id, workspace_id=workspace_id))
        if row is None:
            raise _no_such_asset()
        return row

    def _view(self, row: Mapping[str, Any]) -> AssetView:
        return asset_view(row, self.url)

    def _is_ours(self, asset_id: str, expires: str, signature: str) -> bool:
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            return False
        return hmac.compare_digest(self._sign(asset_id, expires).encode(), signature.encode(errors="replace"))

    def _sign(self, asset_id: str, expires: str) -> str:
        text = f"file\n{asset_id}\n{expires}"
        return hmac.new(self._secret, text.encode(errors="replace"), hashlib.sha256).hexdigest()


def _url_parts(value: str) -> SplitResult | None:
    try:
        return urlsplit(value) if value.startswith(("http://", "https://")) else None
    except ValueError:  # A host that no URL can have; whoever fetches it says so.
        return None


def _no_such_asset() -> NotFound:
    return NotFound("There is no such asset.")


def clean_filename(name: str) -> str:
    """The last part of a name, without characters that some system forbids; `file` when nothing is left."""
    last = PurePosixPath(name.replace("\\", "/")).name
    cleaned = _UNSAFE.sub("_", last).strip(". ").encode(errors="replace").decode()
    ending = PurePosixPath(cleaned).suffix[:20]
    stem = cleaned.removesuffix(ending)[: MAX_FILENAME - len(ending)]
    return (stem + ending) or "file"


def clean_mime(mime: str | None, filename: str) -> str:
    """The media type as given without its parameters, or else the one that the file's name says."""
    given = (mime or "").partition(";")[0].strip().lower()
    if given != UNKNOWN_TYPE and _MIME.fullmatch(given):
        return given
    return type_of(filename) or UNKNOWN_TYPE
