"""What the log tells at the level `debug`: the request, the input of a workflow and the graph, without secrets."""

import logging
from collections.abc import Mapping
from typing import Any

import structlog

from comfyserve.apis.stateless.shapes import Wish
from comfyserve.core.redaction import redacted

log = structlog.get_logger(__name__)


def log_request(request_id: str, wish: Wish, graph: Any, workflow_input: Mapping[str, Any] | None) -> None:
    """One line for each request that could be read; nothing is done at other levels."""
    if not logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
        return
    asked = wish.model_dump(mode="json", by_alias=True, exclude={"prompt", "input"}, exclude_none=True)
    told = {"id": request_id, "request": redacted(asked), "graph": redacted(graph)}
    log.debug("prompt.asked", **told, **({} if workflow_input is None else {"input": redacted(workflow_input)}))
