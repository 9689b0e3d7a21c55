"""The declaration of a V3 node and what its class offers to the engine in V1 words."""

# ComfyUI's names.
# ruff: noqa: N802
from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from comfyserve.embedded.comfy_modules.comfy_api.latest._fields import Input, Output, declaration

Method = TypeVar("Method", bound=Callable[..., Any])


class Hidden(StrEnum):
    """Values that a node may ask for without an input."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"


class HiddenHolder:
    """The hidden values of one call; those not asked for are None."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def __getattr__(self, name: str) -> Any:
        return None

    @classmethod
    def from_dict(cls, values: Mapping[Any, Any] | None) -> HiddenHolder:
        return cls(**{getattr(name, "name", name): value for name, value in (values or {}).items()})


@dataclass
class Schema:
    """What a node is. Options of newer ComfyUI releases are taken; the engine has no use for some of them."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] | None = None
    outputs: list[Output] | None = None
    hidden: list[Hidden] | None = None
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False
    search_aliases: list[str] = field(default_factory=list)
    essentials_category: str | None = None
    has_intermediate_output: bool = False
    is_dev_only: bool = False
    accept_all_inputs: bool = False
    price_badge: Any = None

    def validate(self) -> None:
        """ValueError when two inputs, two outputs, or an input and an output have the same id."""
        ids = [one.id for one in (*(self.inputs or ()), *(self.outputs or ()))]
        twice = sorted(str(name) for name, count in Counter(ids).items() if count > 1)
        if twice:
            raise ValueError(f"{self.node_id} has several inputs or outputs with the id {', '.join(twice)}")

    def finalize(self) -> None:
        """Ask for the hidden values that output and API nodes need, and give every output an id."""
        wanted = [Hidden.auth_token_comfy_org, Hidden.api_key_comfy_org] if self.is_api_node else []
        wanted += [Hidden.prompt, Hidden.extra_pnginfo] if self.is_output_node else []
        missing = [one for one in wanted if one not in (self.hidden or ())]
        if missing:
            self.hidden = [*(self.hidden or ()), *missing]
        for index, output in enumerate(self.outputs or ()):
            if output.id is None:
                output.id = f"_{index}_{output.io_type}_"

    def input_types(self) -> dict[str, dict[str, Any]]:
        """The inputs as INPUT_TYPES declares them."""
        declared: dict[str, dict[str, Any]] = {"required": {}}
        for one in self.inputs or ():
            category = "optional" if one.optional else "required"
            declared.setdefault(category, {})[one.id] = declaration(one)
        if self.hidden:
            declared["hidden"] = {one.name: (one.value,) for one in self.hidden}
        return declared


class _OfClass:
    """A class attribute that is asked for when it is read."""

    def __init__(self, read: Callable[[type[ComfyNode]], Any]) -> None:
        self._read = read

    def __get__(self, instance: object, owner: type[ComfyNode]) -> Any:
        return self._read(owner)


def _of_schema(read: Callable[[Schema], Any]) -> _OfClass:
    return _OfClass(lambda cls: read(cls.GET_SCHEMA()))


def _each(read: Callable[[Output], Any]) -> _OfClass:
    return _of_schema(lambda schema: [read(output) for output in schema.outputs or ()])


def _of_base_class(method: Method) -> Method:
    """Marks a method that a node need not have."""
    method.of_base_class = True  # type: ignore[attr-defined]  # a mark that packs.v3 looks for
    return method


class ComfyNode:
    """A V3 node: class methods define_schema and execute; the others are optional."""

    RELATIVE_PYTHON_MODULE: ClassVar[str | None] = None
    SCHEMA: ClassVar[Schema | None] = None
    hidden: ClassVar[Any] = HiddenHolder()
    resources: ClassVar[Any] = None

    @classmethod
    def define_schema(cls) -> Schema:
        """The declaration."""
        raise NotImplementedError(f"{cls.__name__} has no define_schema")

    @classmethod
    def execute(cls, **inputs: Any) -> Any:
        """The node's work."""
        raise NotImplementedError(f"{cls.__name__} has no execute")

    @classmethod
    @_of_base_class
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        """True, or what is wrong with the literals."""
        return True

    @classmethod
    @_of_base_class
    def fingerprint_inputs(cls, **inputs: Any) -> Any:
        """A value that is another one when the node has to run again."""
        return None

    @classmethod
    @_of_base_class
    def check_lazy_status(cls, **inputs: Any) -> list[str]:
        """The names of lazy inputs that are needed: here all that are missing."""
        return [name for name, value in inputs.items() if value is None]

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The checked declaration, made once. ValueError when it contradicts itself."""
        schema: Schema | None = cls.__dict__.get("SCHEMA")
        if schema is None:
            schema = cls.SCHEMA = cls.FINALIZE_SCHEMA()
            schema.validate()
        return schema

    @classmethod
    def FINALIZE_SCHEMA(cls) -> Schema:
        """The declaration, made anew: choices may have changed."""
        schema = cls.define_schema()
        schema.finalize()
        return schema

    @classmethod
    def VALIDATE_CLASS(cls) -> None:
        """Raises what the declaration raises."""
        cls.GET_SCHEMA()

    @classmethod
    def GET_BASE_CLASS(cls) -> type[ComfyNode]:
        return ComfyNode

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        return cls.FINALIZE_SCHEMA().input_types()

    @classmethod
    def PREPARE_CLASS_CLONE(cls, hidden_inputs: Mapping[Any, Any] | None) -> type[ComfyNode]:
        """A class of one call's own, with its hidden values."""
        return type(cls.__name__, (cls,), {"hidden": HiddenHolder.from_dict(hidden_inputs), "SCHEMA": cls.SCHEMA})

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args: Any, **inputs: Any) -> Any:
        return cls.execute(*args, **inputs)

    @classmethod
    async def EXECUTE_NORMALIZED_ASYNC(cls, *args: Any, **inputs: Any) -> Any:
        return await cls.execute(*args, **inputs)

    FUNCTION: ClassVar[Any] = _OfClass(
        lambda cls: "EXECUTE_NORMALIZED_ASYNC" if inspect.iscoroutinefunction(cls.execute) else "EXECUTE_NORMALIZED"
    )
    DESCRIPTION: ClassVar[Any] = _of_schema(lambda schema: schema.description)
    CATEGORY: ClassVar[Any] = _of_schema(lambda schema: schema.category)
    EXPERIMENTAL: ClassVar[Any] = _of_schema(lambda schema: schema.is_experimental)
    DEPRECATED: ClassVar[Any] = _of_schema(lambda schema: schema.is_deprecated)
    API_NODE: ClassVar[Any] = _of_schema(lambda schema: schema.is_api_node)
    OUTPUT_NODE: ClassVar[Any] = _of_schema(lambda schema: schema.is_output_node)
    INPUT_IS_LIST: ClassVar[Any] = _of_schema(lambda schema: schema.is_input_list)
    NOT_IDEMPOTENT: ClassVar[Any] = _of_schema(lambda schema: schema.not_idempotent)
    RETURN_TYPES: ClassVar[Any] = _each(lambda output: output.io_type)
    RETURN_NAMES: ClassVar[Any] = _each(lambda output: output.display_name or output.io_type)
    OUTPUT_IS_LIST: ClassVar[Any] = _each(lambda output: output.is_output_list)
    OUTPUT_TOOLTIPS: ClassVar[Any] = _each(lambda output: output.tooltip or None)


class UIOutput:
    """What a node shows."""

    def as_dict(self) -> dict[str, Any]:
        """The UI object."""
        raise NotImplementedError


class NodeOutput:
    """What a node gives: its outputs in order, what it shows, the nodes it expands into, or why it blocks."""

    def __init__(
        self,
        *args: Any,
        ui: UIOutput | dict[str, Any] | None = None,
        expand: dict[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        return self.args or None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeOutput:
        """From what a V1 function returns."""
        result: Iterable[Any] = data.get("result") or ()
        return cls(*result, ui=data.get("ui"), expand=data.get("expand"))

    def __getitem__(self, index: int) -> Any:
        return self.args[index]
