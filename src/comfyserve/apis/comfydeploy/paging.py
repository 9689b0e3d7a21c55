"""`limit` and `offset` (section 1.5) over lists that have cursors."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Query

from comfyserve.core.limits import MAX_NAME
from comfyserve.services.records import MAX_PAGE, Page

T = TypeVar("T")

MAX_ROWS = 10_000
DEFAULT_LIMIT = 100

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=MAX_ROWS)]
Search = Annotated[str, Query(max_length=MAX_NAME)]


async def window(
    page: Callable[[str | None, int], Awaitable[Page[T]]],
    *,
    limit: int,
    offset: int = 0,
    keep: Callable[[T], bool] = lambda item: True,
) -> list[T]:
    """`limit` items after `offset` of those that `keep` takes; `page` gives one page for a cursor and a size."""
    found: list[T] = []
    cursor: str | None = None
    for _ in range(MAX_ROWS // MAX_PAGE + 1):
        part = await page(cursor, MAX_PAGE)
        found += [item for item in part.items if keep(item)]
        cursor = part.next_cursor
        if cursor is None or len(found) >= offset + limit:
            break
    return found[offset : offset + limit]
