"""All routes but the static pages: (method, path, function), in the order they are looked up (spec section 1)."""

from __future__ import annotations

from collections.abc import Iterator

from comfyserve.embedded.routes import (
    extensions,
    files,
    history,
    info,
    internal,
    jobs,
    models,
    prompts,
    socket,
    userdata,
    users,
)
from comfyserve.embedded.routes.bodies import Respond
from comfyserve.protocol.routes import PREFIX

Route = tuple[str, str, Respond]

DOUBLED: tuple[Route, ...] = (
    *prompts.ROUTES,
    *history.ROUTES,
    *socket.ROUTES,
    *files.ROUTES,
    *info.ROUTES,
    *models.ROUTES,
    *users.ROUTES,
    *userdata.ROUTES,
    *extensions.ROUTES,
)
"""At their path and under the prefix."""

ONCE: tuple[Route, ...] = (*jobs.ROUTES, *internal.ROUTES, *extensions.STATIC_ROUTES)
"""At their path only."""


def all_routes() -> Iterator[Route]:
    """Every route there is, each with its full path."""
    for method, path, route in DOUBLED:
        yield method, path, route
        yield method, PREFIX + path, route
    yield from ONCE
