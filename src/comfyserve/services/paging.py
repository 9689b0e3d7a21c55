"""Cursors: where the next page begins, as opaque text."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.services.records import MAX_PAGE, Page

Row = TypeVar("Row")
View = TypeVar("View")

MAX_CURSOR = 200
MAX_NUMBER = 2**63
"""No number in the database is as large."""


def page_of(
    rows: Sequence[Row], limit: int, view: Callable[[Row], View], place: Callable[[Row], Sequence[str | int]]
) -> Page[View]:
    """A page from `limit` + 1 rows: the one too many says that there is a next page. `place` is a row's place."""
    more = len(rows) > limit
    shown = rows[:limit]
    return Page([view(row) for row in shown], write_cursor(place(shown[-1])) if more and shown else None)


def check_limit(limit: int) -> int:
    """A page size from 1 to MAX_PAGE. Raises InvalidInput."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit must be from 1 to {MAX_PAGE}.", place=Place(field="limit"))
    return limit


def write_cursor(place: Sequence[str | int]) -> str:
    """A cursor for a place in a list."""
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode().rstrip("=")


def read_number(cursor: str | None) -> int | None:
    """The place of a list that is ordered by a number. Raises InvalidInput."""
    if cursor is None:
        return None
    match _read(cursor):
        case [int(number)] if not isinstance(number, bool) and 0 <= number < MAX_NUMBER:
            return number
        case _:
            raise _refused()


def read_moment(cursor: str | None) -> tuple[datetime, str] | None:
    """The place of a list that is ordered by time and id. Raises InvalidInput."""
    if cursor is None:
        return None
    match _read(cursor):
        case [str(moment), str(row_id)] if row_id.isascii():
            return _moment(moment), row_id
        case _:
            raise _refused()


def _read(cursor: str) -> Any:
    if len(cursor) > MAX_CURSOR:
        raise _refused()
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _refused() from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _refused() from error
    raise _refused()


def _refused() -> InvalidInput:
    return InvalidInput(
        "The cursor is not one of ours; take next_cursor of the page before.", place=Place(field="cursor")
    )
