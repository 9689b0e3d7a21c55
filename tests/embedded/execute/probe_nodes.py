"""Nodes that show how a graph is executed. A pack of plain Python: a real ComfyUI loads this file unchanged."""

# ruff: noqa: N802 - names of ComfyUI's contract

import asyncio
import itertools
from typing import Any

try:
    from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder  # type: ignore[import-not-found]  # there
except ImportError:
    from comfyserve.embedded.graph.blocker import ExecutionBlocker
    from comfyserve.embedded.graph.graph_builder import GraphBuilder

Declared = dict[str, Any]

NODE_CLASS_MAPPINGS: dict[str, type] = {}


def published(cls: type) -> type:
    NODE_CLASS_MAPPINGS["Probe" + cls.__name__] = cls
    return cls


class Probe:
    RETURN_TYPES: tuple[str, ...] = ("INT",)
    FUNCTION = "run"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": ("INT", {"default": 1})}}


class AnyType(str):
    """Fits every type, as packs write it."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


ANY = AnyType("*")


@published
class Number(Probe):
    def run(self, value: int) -> tuple[int]:
        return (value,)


@published
class Add(Probe):
    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"a": ("INT", {}), "b": ("INT", {})}}

    def run(self, a: int, b: int) -> tuple[int]:
        return (a + b,)


class Output(Probe):
    RETURN_TYPES: tuple[str, ...] = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": (ANY, {})}}


@published
class Show(Output):
    def run(self, value: object) -> Declared:
        return {"ui": {"text": [str(value)]}}


@published
class Quiet(Output):
    def run(self, value: object) -> tuple[()]:
        return ()


@published
class Nothing(Output):
    """Returns None."""

    def run(self, value: object) -> None:
        pass


@published
class Empty(Output):
    RETURN_TYPES = ("INT",)

    def run(self, value: object) -> Declared:
        return {}


@published
class ShowAll(Output):
    INPUT_IS_LIST = True

    def run(self, value: list[object]) -> Declared:
        return {"ui": {"text": [str(value)]}}


@published
class Range(Probe):
    OUTPUT_IS_LIST = (True,)

    def run(self, value: int) -> tuple[list[int]]:
        return (list(range(value)),)


@published
class Fail(Probe):
    def run(self, value: int) -> tuple[int]:
        raise ValueError(f"cannot use {value}")


@published
class Two(Probe):
    """Declares two outputs and gives one."""

    RETURN_TYPES = ("INT", "INT")

    def run(self, value: int) -> tuple[int]:
        return (value,)


@published
class Wild(Probe):
    """Takes what it is given, declared or not."""

    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {}, "hidden": {"me": "UNIQUE_ID", "extra": ("INT", {"default": 3})}}

    def run(self, **given: object) -> tuple[str]:
        return (str(sorted(given.items())),)


class Lazy(Probe):
    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        lazy = ("INT", {"lazy": True})
        return {"required": {"first": ("BOOLEAN", {})}, "optional": {"a": lazy, "b": lazy}}

    def run(self, first: bool, a: int | None = None, b: int | None = None) -> tuple[int | None]:
        return (a if first else b,)


@published
class Switch(Lazy):
    def check_lazy_status(self, first: bool, a: int | None = None, b: int | None = None) -> list[str]:
        return [name for name, value in (("a", a),) if first and value is None] or (
            ["b"] if not first and b is None else []
        )


@published
class Greedy(Lazy):
    """Asks for more than there is."""

    def check_lazy_status(self, first: bool, a: int | None = None, b: int | None = None) -> list[str]:
        return ["missing"]


@published
class AsyncSwitch(Lazy):
    async def check_lazy_status(self, first: bool, a: int | None = None, b: int | None = None) -> list[str]:
        await asyncio.sleep(0.01)
        name, value = ("a", a) if first else ("b", b)
        return [name] if value is None else []


@published
class Block(Probe):
    """Blocks values from 2 on; `text` is the message, empty for none."""

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": ("INT", {}), "text": ("STRING", {})}}

    def run(self, value: int, text: str) -> Any:
        if value < 2:
            return (value,)
        return ExecutionBlocker(text or None)


@published
class Expand(Probe):
    """Becomes value + 1 by two added nodes, with an output inside when `show` is set."""

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": ("INT", {}), "show": ("BOOLEAN", {})}}

    def run(self, value: int, show: bool) -> Declared:
        graph = GraphBuilder()
        one = graph.node("ProbeNumber", value=1)
        total = graph.node("ProbeAdd", a=one.out(0), b=value)
        if show:
            graph.node("ProbeShow", value=total.out(0))
        return {"expand": graph.finalize(), "result": (total.out(0),)}


@published
class Loop(Probe):
    """Expands into itself `value` times."""

    def run(self, value: int) -> Declared:
        if value <= 0:
            return {"result": (0,)}
        graph = GraphBuilder()
        inner = graph.node("ProbeLoop", value=value - 1)
        total = graph.node("ProbeAdd", a=inner.out(0), b=1)
        return {"expand": graph.finalize(), "result": (total.out(0),)}


@published
class Display(Probe):
    """The added nodes are shown by node `shown_by`."""

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": ("INT", {}), "shown_by": ("STRING", {})}}

    def run(self, value: int, shown_by: str) -> Declared:
        graph = GraphBuilder()
        one = graph.node("ProbeShow", value=value)
        one.set_override_display_id(shown_by)
        return {"expand": graph.finalize(), "result": (value,)}


@published
class Mixed(Probe):
    """Some calls expand, others give a value; UI besides."""

    def run(self, value: int) -> Declared:
        if value % 2:
            return {"result": (value,), "ui": {"text": ["plain"]}}
        graph = GraphBuilder()
        one = graph.node("ProbeNumber", value=value * 10)
        return {"expand": graph.finalize(), "result": (one.out(0),), "ui": {"text": ["grown"]}}


@published
class Twice(Probe):
    """Adds a node id that exists."""

    def run(self, value: int) -> Declared:
        return {"expand": {"1": {"class_type": "ProbeNumber", "inputs": {"value": value}}}, "result": (["1", 0],)}


@published
class Unknown(Probe):
    def run(self, value: int) -> Declared:
        graph = GraphBuilder()
        return {"expand": graph.finalize(), "result": (graph.node("ProbeNope").out(0),)} | {
            "expand": {"x": {"class_type": "ProbeNope", "inputs": {}}}
        }


@published
class FailInside(Probe):
    def run(self, value: int) -> Declared:
        graph = GraphBuilder()
        bad = graph.node("ProbeFail", value=value)
        return {"expand": graph.finalize(), "result": (bad.out(0),)}


@published
class Circle(Probe):
    """The added nodes need each other."""

    def run(self, value: int) -> Declared:
        graph = GraphBuilder()
        one = graph.node("ProbeAdd", "one", b=value)
        two = graph.node("ProbeAdd", "two", a=one.out(0), b=value)
        one.set_input("a", two.out(0))
        return {"expand": graph.finalize(), "result": (two.out(0),)}


class Slow(Probe):
    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": ("INT", {}), "ms": ("INT", {})}}


@published
class Sleep(Slow):
    async def run(self, value: int, ms: int) -> tuple[int]:
        await asyncio.sleep(ms / 1000)
        return (value,)


@published
class AsyncFail(Slow):
    async def run(self, value: int, ms: int) -> tuple[int]:
        await asyncio.sleep(ms / 1000)
        raise ValueError(f"cannot use {value}")


@published
class AsyncExpand(Slow):
    async def run(self, value: int, ms: int) -> Declared:
        await asyncio.sleep(ms / 1000)
        graph = GraphBuilder(prefix=f"grown{value}.")
        one = graph.node("ProbeSleep", value=value, ms=ms)
        return {"expand": graph.finalize(), "result": (one.out(0),)}


@published
class NotANumber(Number):
    @classmethod
    def IS_CHANGED(cls, value: int) -> float:
        return float("nan")


@published
class FailsToSay(Number):
    @classmethod
    def IS_CHANGED(cls, value: int) -> float:
        raise RuntimeError("no idea")


@published
class SaysLinked(Number):
    """Its fingerprint is whether the value is linked."""

    @classmethod
    def IS_CHANGED(cls, value: int | None) -> bool:
        return value is None


@published
class SaysLater(Number):
    @classmethod
    async def IS_CHANGED(cls, value: int) -> str:
        await asyncio.sleep(0.001)
        return "same"


@published
class Counts(Number):
    """Its fingerprint differs from prompt to prompt."""

    asked = itertools.count()

    @classmethod
    def IS_CHANGED(cls, value: int) -> int:
        return next(cls.asked)


@published
class Me(Probe):
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": ("INT", {})}, "hidden": {"me": "UNIQUE_ID"}}

    def run(self, value: int, me: str) -> tuple[str]:
        return (me,)


@published
class Moody(Number):
    NOT_IDEMPOTENT = True


@published
class Dynamic(Probe):
    """Tells what it sees of the graph."""

    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {
            "required": {"value": ("INT", {"rawLink": True})},
            "hidden": {"nodes": "DYNPROMPT", "graph": "PROMPT", "me": "UNIQUE_ID", "info": "EXTRA_PNGINFO"},
        }

    def run(self, value: object, nodes: Any, graph: Any, me: str, info: object) -> tuple[str]:
        seen = [value, nodes.get_node(me)["class_type"], nodes.get_parent_node_id(me), nodes.get_display_node_id(me)]
        seen += [nodes.get_real_node_id(me), sorted(nodes.all_node_ids()), nodes.has_node("77"), sorted(graph), info]
        return (str(seen),)


class Bounded(Probe):
    @classmethod
    def INPUT_TYPES(cls) -> Declared:
        return {"required": {"value": ("INT", {"max": 5}), "other": ("INT", {"max": 5})}}

    def run(self, value: int, other: int) -> tuple[int]:
        return (value,)


@published
class Checked(Bounded):
    """Its validator is asynchronous and has words for what it refuses."""

    @classmethod
    async def VALIDATE_INPUTS(cls, value: int | None) -> bool | str:
        await asyncio.sleep(0)
        return True if value is None or value < 50 else "too much"


@published
class ChecksTypes(Bounded):
    @classmethod
    def VALIDATE_INPUTS(cls, input_types: dict[str, str]) -> bool | str:
        return True if input_types.get("value") != "STRING" else "no texts"


@published
class ChecksAll(Bounded):
    @classmethod
    def VALIDATE_INPUTS(cls, **given: Any) -> bool | str:
        return bool(given["value"] != 13)


@published
class ChecksNothing(Bounded):
    @classmethod
    def VALIDATE_INPUTS(cls) -> bool | str:
        return "never seen"
