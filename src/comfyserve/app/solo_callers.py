"""Who may call solo: everybody, or who knows one of the keys of its settings."""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.requests import Request

from comfyserve.apis.http.auth import token_of
from comfyserve.core.errors import Unauthorized
from comfyserve.services.records import Caller

EVERYBODY = "everybody"
SHOWN = 12
"""How much of a key's hash is kept with its runs, to tell keys apart: the queue is shared fairly between them."""


class Callers:
    """Tells who calls. All callers see the same runs: they are told apart for their turns in the queue only."""

    def __init__(self, workspace_id: str, keys: Sequence[str]) -> None:
        self._workspace_id = workspace_id
        self._digests = [_digest(key) for key in keys]
        self.everybody = Caller(workspace_id, EVERYBODY, "api", EVERYBODY)

    @property
    def keyed(self) -> bool:
        """Whether a call needs a key."""
        return bool(self._digests)

    async def __call__(self, request: Request) -> Caller:
        """Who sends this request. Raises Unauthorized."""
        if not self._digests:
            return self.everybody
        token = token_of(request)
        if token is None or token.from_cookie:
            raise Unauthorized("This call needs a key: send `Authorization: Bearer <key>`.")
        given = _digest(token.value)
        # All are compared, whichever fits: the time tells nothing.
        if sum(hmac.compare_digest(given, known) for known in self._digests) == 0:
            raise Unauthorized("This key is unknown. Send a valid one as `Authorization: Bearer <key>`.")
        name = given.hex()[:SHOWN]
        return Caller(self._workspace_id, name, "api", name)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()
