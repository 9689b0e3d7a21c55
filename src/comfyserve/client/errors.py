"""What can go wrong when the native API is called."""

from collections.abc import Mapping
from typing import Any, Self


class ServerUnreachable(Exception):
    """Nothing answers at the address, or the connection broke."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"No comfyserve answers at {url} ({reason}). Start one with: comfyserve up")
        self.url = url


class ApiError(Exception):
    """The server refused; `code`, `place` and `details` are the fields of its error."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("message") or f"The server answered {status}."))
        self.status = status
        self.code = str(error.get("code") or "error")
        self.place: Mapping[str, str] = error.get("place") or {}
        self.details: Mapping[str, Any] = error.get("details") or {}
        self.request_id = str(error.get("request_id") or "")

    def with_hint(self, hint: str) -> Self:
        """The same refusal with one more sentence."""
        self.args = (f"{self} {hint}",)
        return self
