"""The people who use the editor: their settings and files, kept in the folder user/ (spec section 6)."""

from __future__ import annotations

import json
import logging
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from comfyserve.core.errors import Conflict, InvalidInput, TooLarge, Unauthorized
from comfyserve.protocol.routes import DEFAULT_USER, SETTINGS_FILE

logger = logging.getLogger(__name__)

USERS_FILE = "users.json"
MAX_USERS = 1000
MAX_USER_NAME = 100
SETTINGS_BYTES = 4 * 1024 * 1024
UNFINISHED = ".unfinished"
"""How the name of a file ends that is still being written."""

_NOT_IN_AN_ID = re.compile(r"[^\w-]+", re.ASCII)


class Users:
    """Who there is, and each one's folder and settings. All methods may be called from any thread."""

    def __init__(self, root: Path, *, several: bool = False) -> None:
        self.root = root
        self.several = several
        self._lock = threading.Lock()
        self.writing = threading.Lock()
        """Held while room for a file of any user is looked for and taken."""

    def names(self) -> dict[str, str]:
        """User id -> name."""
        return {str(key): str(value) for key, value in _read_object(self.root / USERS_FILE).items()}

    def add(self, name: str, token: str | None = None) -> str:
        """A new user's id: the name and a random `token`. InvalidInput, Conflict when the name is taken."""
        name = name.strip()
        if not name or len(name) > MAX_USER_NAME:
            raise InvalidInput(f"username must have 1 to {MAX_USER_NAME} characters")
        with self._lock:
            names = self.names()
            if name in names.values() or (not self.several and name == DEFAULT_USER):
                raise Conflict("Duplicate username.")
            if len(names) >= MAX_USERS:
                raise TooLarge(f"There are {MAX_USERS} users; no more are taken")
            user_id = f"{_NOT_IN_AN_ID.sub('-', name)}_{token or uuid.uuid4()}"
            _write_object(self.root / USERS_FILE, {**names, user_id: name})
        return user_id

    def folder(self, user_id: str | None) -> Path:
        """The folder of a user, who is always the default one when there is only one. Unauthorized if unknown."""
        if not self.several:
            return self.root / DEFAULT_USER
        user_id = user_id or DEFAULT_USER
        if user_id not in self.names():
            raise Unauthorized(f"There is no user with the id {user_id[:MAX_USER_NAME]!r}")
        return self.root / user_id

    def settings(self, user_id: str | None) -> dict[str, Any]:
        """All settings of a user; {} when there are none or their file is damaged."""
        return _read_object(self.folder(user_id) / SETTINGS_FILE)

    def change_settings(self, user_id: str | None, changes: dict[str, Any]) -> None:
        """Merge into the settings; TooLarge when they would become larger than SETTINGS_BYTES."""
        path = self.folder(user_id) / SETTINGS_FILE
        with self._lock:
            _write_object(path, _read_object(path) | changes)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` at once, or is removed after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        logger.warning("file of a user is damaged", extra={"path": str(path), "reason": str(error)})
        return {}
    return value if isinstance(value, dict) else {}


def _write_object(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=4)
    if len(text) > SETTINGS_BYTES:
        raise TooLarge(f"{path.name} would have {len(text)} bytes; at most {SETTINGS_BYTES} are kept")
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
