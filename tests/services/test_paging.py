"""Cursors come back from callers as anything at all."""

from datetime import UTC, datetime

import pytest

from comfyserve.core.errors import InvalidInput
from comfyserve.services.paging import read_moment, read_number, write_cursor

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_place_is_read_again() -> None:
    assert read_number(write_cursor([7])) == 7
    assert read_moment(write_cursor([NOW.isoformat(), "id"])) == (NOW, "id")
    assert read_number(None) is None
    assert read_moment(None) is None


@pytest.mark.parametrize("number", [2**63, 10**150, -1, True, 1.5, "1"])
def test_what_is_no_number_of_the_database_is_refused(number: int | str) -> None:
    with pytest.raises(InvalidInput):
        read_number(write_cursor([number]))


@pytest.mark.parametrize(
    ("moment", "row_id"),
    [
        ("2026-01-01T00:00:00", "id"),
        ("0001-01-01T00:00:00+14:00", "id"),
        ("9999-12-31T23:59:59-14:00", "id"),
        ("soon", "id"),
        (NOW.isoformat(), "\ud800"),
    ],
)
def test_what_is_no_moment_of_the_database_is_refused(moment: str, row_id: str) -> None:
    with pytest.raises(InvalidInput):
        read_moment(write_cursor([moment, row_id]))
