"""Answers: JSON as fast as it can be had, and the one format of a time."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, PlainSerializer, WithJsonSchema
from starlette.responses import Response

encoder = msgspec.json.Encoder()


def iso(moment: datetime) -> str:
    """`2026-11-22T10:00:00.123Z`, always three digits and always UTC; a naive time is taken as UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def iso_or_none(moment: datetime | None) -> str | None:
    """`iso`, for a time that may be missing."""
    return None if moment is None else iso(moment)


Timestamp = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str, when_used="always"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T10:00:00.123Z"]}),
]
"""A time in a shape; it is written by `iso`."""


class Json(Response):
    """JSON from a shape or from plain values, without FastAPI's second validation."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of a pydantic shape, or of plain values."""
        return to_json(content)


def to_json(content: Any) -> bytes:
    """UTF-8 JSON of a pydantic shape, or of plain values (dicts, lists, strings, numbers, None)."""
    if isinstance(content, BaseModel):
        return content.__pydantic_serializer__.to_json(content)
    return encoder.encode(content)
