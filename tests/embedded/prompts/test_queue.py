"""Order, bounds and bookkeeping of waiting prompts and finished ones (spec section 3)."""

import pytest

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.prompts.history import History
from comfyserve.embedded.prompts.queue import PromptQueue, QueuedPrompt, QueueFull
from comfyserve.embedded.settings import ServerSettings
from tests.embedded.conftest import Seat, happens, serve
from tests.embedded.sample_nodes import Waits

WAITS = {
    "1": {"class_type": "Waits", "inputs": {"value": 1}},
    "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
}
SHOW = {"1": {"class_type": "Show", "inputs": {"value": "x"}}}


def prompt(number: float, prompt_id: str, size: int = 1) -> QueuedPrompt:
    return QueuedPrompt(number, prompt_id, {}, {}, [], size)


async def occupy(seat: Seat) -> str:
    Waits.started.clear()
    prompt_id = await seat.queue(WAITS)
    await happens(Waits.started)
    return prompt_id


class TestQueue:
    def test_smallest_number_first_then_the_id(self) -> None:
        queue = PromptQueue(10, 100)
        for number, prompt_id in [(2, "c"), (1, "b"), (1, "a"), (-5, "front"), (1, "a")]:
            queue.put(prompt(number, prompt_id))
        taken = [queue.take() for _ in range(5)]
        assert [one.prompt_id for one in taken if one is not None] == ["front", "a", "a", "b", "c"]

    def test_it_is_bounded_in_number_and_bytes(self) -> None:
        queue = PromptQueue(2, 10)
        queue.put(prompt(1, "a", 8))
        with pytest.raises(QueueFull, match="10 bytes"):
            queue.put(prompt(2, "b", 8))
        queue.put(prompt(2, "b", 2))
        with pytest.raises(QueueFull, match="2 prompts"):
            queue.put(prompt(3, "c", 0))
        queue.delete(["a"])
        queue.put(prompt(3, "c", 8))

    def test_each_delete_removes_one(self) -> None:
        queue = PromptQueue(10, 100)
        for number in range(3):
            queue.put(prompt(number, "same"))
        queue.delete(["same", "unknown"])
        assert queue.remaining() == 2
        queue.clear()
        assert queue.remaining() == 0

    def test_stop_wakes_the_one_that_waits(self) -> None:
        queue = PromptQueue(1, 1)
        queue.stop()
        assert queue.take() is None


class TestHistory:
    @pytest.fixture
    def history(self) -> History:
        made = History(5, 100)
        for i in range(5):
            made.add(f"p{i}", {"n": i}, 10)
        return made

    @pytest.mark.parametrize(
        ("max_items", "offset", "expected"),
        [(2, -1, "34"), (2, 1, "12"), (None, 3, "34"), (None, -1, "01234"), (9, -1, "01234"), (0, -1, "")],
    )
    def test_pages(self, history: History, max_items: int | None, offset: int, expected: str) -> None:
        assert "".join(str(record["n"]) for record in history.page(max_items, offset).values()) == expected

    def test_the_oldest_make_room(self, history: History) -> None:
        history.add("p5", {"n": 5}, 10)
        assert history.get("p0") == {}
        history.add("big", {"n": 6}, 90)
        assert list(history.page()) == ["p5", "big"]

    def test_the_same_id_overwrites(self, history: History) -> None:
        history.add("p1", {"n": 99}, 10)
        assert history.get("p1") == {"p1": {"n": 99}}
        assert len(history.page()) == 5


class TestRoutes:
    async def test_the_queue_is_shown_and_emptied(self, seat: Seat) -> None:
        running = await occupy(seat)
        await seat.queue(SHOW, prompt_id="w1")
        await seat.queue(SHOW, prompt_id="w2", front=True)
        _, shown = await seat.call("GET", "/queue")
        assert [item[1] for item in shown["queue_running"]] == [running]
        assert [item[:2] for item in shown["queue_pending"]] == [[-2, "w2"], [1, "w1"]]
        assert len(shown["queue_pending"][0]) == 5
        assert (await seat.call("GET", "/prompt"))[1] == {"exec_info": {"queue_remaining": 3}}
        assert (await seat.call("POST", "/queue", json={"delete": ["w1", "unknown"]})) == (200, b"")
        assert (await seat.call("POST", "/queue", json={"clear": True})) == (200, b"")
        assert (await seat.call("GET", "/prompt"))[1] == {"exec_info": {"queue_remaining": 1}}
        await seat.call("POST", "/interrupt")
        await seat.events(running)

    async def test_front_goes_before_number_and_the_counter_counts_refusals(self, seat: Seat) -> None:
        running = await occupy(seat)
        await seat.call("POST", "/prompt", json={"prompt": {}})
        _, later = await seat.submit(SHOW, prompt_id="later")
        _, given = await seat.submit(SHOW, prompt_id="given", number="3.5")
        _, front = await seat.submit(SHOW, prompt_id="front", front=True)
        assert [answer["number"] for answer in (later, given, front)] == [2, 3.5, -3]
        await seat.call("POST", "/interrupt")
        await seat.events(running)
        events = await seat.events("given")
        started = [data["prompt_id"] for name, data in events if name == "execution_start"]
        assert started == ["front", "later", "given"]

    async def test_a_full_queue_is_told(self, folders: Folders) -> None:
        async with serve(folders, ServerSettings(queue_length=1)) as seat:
            running = await occupy(seat)
            await seat.queue(SHOW, prompt_id="waiting")
            status, answer = await seat.submit(SHOW)
            assert (status, answer["error"]["type"]) == (429, "queue_full")
            await seat.call("POST", "/interrupt")
            await seat.events(running)

    async def test_history_routes(self, seat: Seat) -> None:
        for i in range(3):
            await seat.run(SHOW, prompt_id=f"h{i}")
        assert list((await seat.call("GET", "/history?max_items=2"))[1]) == ["h1", "h2"]
        assert list((await seat.call("GET", "/api/history?max_items=1&offset=0"))[1]) == ["h0"]
        assert (await seat.call("GET", "/history?max_items=x"))[0] == 400
        assert (await seat.call("GET", "/history/unknown")) == (200, {})
        assert (await seat.call("POST", "/history", json={"delete": ["h0"]})) == (200, b"")
        assert list((await seat.call("GET", "/history"))[1]) == ["h1", "h2"]
        await seat.call("POST", "/history", json={"clear": True})
        assert (await seat.call("GET", "/history"))[1] == {}
