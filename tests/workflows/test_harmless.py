"""What a language model may have run before anybody has read it."""

from pathlib import Path

import pytest

from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.generate import as_python
from comfyserve.workflows.harmless import check_harmless
from comfyserve.workflows.plan import plan_inputs
from comfyserve.workflows.write import graph_in

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("**/workflow_api.json"))

HEAD = """from typing import Annotated, Any, Literal, Optional
from pydantic import BaseModel, ConfigDict, Field
from comfyserve.workflows import ctx, random_seed
"""
GOOD = (
    HEAD
    + '''
summary = "One"
SIZES = {"small": (512, 512), "large": (1024, 1024)}
class Input(BaseModel):
    """What callers set."""
    model_config = ConfigDict(extra="forbid")
    size: Literal["small", "large"] = Field("small", description="Size")
    prompt: Annotated[str, Field(max_length=100)] = "a cat"
    style: Optional[str] = None
    loras: list[str] = Field(default_factory=list)
    seed: int = Field(default_factory=lambda: 1 + random_seed() % 99, ge=0)
    sampler: ctx.Sampler = "euler"
    checkpoint: ctx.Model("checkpoints") = None
    cfg: float | None = -1.0
def styled(text: str, style: str | None) -> str:
    return f"{text}, {style.strip()}" if style else text
def generate(input: Input) -> dict[str, Any]:
    width, height = SIZES[input.size]
    graph = {"5": {"class_type": "E", "inputs": {"width": int(width) * 1, "height": height}}}
    for number, name in enumerate(input.loras):
        graph[str(100 + number)] = {"class_type": "L", "inputs": {"name": name}}
    if width > 4096:
        raise ValueError("too wide")
    graph.update({"6": {"class_type": "T", "inputs": {"text": styled(input.prompt, input.style)}}})
    return graph
'''
)
MODEL = HEAD + "class Input(BaseModel):\n    a: str = 'x'\n"

HOSTILE = [
    "import os",
    "import os as ctx",
    "from os import environ",
    "from typing import sys",
    "from pydantic import BaseModel as b",
    "from . import _secrets",
    "from comfyserve.workflows import load_workflows",
    "open('x')",
    "x = open",
    "x = __import__('os')",
    "x = __builtins__",
    "x = ().__class__",
    "x = '{0.__class__}'.format(ctx)",
    "x = getattr(ctx, '_' + 'x')",
    "x = eval('1')",
    "Field = print",
    "def int(x):\n    return x",
    "def f(open):\n    return open('x')",
    "def f(g):\n    return g()",
    "for str in [1]:\n    pass",
    "x = [y() for y in [random_seed]]",
    "x = (y for y in [1]).gi_frame",
    "x = lambda: 1",
    "x = sorted([1], key=print)",
    "x = Field(default_factory=ctx.models)",
    "x = Field(**{'default_factory': 1})",
    "x = 10 ** 10 ** 10",
    "while True:\n    pass",
    "async def f():\n    pass",
    "try:\n    pass\nexcept Exception as e:\n    x = e",
    "with ctx:\n    pass",
    "@random_seed\ndef f():\n    pass",
    "class A(BaseModel):\n    a: \"__import__('os')\"",
    "x = 'evil'\nclass A(BaseModel):\n    a: x",
    "class A(BaseModel):\n    a: list['evil()']",
    "class A(BaseModel):\n    a: Annotated['evil()', 1]",
    "class A(BaseModel):\n    a: f'evil'",
    "class A(BaseModel, metaclass=Field):\n    pass",
    "class A(BaseModel, Any):\n    pass",
    "class A:\n    pass",
    "class A(BaseModel):\n    def f(self):\n        pass",
    "class A(BaseModel):\n    x = 1\n    for y in [1]:\n        pass",
    "def f():\n    class A(BaseModel):\n        pass",
    "x = BaseModel.parse_file('x')",
    "ctx.settings = 1",
    "def f[T: print](x):\n    return x",
    "global x",
    "del ctx",
    "match 1:\n    case int():\n        pass",
    "x = (y := 1)",
    "def (",
    "class A(BaseModel):\n    a: Annotated[()]",
    "class A(BaseModel):\n    a: " + " | ".join(["int"] * 5000),
    "x = " + "-" * 3000 + "1",
    "\x00",
    "x = " + "(" * 5000,
]


def test_what_a_file_needs_is_allowed() -> None:
    check_harmless(GOOD)
    check_harmless("from __future__ import annotations\n" + GOOD)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_what_the_program_writes_itself_is_allowed(file: Path) -> None:
    graph = graph_in(file)
    check_harmless(as_python(graph, plan_inputs(graph, None), "one"))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:40])
def test_all_else_is_refused(text: str) -> None:
    check_harmless(MODEL)
    with pytest.raises(Unreadable):
        check_harmless(f"{MODEL}{text}\n")


def test_another_encoding_hides_nothing() -> None:
    with pytest.raises(Unreadable, match="environ"):
        check_harmless("# coding: utf-7\n# x +AAo-import os, environ\n")
