"""Buckets of object stores: the words for them in addresses, what they may be called, and which one is our own."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from comfyserve.core.errors import InvalidInput

BucketKind = Literal["s3", "azure", "gcs"]

SCHEMES: Mapping[str, BucketKind] = {"s3": "s3", "az": "azure", "azure": "azure", "gs": "gcs"}
"""Scheme of an address -> kind of store."""

NAME = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{0,221}")
"""Buckets and containers; `$root` and `$web` are Azure's."""

_LOCATION = re.compile(rf"({'|'.join(SCHEMES)})://({NAME.pattern})((?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*)/?")


@dataclass(frozen=True)
class Location:
    """A place for many files: those whose keys begin with `prefix` and a slash, or all when it is empty."""

    kind: BucketKind
    bucket: str
    prefix: str = ""

    def is_bucket(self, kind: BucketKind, bucket: str) -> bool:
        """Whether this lies in a bucket. No two buckets of a store differ in capitals only."""
        return (self.kind, self.bucket.lower()) == (kind, bucket.lower())

    def holds(self, kind: BucketKind, bucket: str, keys: Iterable[str]) -> bool:
        """Whether one of these keys of a bucket is here."""
        folder = f"{self.prefix}/" if self.prefix else ""
        return self.is_bucket(kind, bucket) and any(key.startswith(folder) for key in keys)


def read_location(text: str) -> Location:
    """The place that a setting names, such as `s3://bucket/prefix`. Raises InvalidInput."""
    found = _LOCATION.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text[:80]!r} is no place for files; write s3://bucket/prefix, az://container/prefix or gs://bucket/prefix."
        )
    return Location(SCHEMES[found[1]], found[2], found[3].strip("/"))
