"""The side-car of a cached file: `<file>.meta`, JSON (stateless-comfyui-api.md section 3.7, and ours besides)."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from comfyserve.fetch.cache.links import Link
from comfyserve.fetch.cache.names import CARD_ENDING
from comfyserve.fetch.source import Validators

MAX_CARD = 1024 * 1024


@dataclass(frozen=True)
class Card:
    """What is known about a cached file. Times are seconds since 1970; `modified_ns` and `size` are the file's own, so
    that a card never speaks for another file; `owner`: the seal of the credentials that fetched it (Store.seal), empty
    for a public file; `superseded`: a newer copy took its place while somebody used it."""

    url: str
    auth_required: bool
    cached_at: float
    checked_at: float
    size: int
    modified_ns: int
    sha256: str
    mime: str
    filename: str
    validators: Validators
    is_folder: bool = False
    owner: str = ""
    superseded: bool = False
    links: tuple[Link, ...] = ()

    def write(self) -> bytes:
        """The file's content."""
        shown = {
            "authRequired": self.auth_required,
            "url": self.url,
            "cachedAt": _iso(self.cached_at),
            "checkedAt": _iso(self.checked_at),
            "size": self.size,
            "modifiedNs": self.modified_ns,
            "sha256": self.sha256,
            "mime": self.mime,
            "filename": self.filename,
            "etag": self.validators.etag,
            "lastModified": self.validators.last_modified,
            "originSize": self.validators.size,
            "isFolder": self.is_folder,
            "owner": self.owner,
            "superseded": self.superseded,
            "links": [asdict(link) for link in self.links],
        }
        return json.dumps(shown, indent=2).encode()


def card_path(path: Path) -> Path:
    """Where the side-car of a cached file lies."""
    return path.with_name(path.name + CARD_ENDING)


def read_card(path: Path) -> Card | None:
    """The side-car of a cached file; None when it has none that we wrote whole."""
    try:
        with card_path(path).open("rb") as file:
            return _read(json.loads(file.read(MAX_CARD)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(found: Any) -> Card:
    """Raises KeyError, TypeError or ValueError for what is no card of ours."""
    return Card(
        url=str(found["url"]),
        auth_required=found["authRequired"] is not False,
        cached_at=_seconds(found["cachedAt"]),
        checked_at=_seconds(found["checkedAt"]),
        size=int(found["size"]),
        modified_ns=int(found["modifiedNs"]),
        sha256=str(found["sha256"]),
        mime=str(found["mime"]),
        filename=str(found["filename"]),
        validators=Validators(str(found["etag"]), str(found["lastModified"]), found["originSize"]),
        is_folder=bool(found["isFolder"]),
        owner=str(found["owner"]),
        superseded=bool(found["superseded"]),
        links=tuple(Link(str(link["path"]), int(link["size"]), int(link["modified_ns"])) for link in found["links"]),
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
