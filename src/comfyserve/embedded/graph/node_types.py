"""One node class as the engine sees it: what it declares, read once where that is safe."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from comfyserve.embedded.graph import dynamic_inputs
from comfyserve.embedded.graph.dynamic_inputs import DYNAMIC_COMBO, MATCH_TYPE

NodeClass = type[Any]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One declared input: its category, its type (a word, or the list of choices) and its options."""

    name: str
    category: str
    type: Any
    options: Mapping[str, Any]

    @property
    def config(self) -> tuple[Any, Mapping[str, Any]]:
        """The pair that validation errors publish."""
        return (self.type, self.options)

    @property
    def choices(self) -> list[Any] | None:
        """The options of a choice, None for any other type."""
        if type(self.type) is str and self.type == DYNAMIC_COMBO:
            return [option["key"] for option in self.options["options"]]
        return self.type if isinstance(self.type, list) else None

    @property
    def lazy(self) -> bool:
        return bool(self.options.get("lazy"))

    @property
    def raw_link(self) -> bool:
        return bool(self.options.get("rawLink"))


class Schema:
    """What INPUT_TYPES answered once; valid for one prompt, since choices depend on files."""

    def __init__(self, declared: Mapping[str, Mapping[str, Any]], hidden_prefix: str = "") -> None:
        self.declared = declared
        self.hidden: Mapping[str, str] = {
            f"{hidden_prefix}{name}": str(kind[0] if isinstance(kind, (tuple, list)) and kind else kind)
            for name, kind in (declared.get("hidden") or {}).items()
        }
        """Name under which the node gets it -> the word that says what it is."""

    def __iter__(self) -> Iterator[InputSpec]:
        """The required and the optional inputs, in order."""
        for category in ("required", "optional"):
            for name, entry in (self.declared.get(category) or {}).items():
                yield _spec(name, category, entry)

    def expanded(self, given: Mapping[str, Any]) -> Iterator[InputSpec]:
        """The same with the members that dynamic inputs have beside the given inputs of a node."""
        for category in ("required", "optional"):
            for name, entry in (self.declared.get(category) or {}).items():
                yield from (_spec(*found) for found in dynamic_inputs.expand(name, category, entry, given))

    def find(self, name: str, given: Mapping[str, Any] = MappingProxyType({})) -> InputSpec | None:
        """The input of that name, for dotted names of a dynamic input beside the given ones.

        Asks with `in`, because some packs declare endless optional inputs that way.
        """
        for category in ("required", "optional"):
            declared = self.declared.get(category)
            # Not its truth: an endless declaration is an empty dictionary.
            if declared is not None and name in declared:
                return _spec(name, category, declared[name])
        if "." not in name or not given:
            return None
        return next((spec for spec in self.expanded(given) if spec.name == name), None)


class NodeType:
    """A node class with the attributes of ComfyUI's V1 contract, defaults filled in."""

    def __init__(self, name: str, node_class: NodeClass, module: str, display_name: str | None = None) -> None:
        self.name = name
        self.node_class = node_class
        self.module = str(getattr(node_class, "RELATIVE_PYTHON_MODULE", module))
        self.display_name = display_name
        self.v3 = bool(getattr(node_class, "V3", False))
        self.output_types: tuple[Any, ...] = tuple(getattr(node_class, "RETURN_TYPES", ()))
        self.output_is_list: tuple[bool, ...] = tuple(
            getattr(node_class, "OUTPUT_IS_LIST", (False,) * len(self.output_types))
        )
        self.is_output = bool(getattr(node_class, "OUTPUT_NODE", False))
        self.input_is_list = bool(getattr(node_class, "INPUT_IS_LIST", False))
        self.idempotent = not getattr(node_class, "NOT_IDEMPOTENT", False)
        self.function = str(node_class.FUNCTION)
        self.prepare: Callable[[dict[str, list[Any]]], dict[str, list[Any]]] = lambda arguments: arguments
        """What its function gets instead of the arguments: packs may know values in another form."""

    def schema(self) -> Schema:
        """Ask the class again: the choices of a file input change with the folders."""
        return Schema(self.node_class.INPUT_TYPES(), getattr(self.node_class, "HIDDEN_PREFIX", ""))

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(getattr(self.node_class, self.function, None))

    @cached_property
    def fingerprint(self) -> str | None:
        """The name of the method that tells whether the node changed."""
        return self._method("IS_CHANGED") or self._method("fingerprint_inputs")

    @cached_property
    def validator(self) -> Validator | None:
        name = self._method("VALIDATE_INPUTS") or self._method("validate_inputs")
        return Validator.of(getattr(self.node_class, name), name) if name else None

    @cached_property
    def lazy(self) -> bool:
        return self._method("check_lazy_status") is not None

    def _method(self, name: str) -> str | None:
        return name if callable(getattr(self.node_class, name, None)) else None


@dataclass(frozen=True, slots=True)
class Validator:
    """A node's own validation: the method and the inputs that it takes upon itself."""

    method: str
    names: frozenset[str]
    takes_all: bool

    @classmethod
    def of(cls, function: Any, method: str) -> Validator:
        parameters = inspect.signature(function).parameters.values()
        named = (p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        return cls(method, frozenset(named), any(p.kind == p.VAR_KEYWORD for p in parameters))

    def covers(self, name: str) -> bool:
        return self.takes_all or name in self.names

    @property
    def checks_types(self) -> bool:
        return "input_types" in self.names


def is_link(value: Any) -> bool:
    """Whether an input value is a link: [source id, slot]."""
    return (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], (int, float))
    )


def _spec(name: str, category: str, entry: Any) -> InputSpec:
    kind = entry[0] if isinstance(entry, (tuple, list)) else entry
    options = entry[1] if isinstance(entry, (tuple, list)) and len(entry) > 1 else {}
    if isinstance(kind, tuple):
        kind = list(kind)
    if dynamic_inputs.kind(entry) == MATCH_TYPE:
        kind = dynamic_inputs.allowed_types(entry)
    return InputSpec(name, category, kind, options or {})
