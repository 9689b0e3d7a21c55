"""A run told in ComfyDeploy's stream goes forward only, and names what executes by its class."""

from datetime import UTC, datetime
from typing import Any

from comfyserve.apis.comfydeploy.stream import Story
from comfyserve.core.runs import FactKind, Status
from comfyserve.services.records import EventView
from comfyserve.services.watch import Progress


def _started(node_id: str, class_type: str) -> EventView:
    data = {"node_id": node_id, "class_type": class_type, "index": 1, "total": 2}
    return EventView(1, FactKind.NODE_STARTED, datetime(2026, 1, 1, tzinfo=UTC), "a", Status.RUNNING, data)


def _live(messages: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, float]]:
    found = [data["data"] for _, data in messages if data.get("event") == "live_status"]
    return [(status["live_status"], status["progress"]) for status in found]


def test_progress_never_goes_back_and_nodes_have_names() -> None:
    story = Story("run", {})
    told = [
        *story.told(_started("24", "KSampler")),
        *story.told(Progress("24", 10, 20, 0.43)),
        *story.told(_started("25", "VAEDecode")),
        *story.told(Progress("25", 0, 1, 0.9)),
    ]
    assert _live(told) == [
        ("Executing KSampler", 0.0),
        ("Executing KSampler", 0.43),
        ("Executing VAEDecode", 0.43),
        ("Executing VAEDecode", 0.9),
    ]
