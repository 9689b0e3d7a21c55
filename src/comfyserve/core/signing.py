"""Signatures of webhooks (Standard Webhooks, standardwebhooks.com; stateless-comfyui-api.md, section 4.1)."""

import base64
import hmac
import re
from typing import Literal
from urllib.parse import quote

PREFIX = "whsec_"
_FOREIGN = re.compile(r"[^A-Za-z0-9+/]")
_HEADER_TEXT = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def read_key(secret: str, prefix: Literal["strip", "keep"] = "strip") -> bytes:
    """The key that a secret in base64 stands for, read as leniently as Node does: both alphabets, strange characters
    are passed over, it ends at the first `=`, and a lone last character says nothing.

    `prefix`: whether `whsec_` at its beginning is a mark, or the first characters of the secret, as comfyui-api has it.
    """
    text = secret.strip()
    text = text.removeprefix(PREFIX) if prefix == "strip" else text
    digits = _FOREIGN.sub("", text.partition("=")[0].replace("-", "+").replace("_", "/"))
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return base64.b64decode(digits + "=" * (-len(digits) % 4))


def header_text(text: str) -> str:
    """The same text where a header can hold it, else percent-encoded."""
    return text if _HEADER_TEXT.fullmatch(text) else quote(text, errors="replace")


class Signature:
    """The signature of one call: of its id, its moment (seconds of the epoch) and its body, given piece by piece."""

    def __init__(self, key: bytes, call_id: str, moment: int) -> None:
        self._id = header_text(call_id)
        self._moment = str(moment)
        self._sum = hmac.new(key, f"{self._id}.{self._moment}.".encode(), "sha256")

    def add(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._sum.update(piece)

    def headers(self) -> dict[str, str]:
        """The three headers that a receiver checks."""
        return {
            "webhook-id": self._id,
            "webhook-timestamp": self._moment,
            "webhook-signature": f"v1,{base64.b64encode(self._sum.digest()).decode()}",
        }
