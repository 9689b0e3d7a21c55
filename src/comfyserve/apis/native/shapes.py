"""Shapes that several nouns share."""

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from comfyserve.apis.http.answers import Json
from comfyserve.core.limits import MAX_INPUTS, MAX_NAME, MAX_NUMBER, MAX_TEXT
from comfyserve.services.records import MAX_PAGE, Page

T = TypeVar("T")
View = TypeVar("View")

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Number = Annotated[int, Field(ge=1, le=MAX_NUMBER, description="The number of a version, from 1.")]
Graph = Annotated[
    dict[str, Any],
    Field(description="A graph in the API form: node id -> class_type, inputs. The editor's form is converted."),
]
Values = Annotated[dict[str, Any], Field(max_length=MAX_INPUTS)]

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many items at most.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")]

DEFAULT_LIMIT = 50


def absent(value: Any) -> bool:
    """Whether an optional key is left out of the JSON."""
    return value is None


class Body(BaseModel):
    """What a caller sends; a key that we do not know is refused, for it is most likely a slip."""

    model_config = ConfigDict(extra="forbid")


class Shape(BaseModel):
    """What we answer."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Listed(Shape, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None


def listed(page: Page[View], shape: Callable[[View], Shape]) -> Json:
    """The answer of a list: each view of the page in its shape."""
    items = [shape(one) for one in page.items]
    return Json(Listed[Any].model_construct(items=items, next_cursor=page.next_cursor))


class GroupShape(Shape):
    """Inputs that a form shows together."""

    id: str
    title: str


class InputShape(Shape):
    """A value that callers may set. A number with `choices` is shown as a choice and sent as a number."""

    id: str
    kind: str
    label: str
    description: str
    default: Any
    node_ids: list[str]
    class_type: str
    minimum: float | int | None = Field(None, exclude_if=absent)
    maximum: float | int | None = Field(None, exclude_if=absent)
    step: float | int | None = Field(None, exclude_if=absent)
    choices: list[Any] | None = Field(None, exclude_if=absent)
    multiline: bool | None = Field(None, exclude_if=absent)
    group: GroupShape | None = Field(None, exclude_if=absent)


def input_shape(one: Any) -> InputShape:
    """The shape of a core Input."""
    return InputShape.model_construct(**one.as_dict())


class ErrorFacts(Shape):
    """What went wrong: a code for programs, a sentence for people, the place it is about."""

    code: str
    message: str
    place: dict[str, str] | None = Field(None, exclude_if=absent)
    details: dict[str, Any] | None = Field(None, exclude_if=absent)
    request_id: str


class ErrorShape(Shape):
    """Every error of the native API."""

    error: ErrorFacts


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorShape, "description": "The request cannot be done; `error.message` says what to change."},
    "5XX": {"model": ErrorShape, "description": "Our own failure; the log has the rest under `error.request_id`."},
}
