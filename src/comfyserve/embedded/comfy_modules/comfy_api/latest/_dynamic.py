"""Inputs that depend on other inputs: dynamic combo, autogrow and match type (newer than 0.3.64)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from comfyserve.embedded.comfy_modules.comfy_api.latest._fields import (
    ComfyTypeI,
    ComfyTypeIO,
    Custom,
    Input,
    Options,
    Output,
    comfytype,
    declarations,
)
from comfyserve.embedded.graph.dynamic_inputs import AUTOGROW, DYNAMIC_COMBO, MATCH_TYPE

MOST_MEMBERS: Final = 100
"""How far an autogrow input may grow at most, as in ComfyUI."""


class Option:
    """One choice of a dynamic combo, and the inputs that come with it."""

    def __init__(self, key: str, inputs: Sequence[Input]) -> None:
        self.key = key
        self.inputs = list(inputs)

    def as_dict(self) -> Options:
        return {"key": self.key, "inputs": declarations(self.inputs)}


class _DynamicComboInput(Input):
    """A choice that brings inputs of its own."""

    def __init__(self, id: str, options: Sequence[Option], *args: Any, **more: Any) -> None:
        super().__init__(id, *args, **more)
        self.options = list(options)

    def as_dict(self) -> Options:
        return super().as_dict() | {"options": [option.as_dict() for option in self.options]}


class TemplatePrefix:
    """Members with a common prefix and a number."""

    def __init__(self, input: Input, prefix: str, min: int = 1, max: int = 10) -> None:
        self.input, self.prefix, self.min, self.max = input, prefix, min, max

    def as_dict(self) -> Options:
        shape = {"prefix": self.prefix, "min": self.min, "max": sorted((self.max, MOST_MEMBERS))[0]}
        return {"input": declarations([self.input]), **shape}


class TemplateNames:
    """Members with names."""

    def __init__(self, input: Input, names: Sequence[str], min: int = 1) -> None:
        self.input, self.names, self.min = input, list(names), min

    def as_dict(self) -> Options:
        return {"input": declarations([self.input]), "names": self.names[:MOST_MEMBERS], "min": self.min}


class _AutogrowInput(Input):
    """An input that becomes as many as are linked."""

    def __init__(self, id: str, template: TemplatePrefix | TemplateNames, *args: Any, **more: Any) -> None:
        super().__init__(id, *args, **more)
        self.template = template

    def as_dict(self) -> Options:
        return super().as_dict() | {"template": self.template.as_dict()}


class MatchTemplate:
    """A type that inputs and outputs of one node share, whatever it is."""

    def __init__(self, template_id: str, allowed_types: Any = None) -> None:
        self.template_id = template_id
        many = isinstance(allowed_types, (list, tuple))
        self.allowed_types = list(allowed_types) if many else [allowed_types or Custom("*")]

    def as_dict(self) -> Options:
        words = ",".join(str(kind.io_type) for kind in self.allowed_types)
        return {"template_id": self.template_id, "allowed_types": words}


class _MatchInput(Input):
    """An input of a shared type."""

    def __init__(self, id: str, template: MatchTemplate, *args: Any, **more: Any) -> None:
        super().__init__(id, *args, **more)
        self.template = template

    def as_dict(self) -> Options:
        return super().as_dict() | {"template": self.template.as_dict()}


class _MatchOutput(Output):
    """An output of a shared type."""

    def __init__(self, template: MatchTemplate, id: str | None = None, *args: Any, **more: Any) -> None:
        super().__init__(id, *args, **more)
        self.template = template


@comfytype(DYNAMIC_COMBO)
class DynamicCombo(ComfyTypeI):
    """A choice that brings inputs of its own."""

    Option: ClassVar[Any] = Option
    Input = _DynamicComboInput


@comfytype(AUTOGROW)
class Autogrow(ComfyTypeI):
    """An input that becomes as many as are linked."""

    TemplatePrefix: ClassVar[Any] = TemplatePrefix
    TemplateNames: ClassVar[Any] = TemplateNames
    Input = _AutogrowInput


@comfytype(MATCH_TYPE)
class MatchType(ComfyTypeIO):
    """A type shared by inputs and outputs."""

    Template: ClassVar[Any] = MatchTemplate
    Input = _MatchInput
    Output = _MatchOutput


EXPORTED: Final[Mapping[str, Any]] = {"DynamicCombo": DynamicCombo, "Autogrow": Autogrow, "MatchType": MatchType}
