"""Where a workflow comes in: the API form is taken as it is, the editor's form is converted for the machine."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyserve.core.carried import read_carried
from comfyserve.core.convert import MAX_CONVERTED_BYTES, convert_workflow, is_editor_form
from comfyserve.core.convert.read import read_workflow
from comfyserve.core.errors import Conflict, InvalidInput, Place
from comfyserve.core.graph import parse_graph
from comfyserve.core.inputs.declare import Input, declare
from comfyserve.services.checks import check_json
from comfyserve.services.machines import Catalogue, Machines
from comfyserve.services.records import Caller

POLL_SECONDS = 0.2
"""How often a machine that has not told its nodes yet is asked again."""

UNKNOWN_NODES = (
    "The machine has not told yet which nodes it has, and without that the editor's form of a workflow cannot be "
    "converted. Try again when the machine is ready, or send what 'Workflow > Export (API)' saves in ComfyUI."
)


@dataclass(frozen=True)
class Forms:
    """A workflow on its way in: `graph` in the API form, not yet checked, and the editor's form where there is one."""

    graph: Any
    editor: Mapping[str, Any] | None


@dataclass(frozen=True)
class WorkflowFile:
    """What a file holds, checked: the API form, the editor's form if it has one, and the inputs it declares."""

    graph: Mapping[str, Any]
    editor: Mapping[str, Any] | None
    inputs: Sequence[Input]


class EditorForms:
    """Turns what callers send into the API form."""

    def __init__(self, machines: Machines, *, graph_bytes: int, wait_seconds: float) -> None:
        """`wait_seconds`: how long a caller waits for the nodes of a machine that is starting."""
        self._machines = machines
        self._graph_bytes = graph_bytes
        self._wait_seconds = wait_seconds

    async def settle(
        self, caller: Caller, graph: Any, editor: Mapping[str, Any] | None, machine_id: str | None = None
    ) -> Forms:
        """The API form: `graph` itself, or converted from the editor's form in its place, or else from `editor`.

        Without a `machine_id` the workspace's own machine decides. Raises InvalidGraph with every node that cannot
        be converted, NotFound (machine), Conflict while the machine's nodes are not known, InvalidInput, TooLarge.
        """
        saved = editor if graph is None else graph if is_editor_form(graph) else None
        if saved is None:
            if graph is None:
                raise InvalidInput("Give the workflow, in the API form or as the editor saves it.", place=Place())
            return Forms(graph, editor)
        check_json("editor", saved, self._graph_bytes)
        await asyncio.to_thread(read_workflow, saved)
        catalogue = await self._catalogue(caller, machine_id)
        limit = min(self._graph_bytes, MAX_CONVERTED_BYTES)
        return Forms(await asyncio.to_thread(_converted, saved, catalogue, limit), editor or saved)

    async def read(self, caller: Caller, data: bytes, machine_id: str | None = None) -> WorkflowFile:
        """The workflow in a file: JSON of either form, or a picture, video or sound that carries one.

        Raises InvalidGraph when it has none, and what `settle` raises.
        """
        carried = await asyncio.to_thread(read_carried, data)
        forms = await self.settle(caller, carried.graph, carried.editor, machine_id)
        check_json("graph", forms.graph, self._graph_bytes)
        check_json("editor", forms.editor, self._graph_bytes)
        graph = parse_graph(forms.graph)
        return WorkflowFile(graph.as_json(), forms.editor, declare(graph))

    async def _catalogue(self, caller: Caller, machine_id: str | None) -> Catalogue:
        for _ in range(1 + int(self._wait_seconds / POLL_SECONDS)):
            status, catalogue = await self._machines.nodes(caller, machine_id)
            if catalogue is not None:
                return catalogue
            if status != "starting":
                break
            await asyncio.sleep(POLL_SECONDS)
        raise Conflict(UNKNOWN_NODES, details={"form": "editor"})


def _converted(saved: Any, catalogue: Catalogue, limit: int) -> dict[str, Any]:
    return convert_workflow(saved, catalogue, max_bytes=limit)
