"""The field mapping of a JSON workflow: which field of `input` goes to which input of which node.

inputs:
  prompt: {node: "6", input: text, description: What to paint, required: true}
  width:  {node: "5", input: width, min: 256, max: 2048}        # type and default are those of the graph
  seed:   {to: ["3.seed", "11.noise_seed"], type: seed}         # a random one unless given
  checkpoint: {node: "4", input: ckpt_name, type: model, folder: checkpoints}
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import SchemaError

from comfyserve.core.graph import Graph, as_link
from comfyserve.workflows.authors import MAX_SEED, ctx, random_seed
from comfyserve.workflows.errors import Unreadable

MAX_FIELDS = 1_000
ABSENT: Any = object()

TypeName = Literal[
    "string", "integer", "number", "boolean", "seed", "sampler", "scheduler", "model", "image", "video", "audio",
    "file", "object", "array", "any",
]  # fmt: skip


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _same(value: Any) -> Any:
    return value


TEXT = (str, ())
WHOLE = (int, (BeforeValidator(_whole),))
REAL = (float, (AfterValidator(_whole), PlainSerializer(_same, return_type=Any)))

TYPES: Mapping[str, tuple[Any, tuple[Any, ...]]] = {
    "string": TEXT,
    "integer": WHOLE,
    "number": REAL,
    "boolean": (bool, ()),
    "seed": WHOLE,
    "sampler": (ctx.Sampler, ()),
    "scheduler": (ctx.Scheduler, ()),
    "image": TEXT,
    "video": TEXT,
    "audio": TEXT,
    "file": TEXT,
    "object": (dict[str, Any], ()),
    "array": (list[Any], ()),
    "any": (Any, ()),
}
"""Type in a mapping -> what is accepted, and what is done around it: whole numbers may be written as 512.0, and a
number keeps its form. Images and other media are URLs or base64, as everywhere in this API."""

STRICT = frozenset({str, int, float, bool})
SEED_BOUNDS: Mapping[str, Any] = {"ge": 0, "le": MAX_SEED}

LITERALS: tuple[tuple[type, TypeName], ...] = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))
"""Type of the literal in the graph -> type of a field that names none."""


class FieldMapping(BaseModel):
    """One field: where it goes, and what is accepted."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    node: str = ""
    input: str = ""
    to: list[str] = []
    type: TypeName | None = None
    description: str = ""
    default: Any = None
    required: bool = False
    enum: list[Any] | None = None
    min: float | None = None
    max: float | None = None
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)
    pattern: str | None = None
    folder: str = ""


class WorkflowMapping(BaseModel):
    """What stands beside a graph."""

    model_config = ConfigDict(extra="forbid")

    summary: str = ""
    description: str = ""
    inputs: dict[str, FieldMapping] = Field(default={}, max_length=MAX_FIELDS)


@dataclass(frozen=True)
class MappedField:
    """A field with the places (node id, input) that take its value."""

    name: str
    places: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mapped:
    """A mapping that fits its graph: the model of its inputs, and where each goes."""

    model: type[BaseModel]
    fields: tuple[MappedField, ...]


def read_mapping(raw: Mapping[str, Any]) -> WorkflowMapping:
    """Read what stands beside a graph. Raises Unreadable with the place."""
    try:
        return WorkflowMapping.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        known = f" Known: {', '.join(FieldMapping.model_fields)}." if first["type"] == "extra_forbidden" else ""
        raise Unreadable(f"{place}: {first['msg']}.{known}") from error


def fit(mapping: WorkflowMapping, graph: Graph) -> Mapped:
    """Join a mapping to its graph. Raises Unreadable when it names what the graph does not have."""
    fields = tuple(MappedField(name, tuple(_places(name, one, graph))) for name, one in mapping.inputs.items())
    pairs = zip(fields, mapping.inputs.values(), strict=True)
    made: dict[str, Any] = {f"field_{number}": _field(field, one, graph) for number, (field, one) in enumerate(pairs)}
    model: type[BaseModel] = create_model("Input", **made)
    return Mapped(model, fields)


def _places(name: str, one: FieldMapping, graph: Graph) -> Iterable[tuple[str, str]]:
    addresses = [*one.to, *([f"{one.node}.{one.input}"] if one.node or one.input else [])]
    if not addresses:
        raise Unreadable(
            f"inputs.{name} goes nowhere. Give it `node` and `input`, or `to` with a list of `node.input`."
        )
    for address in addresses:
        node_id, _, key = address.partition(".")
        node = graph.nodes.get(node_id)
        if node is None:
            raise Unreadable(f"inputs.{name}: the graph has no node {node_id!r}.")
        if not key:
            raise Unreadable(f"inputs.{name}: {address!r} names no input. Write `node.input`.")
        yield node_id, key


def _field(field: MappedField, one: FieldMapping, graph: Graph) -> tuple[Any, Any]:
    node_id, key = field.places[0]
    saved = graph.nodes[node_id].inputs.get(key, ABSENT)
    saved = ABSENT if as_link(saved) is not None else saved
    kind = one.type or _kind(field.name, saved)
    accepted = _accepted(field.name, one, kind)
    default = one.default if "default" in one.model_fields_set else saved
    about: dict[str, Any] = {"alias": field.name, "description": one.description or None}
    if one.required:
        return accepted, Field(**about)
    if kind == "seed" and "default" not in one.model_fields_set:
        return accepted, Field(default_factory=random_seed, **about)
    if kind == "model":
        known = one.default if "default" in one.model_fields_set else None
        return accepted, Field(default=known, **about)
    if default is ABSENT:
        return accepted, Field(**about)
    if default is None:
        return accepted | None, Field(default=None, **about)
    _check_default(field.name, accepted, default, kind)
    return accepted, Field(default=default, **about)


def _kind(name: str, saved: Any) -> TypeName:
    for literal, kind in LITERALS:
        if isinstance(saved, literal):
            return kind
    if saved is ABSENT:
        raise Unreadable(f"inputs.{name}: give it a `type`, since the graph has no value there.")
    return "any"


def _accepted(name: str, one: FieldMapping, kind: TypeName) -> Any:
    if kind == "model":
        if not one.folder:
            raise Unreadable(f"inputs.{name}: a model needs a `folder`, such as checkpoints.")
        return ctx.Model(one.folder)
    if one.enum is not None:
        if not one.enum or not all(isinstance(value, str | int | float) for value in one.enum):
            raise Unreadable(f"inputs.{name}: `enum` is a list of texts or numbers, with one at least.")
        return Literal[tuple(one.enum)]
    base, around = TYPES[kind]
    kept = (Strict(),) if base in STRICT else ()
    accepted: Any = Annotated[(base, *kept, Field(**_bounds(one, kind)), *around)]
    _try(name, lambda: TypeAdapter(accepted))
    return accepted


def _bounds(one: FieldMapping, kind: TypeName) -> dict[str, Any]:
    given = {
        "ge": one.min,
        "le": one.max,
        "min_length": one.min_length,
        "max_length": one.max_length,
        "pattern": one.pattern,
    }
    bounds: dict[str, Any] = {key: _whole(value) for key, value in given.items() if value is not None}
    if kind == "number":
        bounds["allow_inf_nan"] = False
    return {**SEED_BOUNDS, **bounds} if kind == "seed" else bounds


def _check_default(name: str, accepted: Any, default: Any, kind: TypeName) -> None:
    if kind not in ("sampler", "scheduler"):
        _try(name, lambda: TypeAdapter(accepted).validate_python(default))


def _try(name: str, use: Callable[[], Any]) -> None:
    try:
        use()
    except ValidationError as error:
        raise Unreadable(f"inputs.{name}: its default does not fit: {error.errors()[0]['msg']}.") from error
    except (SchemaError, TypeError, ValueError) as error:
        raise Unreadable(f"inputs.{name}: these bounds do not fit its type.") from error
