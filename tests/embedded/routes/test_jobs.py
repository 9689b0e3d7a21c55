"""Jobs: queue and history in the shape that front end 1.58 checks strictly (spec section 3)."""

from typing import Any

import pytest

from comfyserve.embedded.prompts.history import History
from comfyserve.embedded.prompts.jobs import JobQuery, SortBy, find_job, list_jobs
from comfyserve.embedded.prompts.queue import PromptQueue, QueuedPrompt
from tests.embedded.conftest import Seat, happens
from tests.embedded.sample_nodes import Waits

SHOW = {"1": {"class_type": "Show", "inputs": {"value": "x"}}}
WAITS = {
    "1": {"class_type": "Waits", "inputs": {"value": 1}},
    "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
}
FAILS = {
    "1": {"class_type": "Fail", "inputs": {"value": 1}},
    "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
}
WORKFLOW = {"extra_pnginfo": {"workflow": {"id": "flow-7"}}, "api_key_comfy_org": "secret"}


def record(number: int, outputs: dict[str, Any], start: int = 0, end: int = 0) -> dict[str, Any]:
    messages = [["execution_start", {"timestamp": start}], ["execution_success", {"timestamp": end}]]
    return {
        "prompt": [number, f"p{number}", {}, {"create_time": 1000 + number}, []],
        "outputs": outputs,
        "status": {"status_str": "success", "completed": True, "messages": messages},
    }


@pytest.fixture
def history() -> History:
    made = History(10, 1_000_000)
    for number, seconds in ((1, 30), (2, 10), (3, 20)):
        made.add(f"p{number}", record(number, {}, 100, 100 + seconds), 1)
    return made


def ids(history: History, **query: Any) -> list[str]:
    return [job["id"] for job in list_jobs(PromptQueue(1, 1), history, JobQuery(**query))["jobs"]]


class TestLists:
    def test_the_newest_first(self, history: History) -> None:
        assert ids(history) == ["p3", "p2", "p1"]

    def test_by_duration(self, history: History) -> None:
        assert ids(history, sort_by=SortBy.EXECUTION_DURATION) == ["p1", "p3", "p2"]

    def test_pages(self, history: History) -> None:
        page = list_jobs(PromptQueue(1, 1), history, JobQuery(limit=2, offset=1))
        assert [job["id"] for job in page["jobs"]] == ["p2", "p1"]
        assert page["pagination"] == {"offset": 1, "limit": 2, "total": 3, "has_more": False}
        assert list_jobs(PromptQueue(1, 1), history, JobQuery(limit=2))["pagination"]["has_more"] is True

    def test_a_job_that_waits(self) -> None:
        queue = PromptQueue(1, 1)
        queue.put(QueuedPrompt(4, "p4", {}, {"create_time": 5, **WORKFLOW}, []))
        assert list_jobs(queue, History(1, 1), JobQuery())["jobs"] == [
            {
                "id": "p4",
                "status": "pending",
                "priority": 4,
                "create_time": 5,
                "outputs_count": 0,
                "workflow_id": "flow-7",
            }
        ]
        assert "secret" not in str(find_job(queue, History(1, 1), "p4"))

    @pytest.mark.parametrize(
        ("outputs", "count", "shown"),
        [
            ({}, 0, None),
            ({"1": {"text": ["a"]}}, 0, None),
            ({"1": {"images": [{"filename": "t.png", "type": "temp"}], "animated": [{"x": 1}]}}, 1, "t.png"),
            (
                {
                    "1": {"images": [{"filename": "t.png", "type": "temp"}]},
                    "2": {"audio": [{"filename": "o.flac", "type": "output"}]},
                },
                2,
                "o.flac",
            ),
            ({"1": {"gifs": [{"filename": "v.bin", "type": "output", "format": "video/mp4"}]}}, 1, "v.bin"),
            ({"1": {"3d": [{"filename": "M.GLB", "type": "output"}]}}, 1, "M.GLB"),
            ({"1": {"latents": [{"filename": "l.latent", "type": "output"}]}}, 1, None),
            ({"1": None, "2": {"images": "none", "video": [5]}}, 0, None),
        ],
    )
    def test_the_output_to_show(self, outputs: dict[str, Any], count: int, shown: str | None) -> None:
        history = History(1, 1_000_000)
        history.add("p1", record(1, outputs), 1)
        job = list_jobs(PromptQueue(1, 1), history, JobQuery())["jobs"][0]
        assert (job["outputs_count"], job.get("preview_output", {}).get("filename")) == (count, shown)
        if shown is not None:
            assert {"nodeId", "mediaType"} <= job["preview_output"].keys()


class TestRoutes:
    async def test_every_status(self, seat: Seat) -> None:
        await seat.run(SHOW, prompt_id="done")
        await seat.run(FAILS, prompt_id="failed", extra_data=WORKFLOW)
        Waits.started.clear()
        await seat.queue(WAITS, prompt_id="running")
        await happens(Waits.started)
        await seat.queue(SHOW, prompt_id="waiting")
        _, answer = await seat.call("GET", "/api/jobs")
        assert {job["id"]: job["status"] for job in answer["jobs"]} == {
            "done": "completed",
            "failed": "failed",
            "running": "in_progress",
            "waiting": "pending",
        }
        assert all(isinstance(job["create_time"], int) for job in answer["jobs"])
        failed = next(job for job in answer["jobs"] if job["id"] == "failed")
        assert failed["execution_error"].keys() >= {
            "node_id",
            "node_type",
            "exception_message",
            "exception_type",
            "traceback",
        }
        assert failed["workflow_id"] == "flow-7"
        _, answer = await seat.call("GET", "/api/jobs?status=pending,in_progress&limit=200&offset=-3")
        assert answer["pagination"] == {"offset": 0, "limit": 200, "total": 2, "has_more": False}
        _, answer = await seat.call("GET", "/api/jobs?workflow_id=flow-7&sort_by=created_at&sort_order=asc")
        assert [job["id"] for job in answer["jobs"]] == ["failed"]
        assert (await seat.call("POST", "/api/jobs/waiting/cancel"))[1] == {"cancelled": ["waiting"]}
        status, answer = await seat.call("POST", "/api/jobs/cancel", json={"job_ids": ["running", "none", "running"]})
        assert (status, answer) == (200, {"cancelled": ["running"]})
        await seat.events("running")
        _, answer = await seat.call("GET", "/api/jobs?status=cancelled")
        assert [job["id"] for job in answer["jobs"]] == ["running"]

    async def test_one_job_with_everything(self, seat: Seat) -> None:
        await seat.run(SHOW, prompt_id="done", extra_data=WORKFLOW)
        _, job = await seat.call("GET", "/api/jobs/done")
        assert job["execution_status"]["completed"] is True
        assert job["workflow"]["prompt"] == SHOW
        assert job["workflow"]["extra_data"]["extra_pnginfo"] == WORKFLOW["extra_pnginfo"]
        assert job["execution_end_time"] >= job["execution_start_time"] >= job["create_time"]
        assert "secret" not in str(job)
        assert (await seat.call("POST", "/api/jobs/done/cancel")) == (200, {"cancelled": []})
        assert (await seat.call("GET", "/api/jobs/none")) == (404, {"error": "Job not found"})

    @pytest.mark.parametrize(
        "query",
        ["status=done", "sort_by=x", "sort_order=up", "limit=0", "limit=-1", "limit=x", "offset=x", "offset=1.5"],
    )
    async def test_a_wrong_query_is_told(self, seat: Seat, query: str) -> None:
        status, answer = await seat.call("GET", f"/api/jobs?{query}")
        assert status == 400
        assert query.partition("=")[0] in answer["error"]
