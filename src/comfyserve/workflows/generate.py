"""Writes a workflow file of a graph: Python, or JSON with a field mapping."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from comfyserve.core.graph import Graph
from comfyserve.workflows.plan import Wish

WIDTH = 110
PYTHON_TYPES: Mapping[str, str] = {
    "integer": "int",
    "seed": "int",
    "number": "float",
    "boolean": "bool",
    "sampler": "ctx.Sampler",
    "scheduler": "ctx.Scheduler",
}
"""Type of an input -> its annotation; all others are text."""


class Expression(str):
    """Python code in the place of a value."""


def as_python(graph: Graph, wishes: Sequence[Wish], summary: str) -> str:
    """The source of a workflow file: a model of the inputs, and a function that fills the graph."""
    imports = sorted({"ctx"} & _used(wishes) | {"random_seed"} & _used(wishes))
    head = [f'"""{_in_docstring(summary)}, made from its graph by `comfyserve solo generate-workflow`."""', ""]
    head += [
        "from typing import Any, Literal" if any(wish.choices for wish in wishes) else "from typing import Any",
        "",
    ]
    head += [f"from pydantic import BaseModel{', Field' if wishes else ''}", ""]
    head += [f"from comfyserve.workflows import {', '.join(imports)}", ""] if imports else []
    fields = [f"    {_field(wish)}" for wish in wishes]
    model = [
        "",
        "",
        "class Input(BaseModel):",
        '    """What callers set."""',
        *([""] if fields else []),
        *fields,
        "",
        "",
    ]
    function = ["def generate(input: Input) -> dict[str, Any]:", '    """The graph for an input."""']
    body = f"    return {_literal(_filled(graph, wishes), 1)}"
    return "\n".join([*head, f"summary = {_text(summary)}", *model, *function, body]) + "\n"


def as_mapping(graph: Graph, wishes: Sequence[Wish], summary: str) -> str:
    """The JSON of a workflow file: a field mapping with its graph."""
    inputs = {wish.name: _mapped(wish) for wish in wishes}
    whole = {"summary": summary, "inputs": inputs, "graph": graph.as_json()}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _mapped(wish: Wish) -> dict[str, Any]:
    """A seed within bounds is a plain number here: a mapping draws seeds without bounds only."""
    kind = "integer" if wish.type == "seed" and wish.high is not None else wish.type
    told: dict[str, Any] = {"to": [".".join(place) for place in wish.places], "type": kind}
    told |= {"description": wish.description}
    if kind != "seed":
        told["default"] = wish.default
    facts = {"folder": wish.folder, "enum": list(wish.choices), "min": wish.low, "max": wish.high}
    return told | {name: fact for name, fact in facts.items() if fact not in ("", None, [])}


def _used(wishes: Sequence[Wish]) -> set[str]:
    types = {wish.type for wish in wishes}
    seeds = {"random_seed"} if "seed" in types else set()
    return seeds | ({"ctx"} if types & {"sampler", "scheduler", "model"} else set())


def _field(wish: Wish) -> str:
    low = 0 if wish.type == "seed" and wish.low is None else wish.low
    facts = [_seed(wish) if wish.type == "seed" else _literal(wish.default, 0)]
    facts += [f"{key}={bound!r}" for key, bound in (("ge", low), ("le", wish.high)) if bound is not None]
    facts.append(f"description={_text(wish.description)}")
    begin, line = f"{wish.name}: {_annotation(wish)} = Field(", ", ".join(facts)
    if len(begin) + len(line) < WIDTH:
        return f"{begin}{line})"
    return begin + "".join(f"\n        {fact}," for fact in facts) + "\n    )"


def _seed(wish: Wish) -> str:
    """A random one, within the bounds."""
    if wish.high is None:
        return "default_factory=random_seed"
    low = int(wish.low or 0)
    return f"default_factory=lambda: {low} + random_seed() % {int(wish.high) - low + 1}"


def _annotation(wish: Wish) -> str:
    if wish.choices:
        return f"Literal[{', '.join(_literal(choice, 0) for choice in wish.choices)}]"
    if wish.type == "model":
        return f"ctx.Model({_text(wish.folder)})"
    return PYTHON_TYPES.get(wish.type, "str")


def _filled(graph: Graph, wishes: Sequence[Wish]) -> dict[str, Any]:
    """The graph with the fields of the input in their places."""
    filled = graph.as_json()
    for wish in wishes:
        for node_id, key in wish.places:
            filled[node_id]["inputs"][key] = Expression(f"input.{wish.name}")
    return filled


def _literal(value: Any, depth: int) -> str:
    """A JSON value as Python writes it; long ones over several lines."""
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, dict | list):
        return repr(value)
    inside = (
        [f"{_text(key)}: {_literal(one, depth + 1)}" for key, one in value.items()]
        if isinstance(value, dict)
        else [_literal(one, depth + 1) for one in value]
    )
    begin, end = "{}" if isinstance(value, dict) else "[]"
    line = f"{begin}{', '.join(inside)}{end}"
    if len(line) + 4 * depth <= WIDTH and "\n" not in line and depth > 1:
        return line
    pad = "    " * (depth + 1)
    return begin + "".join(f"\n{pad}{one}," for one in inside) + f"\n{'    ' * depth}{end}" if inside else line


def _text(text: str) -> str:
    """A text in double quotes, unless it has some itself; JSON's escapes are Python's, too."""
    if '"' in text and "'" not in text:
        return repr(text)
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _in_docstring(text: str) -> str:
    return " ".join(text.replace("\\", "").replace('"', "'").split())
