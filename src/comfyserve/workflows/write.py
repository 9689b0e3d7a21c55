"""Makes a workflow file of a graph, and tries it before it is given out."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfyserve.core.catalogue import Catalogue
from comfyserve.core.errors import DomainError, InvalidInput, Place
from comfyserve.core.graph import Graph, parse_graph
from comfyserve.workflows.check import try_file
from comfyserve.workflows.documents import read_document
from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.generate import as_mapping, as_python
from comfyserve.workflows.harmless import check_harmless
from comfyserve.workflows.language_model import LanguageModel, LanguageModelFailed, first_message, without_fences
from comfyserve.workflows.names import WorkflowContext
from comfyserve.workflows.plan import is_seed, plan_inputs

PYTHON, JSON = ".py", ".json"
MAX_GRAPH_BYTES = 16 * 1024 * 1024
TRIES = 2
SEED_CLASS = "ComfyUIDeployExternalSeed"


@dataclass(frozen=True)
class Written:
    """The text of a workflow file, the names of its inputs, and who wrote it: `graph` or a provider."""

    text: str
    inputs: tuple[str, ...]
    author: str


class NotTheGraph(Exception):
    """A file does not give back the graph that it was made from; the sentence says where."""


def graph_in(file: Path) -> Graph:
    """The graph of a JSON file in the API form. Raises InvalidInput, InvalidGraph."""
    try:
        return parse_graph(read_document(file, MAX_GRAPH_BYTES))
    except Unreadable as error:
        raise InvalidInput(str(error), place=Place(field="graph")) from error


async def write_workflow(
    graph: Graph, catalogue: Catalogue | None, summary: str, ending: str, model: LanguageModel | None = None
) -> Written:
    """The workflow file of a graph; `ending` is .py or .json, and a language model writes Python alone.

    What the model wrote runs only when it is harmless. Raises LanguageModelFailed when two of its answers are not, or
    do not give back the graph."""
    wishes = plan_inputs(graph, catalogue)
    names = tuple(wish.name for wish in wishes)
    if ending == JSON:
        return Written(as_mapping(graph, wishes, summary), names, "graph")
    draft = as_python(graph, wishes, summary)
    if model is None:
        return Written(draft, names, "graph")
    return await _asked(graph, catalogue, draft, model)


async def _asked(graph: Graph, catalogue: Catalogue | None, draft: str, model: LanguageModel) -> Written:
    messages = [{"role": "user", "content": first_message(graph, catalogue, draft)}]
    wrong = ""
    for _ in range(TRIES):
        answer = await model.ask(messages)
        text = without_fences(answer)
        try:
            check_harmless(text)
            return Written(text, await give_back(text, graph), model.provider)
        except (Unreadable, DomainError, NotTheGraph) as error:
            wrong = _told(error)
        again = f"The file does not work: {wrong}\nAnswer with the whole corrected Python file alone."
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": again}]
    raise LanguageModelFailed(
        f"{model.provider} wrote no file that gives back the graph: {wrong} Try again, or use --model none."
    )


async def give_back(
    text: str, graph: Graph, given: Mapping[str, Any] | None = None, ending: str = PYTHON
) -> tuple[str, ...]:
    """The inputs of a workflow file that gives back the graph for an empty input, but for seeds. It is loaded from a
    folder of its own. Raises Unreadable, InvalidInput, NotTheGraph."""
    with tempfile.TemporaryDirectory() as folder:
        file = _saved(Path(folder, f"workflow{ending}"), text)
        tried = await try_file(file, dict(given or {}), WorkflowContext(), catalogue=None)
    _compare(parse_graph(tried.graph), graph)
    return tuple(tried.input)


def _told(error: Exception) -> str:
    """What is wrong, with its place."""
    field = error.place.field if isinstance(error, DomainError) else None
    return f"{field}: {error}" if field else str(error)


def _saved(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def _compare(made: Graph, graph: Graph) -> None:
    if made.nodes.keys() != graph.nodes.keys():
        odd = ", ".join(sorted(made.nodes.keys() ^ graph.nodes.keys()))
        raise NotTheGraph(f"nodes {odd} are not in both graphs.")
    for node_id, node in graph.nodes.items():
        found = made.nodes[node_id]
        if found.class_type != node.class_type or found.inputs.keys() != node.inputs.keys():
            raise NotTheGraph(f"node {node_id} has another class_type or other inputs.")
        for name, value in node.inputs.items():
            random = is_seed(name) or node.class_type == SEED_CLASS
            if found.inputs[name] != value and not (random and isinstance(found.inputs[name], int)):
                raise NotTheGraph(f"node {node_id} has another {name} than the graph, for an empty input.")
