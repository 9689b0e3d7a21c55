"""The table style of the node families: a plain function plus its catalogue line becomes a ComfyUI V1 node class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.dynamic_inputs import nest
from comfyserve.embedded.nodes.bounds import check_given, check_result

Call = TypeVar("Call", bound=Callable[..., Any])
Spec = tuple[Any, ...]
Inputs = Mapping[str, "Spec | Callable[[], Spec]"]

MAX_SIDE: Final = 16384

IMAGE: Final[Spec] = ("IMAGE",)
MASK: Final[Spec] = ("MASK",)
LATENT: Final[Spec] = ("LATENT",)
ANYTHING: Final[Spec] = ("*", {})
LINE: Final[Spec] = ("STRING", {"multiline": False})
LINES: Final[Spec] = ("STRING", {"multiline": True})
SAVE_METADATA: Final = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}


class Everything(dict[str, Spec]):
    """Optional inputs of any name and type; none of them is published."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __missing__(self, name: str) -> Spec:
        return ANYTHING


def integer(default: int, low: int, high: int, step: int | None = None, **options: object) -> Spec:
    """An INT input with its bounds."""
    return ("INT", _bounded(default, low, high, step) | options)


def number(default: float, low: float, high: float, step: float | None = None, **options: object) -> Spec:
    """A FLOAT input with its bounds."""
    return ("FLOAT", _bounded(default, low, high, step) | options)


def boolean(default: bool) -> Spec:
    """A BOOLEAN input."""
    return ("BOOLEAN", {"default": default})


def text(default: str, **options: object) -> Spec:
    """A one-line STRING input."""
    return ("STRING", {"default": default, **options})


def choice(*names: str, **options: object) -> Spec:
    """A list to choose from."""
    return (list(names), options) if options else (list(names),)


def listing(files: Callable[[Folders], list[str]], **options: object) -> Callable[[], Spec]:
    """A choice of files, read from the engine's folders at every look; empty where there is no engine."""

    def spec() -> Spec:
        try:
            return choice(*files(current().folders), **options)
        except LookupError:
            return choice(**options)

    return spec


def _bounded(default: float, low: float, high: float, step: float | None) -> dict[str, object]:
    bounds: dict[str, object] = {"default": default, "min": low, "max": high}
    return bounds if step is None else bounds | {"step": step}


@dataclass(frozen=True)
class Family:
    """The nodes of one file: class mappings and titles as ComfyUI's loader expects them."""

    classes: dict[str, type[Any]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def node(
        self,
        name: str,
        module: str,
        category: str,
        inputs: Inputs,
        outputs: tuple[str, ...] = (),
        *,
        title: str | None = None,
        optional: Inputs | None = None,
        hidden: Mapping[str, str] | None = None,
        names: tuple[str, ...] | None = None,
        lists: tuple[bool, ...] | None = None,
        takes_lists: bool = False,
        output_node: bool = False,
        v3: bool = False,
        experimental: bool = False,
        lazy: Callable[..., list[str]] | None = None,
        match: tuple[str | None, ...] | None = None,
        validate: Callable[..., bool | str] | None = None,
        fingerprint: Callable[..., object] | None = None,
    ) -> Callable[[Call], Call]:
        """Publish the decorated function as node `name`. ValueError if the family has that name already.

        It gets the inputs by name and returns the output, a tuple of several, or (output nodes) the UI dictionary,
        with the outputs behind it if there are any.
        `lists` says which outputs are lists, `takes_lists` is INPUT_IS_LIST, `lazy` answers which lazy inputs are
        needed, `match` names the match-type template of each output.
        """
        traits: dict[str, object] = {
            "INPUT_TYPES": _declaration({"required": inputs, "optional": optional, "hidden": hidden}),
            "RETURN_TYPES": outputs,
            "FUNCTION": "run",
            "CATEGORY": category,
            "OUTPUT_NODE": output_node,
            "RELATIVE_PYTHON_MODULE": module,
        }
        extra = {
            "RETURN_NAMES": names,
            "OUTPUT_IS_LIST": lists,
            "INPUT_IS_LIST": takes_lists,
            "V3": v3,
            "EXPERIMENTAL": experimental,
            "OUTPUT_MATCHTYPES": match,
            "check_lazy_status": lazy and staticmethod(lazy),
            "VALIDATE_INPUTS": validate and staticmethod(validate),
            "IS_CHANGED": fingerprint and staticmethod(fingerprint),
        }
        traits |= {key: value for key, value in extra.items() if value}

        def publish(call: Call) -> Call:
            if name in self.classes:
                raise ValueError(f"the node {name} is declared twice")
            run = _adapted(call, len(outputs), output_node, {"required": inputs, "optional": optional or {}})
            self.classes[name] = type(name, (), traits | {"run": staticmethod(run), "__doc__": call.__doc__})
            if title is not None:
                self.titles[name] = title
            return call

        return publish


def _declaration(groups: Mapping[str, Mapping[str, Any] | None]) -> Callable[[], dict[str, dict[str, Any]]]:
    return staticmethod(lambda: _resolved(groups))


def _resolved(groups: Mapping[str, Mapping[str, Any] | None]) -> dict[str, dict[str, Any]]:
    return {group: _called(specs) for group, specs in groups.items() if specs is not None}


def _called(specs: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(specs, Everything):
        return specs
    return {name: spec() if callable(spec) else spec for name, spec in specs.items()}


def _adapted(
    call: Callable[..., Any], outputs: int, output_node: bool, declared: Mapping[str, Inputs]
) -> Callable[..., Any]:
    def run(**values: Any) -> Any:
        given = check_given(values)
        result = call(**nest(declared, values))
        check_result(result, given)
        if output_node:
            return {"ui": result[0], "result": result[1:]} if outputs else {"ui": result}
        return (result,) if outputs == 1 else result

    return run
