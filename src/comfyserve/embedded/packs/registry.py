"""The packs of one engine and what they brought besides nodes: routes, and eyes on the prompts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from comfyserve.embedded.graph.foreign import Raised, foreign

logger = logging.getLogger(__name__)

PromptSeen = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Pack:
    """One folder or file of custom_nodes and what became of it; `error` is None when it loaded."""

    name: str
    path: Path
    seconds: float
    nodes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    error: str | None = None
    place: str = ""
    """`file:line` in the pack where it failed."""

    def row(self) -> dict[str, Any]:
        """How the pack is published."""
        return {
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "nodes": list(self.nodes),
            "refused": list(self.refused),
            "error": self.error,
            "place": self.place,
        }


class Packs:
    """The packs of one engine in the order they were loaded, failed ones too."""

    def __init__(self) -> None:
        self.loaded: list[Pack] = []
        self.prompt_seen: list[PromptSeen] = []
        self.routes = web.RouteTableDef()
        self._application: web.Application | None = None

    def application(self, body_bytes: int) -> web.Application:
        """The application that packs hang their routes on and that is served in the end; the same at each call."""
        if self._application is None:
            self._application = web.Application(client_max_size=body_bytes)
        return self._application

    def on_prompt(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Show a submitted prompt to the packs that asked for it; what one raises is logged and changes nothing."""
        for seen in self.prompt_seen:
            # Foreign code: it must not decide whether a prompt is taken.
            answer = foreign(seen, wish)
            if isinstance(answer, Raised):
                logger.error("a pack failed to look at a prompt", exc_info=answer.error)
            elif isinstance(answer, dict):
                wish = answer
        return wish

    def add_routes(self, app: web.Application, prefix: str) -> None:
        """Serve the packs' routes, each at its path and under the prefix; what cannot be added is logged."""
        for route in list(self.routes):
            doubled: list[web.AbstractRouteDef] = [route]
            if isinstance(route, web.RouteDef):
                doubled.append(web.route(route.method, prefix + route.path, route.handler, **route.kwargs))
            for definition in doubled:
                try:
                    definition.register(app.router)
                except (RuntimeError, ValueError) as error:
                    logger.warning("a pack's route is left out", extra={"route": repr(route), "reason": str(error)})
