"""What an object store meant when it failed: obstore's exceptions, read into a few kinds.

Its messages are not passed on: they are long, and they name whole addresses. What tells one failure from another is the
HTTP status and the word that S3, Azure and GCS put into `<Code>` of their XML errors. Besides its own exceptions it
raises OSError, ValueError, TypeError and, when it panics, a class that nobody can import: so whatever it raises is a
failure of the store.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_STATUS = re.compile(r"status code: (\d{3})")
_WORD = re.compile(r"<Code>(\w{1,64})</Code>")
_METADATA = ("169.254.169.254", "metadata.google.internal", "MissingCredentials", "credential error")
_REGION = "incorrectly configured region"


class Kind(StrEnum):
    """What is wrong."""

    ABSENT = "absent"
    NO_BUCKET = "no bucket"
    NO_CREDENTIALS = "no credentials"
    BAD_CREDENTIALS = "bad credentials"
    DENIED = "denied"
    REGION = "region"
    RANGE = "range"
    CHANGED = "changed"
    NAME = "name"
    BUSY = "busy"
    REFUSED = "refused"
    UNREACHED = "unreached"


KINDS: Mapping[str, Kind] = {
    "NoSuchBucket": Kind.NO_BUCKET,
    "ContainerNotFound": Kind.NO_BUCKET,
    "ContainerBeingDeleted": Kind.NO_BUCKET,
    "InvalidBucketName": Kind.NO_BUCKET,
    "InvalidAccessKeyId": Kind.BAD_CREDENTIALS,
    "SignatureDoesNotMatch": Kind.BAD_CREDENTIALS,
    "InvalidToken": Kind.BAD_CREDENTIALS,
    "ExpiredToken": Kind.BAD_CREDENTIALS,
    "AuthenticationFailed": Kind.BAD_CREDENTIALS,
    "AuthorizationFailure": Kind.BAD_CREDENTIALS,
    "InvalidAuthenticationInfo": Kind.BAD_CREDENTIALS,
    "PermanentRedirect": Kind.REGION,
    "TemporaryRedirect": Kind.REGION,
    "AuthorizationHeaderMalformed": Kind.REGION,
    "IllegalLocationConstraintException": Kind.REGION,
}
"""The stores' own words for what a status alone does not tell."""

STATUSES: Mapping[int, Kind] = {
    304: Kind.CHANGED,
    401: Kind.BAD_CREDENTIALS,
    403: Kind.DENIED,
    404: Kind.ABSENT,
    408: Kind.BUSY,
    412: Kind.CHANGED,
    416: Kind.RANGE,
    429: Kind.BUSY,
}

CLASSES: Mapping[str, Kind] = {
    "PermissionDeniedError": Kind.DENIED,
    "UnauthenticatedError": Kind.BAD_CREDENTIALS,
    "PreconditionError": Kind.CHANGED,
    "NotModifiedError": Kind.CHANGED,
}
"""The exceptions of obstore that tell more than their class of Python's."""

RETRYABLE = frozenset({Kind.BUSY, Kind.UNREACHED, Kind.CHANGED})


@dataclass(frozen=True)
class Failure:
    """What failed: the kind, and the store's own word or status (`AccessDenied`, `503`) where it gave one."""

    kind: Kind
    word: str = ""

    @property
    def retryable(self) -> bool:
        """Whether another try may help."""
        return self.kind in RETRYABLE

    @property
    def said(self) -> str:
        """The store's word in brackets, to end a sentence with."""
        return f" ({self.word})" if self.word else ""


def read_failure(error: Exception) -> Failure:
    """What an exception from obstore means."""
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    word = found[1] if (found := _WORD.search(text)) else ""
    return Failure(_kind(error, status, word, text), word or (str(status) if status else ""))


def _kind(error: Exception, status: int, word: str, text: str) -> Kind:
    """The class of the exception counts where there is no status: a writer wraps them all in OSError."""
    if (known := KINDS.get(word) or STATUSES.get(status)) is not None:
        return known
    if status:
        return Kind.BUSY if status >= 500 else Kind.REFUSED
    if isinstance(error, FileNotFoundError):
        return Kind.ABSENT
    if (known := CLASSES.get(type(error).__name__)) is not None:
        return known
    if isinstance(error, ValueError | TypeError):
        return Kind.NAME
    if _REGION in text:
        return Kind.REGION
    return Kind.NO_CREDENTIALS if any(sign in text for sign in _METADATA) else Kind.UNREACHED
