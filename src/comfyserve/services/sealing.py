"""Sealing: what callers entrust to the server is encrypted before it is stored, with keys made of the secret key.

The text is `1.<Fernet token>`: the number of the scheme, then AES-128-CBC with an HMAC of SHA-256 (Fernet's spec).
"""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from comfyserve.core.errors import DomainError

SCHEME = "1."
KEY_BYTES = 32
ENCRYPTS = b"comfyserve: sealed options of a run"
COMPARES = b"comfyserve: digests of sealed options"
NAMES = b"comfyserve: names of private models"


class SealBroken(DomainError):
    """What was sealed cannot be opened: the secret key is another one now, or the text was changed."""

    code = "seal_broken"

    def __init__(self) -> None:
        super().__init__(
            "The credentials of this run cannot be read any more: the server's secret key has changed since it was "
            "submitted. Submit the run again."
        )


class Sealing:
    """Encrypts texts, and makes digests of them that tell nothing without the secret key."""

    def __init__(self, secret: bytes) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(_derived(secret, ENCRYPTS)))
        self._digest_key = _derived(secret, COMPARES)
        self.names_key = _derived(secret, NAMES)
        """What a worker makes names with that nobody can guess."""

    def seal(self, text: str) -> str:
        """The text, encrypted; twice the same text gives two different ones."""
        return SCHEME + self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text that was sealed. Raises SealBroken."""
        if not sealed.startswith(SCHEME):
            raise SealBroken
        try:
            return self._fernet.decrypt(sealed.removeprefix(SCHEME)).decode()
        except InvalidToken:
            raise SealBroken from None

    def digest(self, text: str) -> str:
        """The same for the same text; nobody can tell or guess the text from it without the secret key."""
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).hexdigest()


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret)
