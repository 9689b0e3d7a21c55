"""Whose request it is, and where that user's files lie."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web

from comfyserve.embedded.files.folders import inside
from comfyserve.embedded.packs.host import engine
from comfyserve.protocol.routes import DEFAULT_USER

USER_HEADER = "comfy-user"
default_user = DEFAULT_USER


class UserManager:
    """Asks the engine's users."""

    @property
    def users(self) -> dict[str, str]:
        """User id -> name."""
        return engine().users.names()

    def get_request_user_id(self, request: web.Request) -> str:
        """The user of a request: the one of its header where there are several. KeyError for an unknown one."""
        if not engine().users.several or USER_HEADER not in request.headers:
            return DEFAULT_USER
        user_id = request.headers[USER_HEADER]
        if user_id not in self.users:
            raise KeyError(f"there is no user with the id {user_id!r}")
        return user_id

    def get_request_user_filepath(
        self, request: web.Request, file: str | None, type: str = "userdata", create_dir: bool = True
    ) -> str | None:
        """The path of a file of that user, None when it would leave the user's folder."""
        root = engine().users.root / self.get_request_user_id(request)
        try:
            path = root if file is None else inside(root, unquote(file))
        except ValueError:
            return None
        if create_dir:
            path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)
