"""POST /workflow/<dirs>/<name>: custom workflows (stateless-comfyui-api.md sections 1.7 and 6.1).

The files may change while the server runs, so that a path is looked up when it is called; `operations` describes each
workflow as a route of its own.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from comfyserve.apis.http.errors import InvalidRequest, unknown_route
from comfyserve.apis.http.routing import SpooledRoute, spooled_of
from comfyserve.apis.stateless.answer import INPUT
from comfyserve.apis.stateless.bodies import body_of, in_shape, inlined, read_json
from comfyserve.apis.stateless.long_inputs import LongInputs
from comfyserve.apis.stateless.options import SignedIn, StatelessOptions, WorkflowEndpoint, stateless_of
from comfyserve.apis.stateless.prompt import Order, answered, policy_of
from comfyserve.apis.stateless.shapes import PromptBody, Wish, WorkflowBody
from comfyserve.apis.stateless.stats import RECEIVED
from comfyserve.apis.stateless.translate import graph_of, without_unconfigured
from comfyserve.core.errors import DomainError, InvalidInput

router = APIRouter(route_class=SpooledRoute)

PREFIX = "/workflow/"
UNREADABLE = "unreadable_workflow"


class UnreadableWorkflow(DomainError):
    """The file of this route could not be loaded."""

    code = UNREADABLE


@router.post(PREFIX + "{path:path}", include_in_schema=False)
async def run_workflow(request: Request, caller: SignedIn, path: str) -> Response:
    """Make a graph from an input, and run it as /prompt does."""
    began, options = time.time(), stateless_of(request)
    workflow = _find(request, options, path)
    given = await read_json(request)
    body = in_shape(without_unconfigured(given, policy_of(options)), WorkflowBody)
    texts = LongInputs(spooled_of(request))
    parsed = await _parsed(workflow, await texts.opened(body.input))
    graph = texts.closed(_graph(await workflow.graph(parsed)))
    memo = {INPUT: texts.shown(dict(parsed), graph), RECEIVED: int(began * 1000)}
    return await answered(request, caller, Order(graph, body, given, memo))


def operations(workflows: Sequence[WorkflowEndpoint]) -> dict[str, Any]:
    """The paths of an OpenAPI document: one for each workflow, with its own input."""
    return {f"{PREFIX}{workflow.path}": {"post": _operation(workflow)} for workflow in workflows}


def _operation(workflow: WorkflowEndpoint) -> dict[str, Any]:
    rest = inlined(Wish.model_json_schema(by_alias=True))
    schema = {
        "type": "object",
        "required": [INPUT],
        "properties": {INPUT: inlined(workflow.input_schema), **rest["properties"]},
    }
    return {
        "tags": ["workflows"],
        "summary": workflow.summary,
        "description": workflow.description,
        "operationId": f"workflow_{workflow.path}",
        "requestBody": body_of(schema),
        "responses": {"200": {"description": "The result"}, "202": {"description": "Accepted"}},
    }


def _find(request: Request, options: StatelessOptions, path: str) -> WorkflowEndpoint:
    """The workflow at a path. Raises UnreadableWorkflow, and UnknownRoute."""
    found = next((workflow for workflow in options.workflows if workflow.path == path), None)
    if found is not None:
        return found
    if (reason := options.unreadable.get(path)) is not None:
        raise UnreadableWorkflow(f"The workflow {path} could not be loaded: {reason}")
    raise unknown_route(request.scope)


async def _parsed(workflow: WorkflowEndpoint, given: Any) -> Mapping[str, Any]:
    """The input as the workflow reads it. Raises InvalidRequest, in the original's words."""
    try:
        return await workflow.read(given)
    except InvalidInput as error:
        only = {"field": error.place.field or INPUT, "message": error.message}
        issues = error.details.get("issues") or [only]
        told = [f"body/{issue['field'].replace('.', '/')} {issue['message']}" for issue in issues]
        raise InvalidRequest(", ".join(told), place=error.place) from error


def _graph(made: Mapping[str, Any]) -> dict[str, Any]:
    """What a workflow made, read as a caller's graph is. Raises InvalidRequest."""
    return graph_of(in_shape({"prompt": dict(made)}, PromptBody))
