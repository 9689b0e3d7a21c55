"""What one wire API is to the app that serves it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter

from comfyserve.apis.http.errors import Face
from comfyserve.apis.http.openapi import Document
from comfyserve.services.postings import Render


@dataclass(frozen=True)
class WireApi:
    """One wire API. Paths are whole ones, with the prefix.

    `webhooks` are the formats that it writes webhooks in. `aliases` are first segments that are also answered without
    the prefix; `documents` are further OpenAPI documents: path -> what is made of the whole one. `alone`: it is the
    only one of its server, and brings its own /health, /ready and /docs.
    """

    name: str
    prefix: str
    router: Callable[[], APIRouter]
    face: Face
    webhooks: Mapping[str, Render]
    upload_paths: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()
    documents: Mapping[str, Callable[[Document], Document]] = field(default_factory=dict)
    alone: bool = False
