"""Column types that mean the same on SQLite and on Postgres."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite keeps it without the zone, so that text order is time order."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes: their meaning is a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("Times are stored in UTC; give a datetime with a time zone.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


Json = JSON(none_as_null=True)
"""A JSON value; Python's None is SQL's NULL."""

Serial = BigInteger().with_variant(Integer(), "sqlite")
"""A number given by the database; SQLite counts only in a column called INTEGER."""


def dump_json(value: Any) -> str:
    """Compact JSON in ASCII, so that half a surrogate pair can be kept.

    What callers send is checked before; what engines tell is kept at any price: NaN and infinities become text.
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
