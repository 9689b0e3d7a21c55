"""Keys: who may call. A secret is shown once and stored as its sha256 only (256 random bits need no slow hash)."""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from comfyserve.core.errors import InvalidInput, NotFound, Place, Unauthorized
from comfyserve.core.limits import MAX_KEY_DAYS, MAX_TOKEN
from comfyserve.db import keys
from comfyserve.db.database import Database
from comfyserve.db.rows import Row
from comfyserve.services.checks import check_text
from comfyserve.services.paging import check_limit, page_of, read_moment
from comfyserve.services.records import Caller, KeyKind, KeyView, NewKey, Page
from comfyserve.services.views import key_view

log = structlog.get_logger(__name__)

PREFIX = "cs_"
SECRET_BYTES = 32
SHOWN = 8
"""How much of a key is kept readable, so that people recognise it."""

CACHE_TIME = timedelta(seconds=3)
"""How long a revoked key may go on in another process."""

CACHED = 10_000
USE_STEP = timedelta(minutes=1)
MAX_LIFE = timedelta(days=MAX_KEY_DAYS)
ADMIN = "admin"
WORKSPACE = "default"
CALLING: frozenset[str] = frozenset({"api", "session"})


@dataclass(frozen=True)
class _Known:
    caller: Caller
    until: datetime
    expires_at: datetime | None


class Keys:
    """API keys, sessions of the pages, and one-time sign-in tokens. Tokens that are no key raise Unauthorized."""

    def __init__(
        self,
        db: Database,
        *,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        random_bytes: Callable[[int], bytes],
        session_seconds: float,
        sign_in_seconds: float,
    ) -> None:
        """`random_bytes`: a source fit for secrets, such as `secrets.token_bytes`."""
        self._db = db
        self._clock = clock
        self._ids = ids
        self._random_bytes = random_bytes
        self._session = timedelta(seconds=session_seconds)
        self._sign_in = timedelta(seconds=sign_in_seconds)
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def authenticate(self, token: str) -> Caller:
        """Who calls with this API key or session token. Raises Unauthorized."""
        digest, now = _digest(token), self._clock()
        known = self._known.get(digest)
        if known is not None and now < known.until and not _is_past(known.expires_at, now):
            return known.caller
        row = await self._db.look_up(lambda connection: keys.find_by_hash(connection, digest))
        caller = _caller(row, now, CALLING)
        if row is not None and (row["last_used_at"] is None or now - row["last_used_at"] >= USE_STEP):
            await self._mark_used(caller.key_id, now)
        self._remember(digest, _Known(caller, now + CACHE_TIME, row["expires_at"] if row else None))
        return caller

    async def create(self, caller: Caller, name: str, expires_in: timedelta | None = None) -> NewKey:
        """A new API key of the caller's workspace."""
        name = check_text("name", name)
        if expires_in is not None and not timedelta() < expires_in <= MAX_LIFE:
            raise InvalidInput(f"A key lives for 1 to {MAX_KEY_DAYS} days.", place=Place(field="expires_in_days"))
        secret = self._secret()
        row = self._row(caller.workspace_id, "api", name, secret, expires_in)
        await self._db.write(lambda connection: keys.insert(connection, row))
        return NewKey(key_view(row), secret)

    async def list(self, caller: Caller, cursor: str | None = None, limit: int = 50) -> Page[KeyView]:
        """The API keys of the workspace that are not revoked, newest first."""
        before, size = read_moment(cursor), check_limit(limit)
        rows = await self._db.read(
            lambda connection: keys.page(connection, caller.workspace_id, "api", before=before, limit=size + 1)
        )
        return page_of(rows, size, key_view, lambda row: [row["created_at"].isoformat(), row["id"]])

    async def revoke(self, caller: Caller, key_id: str) -> None:
        """End an API key of the workspace. Raises NotFound."""
        now = self._clock()
        digest = await self._db.write(
            lambda connection: keys.revoke(connection, key_id, now, workspace_id=caller.workspace_id)
        )
        if digest is None:
            raise NotFound("There is no such key.")
        self._known.pop(digest, None)

    async def ensure_admin(self, given: str | None = None) -> str | None:
        """At the first start make the workspace and its admin key, which is the answer; None at later starts."""
        secret = given.strip() if given and given.strip() else self._secret()

        def ensure(connection: Connection) -> str | None:
            if (workspace_id := self._workspace(connection)) is None:
                return None
            keys.insert(connection, self._row(workspace_id, "api", ADMIN, secret, None))
            return secret

        return await self._db.write(ensure)

    async def ensure_workspace(self) -> None:
        """At the first start make the workspace, for a server that has no keys."""
        await self._db.write(self._workspace)

    def _workspace(self, connection: Connection) -> str | None:
        """The id of the workspace that this makes; None where there is one."""
        if keys.first_workspace(connection) is not None:
            return None
        workspace_id = self._ids()
        keys.insert_workspace(connection, {"id": workspace_id, "name": WORKSPACE, "created_at": self._clock()})
        return workspace_id

    async def first_workspace(self) -> str:
        """The workspace of the first start. Raises NotFound before it."""
        row = await self._db.read(keys.first_workspace)
        if row is None:
            raise NotFound("There is no workspace yet; start the server once.")
        return str(row["id"])

    async def issue_sign_in(self, workspace_id: str | None = None) -> str:
        """A token that opens one session, soon; for the first workspace if none is named."""
        workspace = workspace_id or await self.first_workspace()
        secret = self._secret()
        row = self._row(workspace, "sign_in", "sign-in link", secret, self._sign_in)
        await self._db.write(lambda connection: keys.insert(connection, row))
        return secret

    async def redeem(self, token: str) -> tuple[str, Caller]:
        """Change a sign-in token for a session: its token and its caller. It works once."""
        return await self._open_session(token, frozenset({"sign_in"}))

    async def sign_in_with_key(self, key: str) -> tuple[str, Caller]:
        """Open a session with an API key: its token and its caller."""
        return await self._open_session(key, frozenset({"api"}))

    async def end_session(self, token: str) -> None:
        """End a session; quietly nothing when it has ended."""
        digest, now = _digest(token), self._clock()
        self._known.pop(digest, None)

        def end(connection: Connection) -> None:
            row = keys.find_by_hash(connection, digest)
            if row is not None and row["kind"] == "session":
                keys.revoke(connection, row["id"], now)

        await self._db.write(end)

    async def _mark_used(self, key_id: str, now: datetime) -> None:
        """Remember the use of a key. Who calls may go on when that cannot be written: reading still works then."""
        try:
            await self._db.write(lambda connection: keys.mark_used(connection, key_id, now))
        except SQLAlchemyError as error:
            log.error("key_use_not_written", key_id=key_id, problem=str(error))

    async def _open_session(self, token: str, kinds: frozenset[str]) -> tuple[str, Caller]:
        digest, secret = _digest(token), self._secret()

        def exchange(connection: Connection) -> Caller:
            now = self._clock()
            row = keys.find_by_hash(connection, digest)
            opener = _caller(row, now, kinds)
            if opener.kind == "sign_in":
                keys.revoke(connection, opener.key_id, now)
            session = self._row(opener.workspace_id, "session", opener.name, secret, self._session)
            keys.insert(connection, session)
            return Caller(opener.workspace_id, session["id"], "session", opener.name, opener.workspace_name)

        return secret, await self._db.write(exchange)

    def _row(self, workspace_id: str, kind: KeyKind, name: str, secret: str, life: timedelta | None) -> dict[str, Any]:
        now = self._clock()
        return {
            "id": self._ids(),
            "workspace_id": workspace_id,
            "name": name,
            "kind": kind,
            "prefix": secret[:SHOWN] if len(secret) > 2 * SHOWN else "",
            "hash": _digest(secret),
            "created_at": now,
            "expires_at": now + life if life else None,
            "last_used_at": None,
            "revoked_at": None,
        }

    def _secret(self) -> str:
        text = base64.urlsafe_b64encode(self._random_bytes(SECRET_BYTES)).decode().rstrip("=")
        return f"{PREFIX}{text}"

    def _remember(self, digest: str, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        while len(self._known) > CACHED:
            self._known.popitem(last=False)


def _caller(row: Row | None, now: datetime, kinds: frozenset[str]) -> Caller:
    if row is None or row["kind"] not in kinds or row["revoked_at"] is not None or _is_past(row["expires_at"], now):
        raise Unauthorized(
            "This key is unknown, expired or revoked. Send a valid one as 'Authorization: Bearer <key>'."
        )
    return Caller(row["workspace_id"], row["id"], row["kind"], row["name"], row["workspace_name"])


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _digest(token: str) -> str:
    if not token or len(token) > MAX_TOKEN:
        raise Unauthorized("Send a key as 'Authorization: Bearer <key>'.")
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
