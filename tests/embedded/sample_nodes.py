"""Small nodes for the tests of the engine's core; each shows one trait of ComfyUI's contract."""

# ruff: noqa: N802 - names of ComfyUI's contract

import asyncio
import itertools
import threading
from typing import Any, NoReturn

from comfyserve.embedded.context import current
from comfyserve.embedded.graph.graph_view import Graph

Returned = tuple[Any, ...] | dict[str, Any]

MAPPINGS: dict[str, type] = {}


def node(cls: type) -> type:
    MAPPINGS[cls.__name__] = cls
    return cls


class Simple:
    RETURN_TYPES: tuple[str, ...] = ()
    FUNCTION = "run"
    CATEGORY = "test"


class OneNumber(Simple):
    """Declares one number; what is done with it is up to the node."""

    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {"default": 1, "min": 0, "max": 100})}}


@node
class Number(OneNumber):
    def run(self, value: int) -> tuple[int]:
        return (value,)


@node
class Add(Simple):
    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"a": ("INT", {}), "b": ("INT", {})}}

    def run(self, a: int, b: int) -> tuple[int]:
        return (a + b,)


@node
class Show(Simple):
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("*", {})}}

    def run(self, value: object) -> Returned:
        return {"ui": {"text": [str(value)]}}


@node
class Silent(Show):
    def run(self, value: object) -> Returned:
        return ()


@node
class Words(Simple):
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"text": ("STRING", {}), "mode": (["upper", "lower"], {"default": "upper"})},
            "optional": {"ratio": ("FLOAT", {"min": 0.0, "max": 1.0}), "flag": ("BOOLEAN", {})},
        }

    def run(self, text: str, mode: str, ratio: float = 0.5, flag: bool = False) -> tuple[str]:
        return (f"{getattr(text, mode)()} {ratio} {flag}",)


@node
class LongChoice(Simple):
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ([f"n{i}" for i in range(21)],)}}

    def run(self, name: str) -> tuple[str]:
        return (name,)


@node
class V3Choice(Simple):
    V3 = True
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mode": (["a", "b"], {"default": "a"})}, "hidden": {"prompt": "PROMPT"}}

    def run(self, mode: str, prompt: object = None) -> tuple[str]:
        return (mode,)


@node
class Picky(Simple):
    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"word": (["one", "two"],), "other": ("INT", {"max": 5})}}

    @classmethod
    def VALIDATE_INPUTS(cls, word: str) -> bool | str:
        return True if word != "bad" else "that word is bad"

    def run(self, word: str, other: int) -> tuple[str]:
        return (word,)


@node
class Range(Simple):
    RETURN_TYPES = ("INT",)
    OUTPUT_IS_LIST = (True,)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"count": ("INT", {})}}

    def run(self, count: int) -> tuple[list[int]]:
        return (list(range(count)),)


@node
class Sum(Simple):
    RETURN_TYPES = ("INT",)
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"values": ("INT", {}), "extra": ("INT", {})}}

    def run(self, values: list[int], extra: list[int]) -> tuple[int]:
        return (sum(values) + extra[0],)


@node
class Fail(Simple):
    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {})}}

    def run(self, value: int) -> NoReturn:
        raise ValueError(f"cannot use {value}")


@node
class Exit(Fail):
    def run(self, value: int) -> NoReturn:
        raise SystemExit(3)


@node
class Switch(Simple):
    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "first": ("BOOLEAN", {}),
                "a": ("INT", {"lazy": True}),
                "b": ("INT", {"lazy": True}),
            }
        }

    def check_lazy_status(self, first: bool, a: int | None = None, b: int | None = None) -> list[str]:
        needed, value = ("a", a) if first else ("b", b)
        return [needed] if value is None else []

    def run(self, first: bool, a: int | None = None, b: int | None = None) -> tuple[int | None]:
        return (a if first else b,)


@node
class Volatile(Number):
    @classmethod
    def IS_CHANGED(cls, value: int) -> float:
        return float("nan")


@node
class Identified(OneNumber):
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("INT", {})}, "hidden": {"me": "UNIQUE_ID"}}

    def run(self, value: int, me: str) -> tuple[int]:
        return (value,)


@node
class Waits(Number):
    """Reports progress until it is interrupted."""

    started = threading.Event()

    def run(self, value: int) -> tuple[int]:
        Waits.started.set()
        for step in itertools.count():
            current().progress(step % 10, 10)
            threading.Event().wait(0.002)
        return (value,)


@node
class Steps(Number):
    def run(self, value: int) -> tuple[int]:
        from PIL import Image

        for step in range(1, value + 1):
            current().progress(step, value, Image.new("RGB", (1024, 256), (200, 10, 10)))
        return (value,)


@node
class Later(OneNumber):
    """Two of them finish only if they run at the same time."""

    meeting: asyncio.Barrier | None = None

    async def run(self, value: int) -> tuple[int]:
        if Later.meeting is None:
            Later.meeting = asyncio.Barrier(2)
        async with asyncio.timeout(10):
            await Later.meeting.wait()
        return (value,)


@node
class Forever(OneNumber):
    started = threading.Event()

    async def run(self, value: int) -> tuple[int]:
        Forever.started.set()
        await asyncio.Event().wait()
        return (value,)


@node
class Hidden(Simple):
    """Shows what the engine hands to those who ask for it, and speaks on the node."""

    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        kinds = {"prompt": "PROMPT", "info": "EXTRA_PNGINFO", "me": "UNIQUE_ID", "token": "AUTH_TOKEN_COMFY_ORG"}
        return {"required": {}, "hidden": kinds}

    def run(self, prompt: Graph, info: object, me: str, token: str) -> dict[str, Any]:
        context = current()
        context.text(f"node {context.node_id}")
        return {"ui": {"seen": [list(prompt), info, me, token, context.prompt_id, context.folders.output.name]}}
