"""Names in a caller's target: unique, stable, and never out of it."""

from hypothesis import given
from hypothesis import strategies as st

from comfyserve.work.collect.names import target_names

RUN = "run-1"


def test_the_run_then_the_folder_then_the_name() -> None:
    files = [("", "a.png"), ("video/x", "b.mp4"), ("", f"{RUN}_00001_.png")]
    assert target_names(RUN, files) == ["run-1_a.png", "run-1_video/x/b.mp4", "run-1_00001_.png"]


def test_equal_names_are_numbered_whatever_their_case() -> None:
    files = [("", "a.png"), ("", "A.png"), ("", "a_2.png"), ("x", "a.png")]
    assert target_names(RUN, files) == ["run-1_a.png", "run-1_A_2.png", "run-1_a_2_2.png", "run-1_x/a.png"]


def test_names_that_would_lead_elsewhere() -> None:
    files = [
        ("../..", "../x.png"),
        ("/etc", "pass?wd"),
        ("a//./b", "c\0d"),
        ("", ".."),
        ("d" * 300, "e" * 300 + ".png"),
    ]
    assert target_names(RUN, files) == [
        "run-1_x.png",
        "run-1_etc/pass_wd",
        "run-1_a/b/c_d",
        "run-1_output",
        f"run-1_{'d' * 150}/{'e' * 146}.png",
    ]


@given(st.lists(st.tuples(st.text(max_size=20), st.text(min_size=1, max_size=20)), max_size=8))
def test_whatever_an_engine_calls_its_files(files: list[tuple[str, str]]) -> None:
    names = target_names(RUN, files)
    assert len({name.lower() for name in names}) == len(files)
    for name in names:
        assert name.startswith(RUN)
        assert all(part not in ("", ".", "..") for part in name.split("/"))
        name.encode()


def test_an_id_is_put_before_the_names_that_do_not_begin_with_it() -> None:
    files = [("", "mine_red_00001_.png"), ("mine_video", "a.mp4"), ("", "linked_00001_.png"), ("x", "mine_1.png")]
    assert target_names("mine", files) == [
        "mine_red_00001_.png",
        "mine_video/a.mp4",
        "mine_linked_00001_.png",
        "mine_x/mine_1.png",
    ]
    assert target_names("a:b/c", [("a:b", "c_1.png")]) == ["a_b/c_1.png"]
    assert target_names("", [("x", "1.png")]) == ["x/1.png"]
