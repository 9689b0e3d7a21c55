from itertools import count

import pytest

from comfyserve.embedded.media.select import Selection


def chosen(selection: Selection, frames: int, fps: float) -> list[int]:
    return list(selection.of(range(frames), fps))


def test_without_wishes_every_frame_comes() -> None:
    assert chosen(Selection(), 5, 24) == [0, 1, 2, 3, 4]


def test_a_lower_rate_drops_frames_and_a_higher_one_repeats_them() -> None:
    assert chosen(Selection(rate=8), 12, 24) == [0, 3, 6, 9]
    assert chosen(Selection(rate=20), 3, 10) == [0, 1, 1, 2, 2]


def test_skipping_and_every_nth_count_frames_of_the_new_rate_and_the_cap_comes_last() -> None:
    assert chosen(Selection(rate=8, skip=1, nth=2), 24, 24) == [3, 9, 15, 21]
    assert chosen(Selection(skip=2, nth=3, cap=2), 20, 24) == [2, 5]


def test_no_more_frames_are_asked_for_than_needed() -> None:
    endless = count()
    assert list(Selection(cap=2).of(endless, 24)) == [0, 1]
    assert next(endless) == 2


@pytest.mark.parametrize(
    ("selection", "frames", "fps"),
    [(Selection(), 30, 10.0), (Selection(skip=4, nth=3), 31, 10.0), (Selection(rate=5, cap=7, skip=2), 90, 30.0)],
)
def test_the_expected_number_is_the_number(selection: Selection, frames: int, fps: float) -> None:
    assert selection.expected(frames, fps) == len(chosen(selection, frames, fps))
