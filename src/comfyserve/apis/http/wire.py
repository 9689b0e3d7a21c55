"""What one wire API is to the app that serves it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

from comfyserve.apis.http.errors import Face
from comfyserve.apis.http.openapi import Document
from comfyserve.services.deliver import Delivery
from comfyserve.services.records import RunView


@dataclass(frozen=True)
class WireApi:
    """One wire API. Paths are whole ones, with the prefix.

    `aliases` are first segments that are also answered without the prefix; `documents` are further OpenAPI documents:
    path -> what is made of the whole one.
    """

    name: str
    prefix: str
    router: Callable[[], APIRouter]
    face: Face
    webhook_body: Callable[[Delivery, RunView], dict[str, Any]]
    upload_paths: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()
    documents: Mapping[str, Callable[[Document], Document]] = field(default_factory=dict)
