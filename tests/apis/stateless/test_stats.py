"""The `stats` of an answer, from the events of a run."""

from datetime import UTC, datetime, timedelta
from typing import Any

from comfyserve.apis.stateless.stats import stats_of
from comfyserve.core.runs import FactKind, Status
from comfyserve.services.postings import Snapshot
from comfyserve.services.records import EventView, RunView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = round(NOW.timestamp() * 1000)


def told(*events: tuple[float, FactKind, dict[str, Any]], status: Status = Status.SUCCESS, **facts: Any) -> Snapshot:
    """A run whose events happened so many seconds after it was queued."""
    seen = [
        EventView(seq, kind, NOW + timedelta(seconds=at), "a", Status.RUNNING, data)
        for seq, (at, kind, data) in enumerate(events)
    ]
    ended = NOW + timedelta(seconds=events[-1][0]) if events else None
    run = RunView(
        "r", "w", "k", status, "m", "stateless", "api", {}, 0, 1, 3, NOW, NOW,
        ended_at=ended, target=facts.get("target"),
    )  # fmt: skip
    return Snapshot(run, seen, {}, facts.get("memo", {}))


STORY: list[tuple[float, FactKind, dict[str, Any]]] = [
    (0.0, FactKind.SUBMITTED, {}),
    (0.1, FactKind.CLAIMED, {}),
    (0.6, FactKind.STAGED, {"seconds": 0.5}),
    (1.0, FactKind.STARTED, {}),
    (1.0, FactKind.NODE_STARTED, {"node_id": "1"}),
    (1.5, FactKind.NODE_STARTED, {"node_id": "9"}),
    (1.75, FactKind.NODE_STARTED, {"node_id": "1"}),
    (3.0, FactKind.EXECUTED, {}),
    (3.25, FactKind.SUCCEEDED, {}),
]


def test_both_forms_of_the_execution_and_times_that_add_up() -> None:
    stats = stats_of(told(*STORY, memo={"received": START - 40}))
    whole = {"start": START + 1000, "end": START + 3000, "duration": 2000}
    assert stats == {
        "comfy_execution": {
            **whole,
            "total": whole,
            "nodes": {"1": {"start": START + 1000}, "9": {"start": START + 1500}},
        },
        "preprocess_time": 540,
        "comfy_round_trip_time": 2500,
        "postprocess_time": 250,
        "upload_time": 0,
        "total_time": 3290,
    }


def test_what_is_left_at_the_end_is_the_upload_where_there_is_one() -> None:
    stats = stats_of(told(*STORY, target={"type": "s3"}))
    assert stats is not None
    assert (stats["postprocess_time"], stats["upload_time"]) == (0, 250)


def test_only_the_last_attempt_counts() -> None:
    lost = [(0.05, FactKind.CLAIMED, {}), (0.06, FactKind.STARTED, {}), (0.07, FactKind.NODE_STARTED, {"node_id": "7"})]
    stats = stats_of(told(STORY[0], *lost, (0.08, FactKind.LOST, {}), *STORY[1:]))
    assert stats is not None
    assert stats["comfy_execution"]["start"] == START + 1000
    assert stats["comfy_execution"]["nodes"].keys() == {"1", "9"}


def test_a_run_that_did_not_succeed_has_none() -> None:
    assert stats_of(told(*STORY, status=Status.FAILED)) is None
    assert stats_of(told(*STORY[:5])) is None
    assert stats_of(told()) is None


def test_clocks_that_disagree_give_no_negative_time() -> None:
    stats = stats_of(told(*STORY, memo={"received": START + 99_000}))
    assert stats is not None
    assert (stats["preprocess_time"], stats["total_time"]) == (500, 3250)
