"""Inputs described by a Pydantic model: read, shown as JSON Schema and as a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from pydantic import BaseModel, PydanticSchemaGenerationError, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from comfyserve.core.errors import InvalidInput
from comfyserve.workflows.names import Surroundings, within
from comfyserve.workflows.table import Row, rows_of
from comfyserve.workflows.wrong import from_pydantic, invalid, kind_of, reason_of

MAX_DEPTH = 64


class ParsedInput(dict[str, Any]):
    """A parsed input as JSON, with the model that it came from."""

    model: BaseModel | None = None


class InputModel:
    """A model of inputs, read within the surroundings of a moment."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def read(self, given: Any, around: Surroundings) -> ParsedInput:
        """The parsed input. Raises InvalidInput with the place of what is wrong."""
        if not isinstance(given, Mapping):
            raise invalid([((), f"Expected object, received {kind_of(given)}")])
        with within(around):
            parsed = self.instance(given)
            try:
                told = ParsedInput(parsed.model_dump(mode="json", by_alias=True))
            except Exception as error:  # an author's serializer may raise anything
                raise invalid([((), f"The input cannot be shown as JSON: {reason_of(error)}")]) from error
        told.model = parsed
        return told

    def instance(self, given: Mapping[str, Any]) -> BaseModel:
        """The model filled with an input. Raises InvalidInput."""
        try:
            return self.model.model_validate(given)
        except ValidationError as error:
            raise from_pydantic(error, self.names()) from error
        except InvalidInput:
            raise
        except Exception as error:  # an author's validator may raise anything
            raise invalid([((), reason_of(error))]) from error

    def names(self) -> Iterator[str]:
        """The names that callers use for the fields."""
        for name, field in self.model.model_fields.items():
            yield field.alias or name

    def schema(self, around: Surroundings) -> dict[str, Any]:
        """The JSON Schema; an open object where Pydantic cannot make one."""
        with within(around):
            try:
                return self.model.model_json_schema(by_alias=True)
            except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError):
                return {"type": "object"}

    def rows(self, around: Surroundings) -> list[Row]:
        """The rows of the table of inputs."""
        return rows_of(self.schema(around), dict(self._factories()))

    def _factories(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        for name, field in self.model.model_fields.items():
            if field.default_factory is not None and not field.default_factory_takes_validated_data:
                yield field.alias or name, field.default_factory  # type: ignore[misc]  # it takes no argument


def plain_json(value: Any, depth: int = 0) -> Any:
    """What a function gave, as JSON values: tuples are lists, keys are strings, models and enums are their values.
    Raises ValueError that names what JSON cannot hold."""
    if depth > MAX_DEPTH:
        raise ValueError("the graph is nested too deeply")
    if value is None or (isinstance(value, str | bool | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return plain_json(value.value, depth + 1)
    if isinstance(value, BaseModel):
        return plain_json(value.model_dump(mode="json", by_alias=True), depth + 1)
    if isinstance(value, Mapping):
        return {str(key): plain_json(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain_json(inner, depth + 1) for inner in value]
    raise ValueError(f"a {type(value).__name__} cannot stand in a graph; give text, numbers, lists and objects")


def as_graph(value: Any) -> dict[str, Any]:
    """A function's graph as JSON. Raises ValueError for anything else than an object."""
    graph = plain_json(value)
    if not isinstance(graph, dict):
        raise ValueError(f"it gave {kind_of(graph)} and no graph; return an object that maps node ids to nodes")
    return graph
