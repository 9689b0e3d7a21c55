"""What becomes of accepted work when solo or its engine dies, and of many callers at once."""

import asyncio
import base64
import signal
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.settings import ServerSettings
from tests.e2e.program import colour_graph, until
from tests.e2e.solo_program import SoloProgram, receiver, solo
from tests.embedded.conftest import serve_engine

PRIVATE = {"COMFYSERVE_ALLOW_PRIVATE_NETWORK": "127.0.0.1"}
MANY = 200
CROWD = 500


async def test_accepted_work_survives_a_kill_of_solo(tmp_path: Path) -> None:
    async with receiver() as hook:
        async with solo(tmp_path / "s", **PRIVATE, COMFYSERVE_ENGINE_WORK_MS="100") as running:
            ids = await _accept(running, hook.url, 30)
            await hook.calls.get()
            assert await running.stop(signal.SIGKILL) == -signal.SIGKILL
        async with solo(tmp_path / "s", **PRIVATE) as running:
            bodies = await hook.ids(ids - {"a0"})
            assert {body["type"] for body in bodies.values()} == {"prompt.complete"}
            for name, body in bodies.items():
                assert _colour(body["images"][0]) == int(name[1:])
            status, told = await running.get("/prompt/a7")
            assert status == 200 and told["id"] == "a7"


async def test_solo_ends_with_its_engine_and_keeps_accepted_work(tmp_path: Path) -> None:
    async with receiver() as hook:
        async with solo(tmp_path / "s", **PRIVATE, COMFYSERVE_ENGINE_WORK_MS="100") as running:
            ids = await _accept(running, hook.url, 20)
            await hook.calls.get()
            _kill(running)
            assert await running.ended() == 1
            assert "ALWAYS_RESTART_COMFYUI" in running.log.read_text().splitlines()[-1]
        async with solo(tmp_path / "s", **PRIVATE):
            await hook.ids(ids - {"a0"})


async def test_an_engine_that_ends_by_itself_ends_solo_too(tmp_path: Path) -> None:
    async with solo(tmp_path / "s") as running:
        running.engines()[0].send_signal(signal.SIGTERM)
        assert await running.ended() == 1
        assert "exit code 0" in running.log.read_text()


async def test_all_are_answered_right_when_the_engine_is_killed_among_them(tmp_path: Path) -> None:
    graph = tmp_path / "warmup.json"
    graph.write_text(
        '{"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 1}},'
        ' "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "w"}}}'
    )
    again = {"ALWAYS_RESTART_COMFYUI": "true", "WARMUP_PROMPT_FILE": str(graph)}
    async with solo(tmp_path / "s", **again) as running:
        calls = [asyncio.create_task(_ask(running, number)) for number in range(MANY)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        _kill(running)
        answers = await asyncio.gather(*calls)
        assert [status for status, _ in answers] == [200] * MANY
        assert [_colour(body["images"][0]) for _, body in answers] == list(range(MANY))
        await until(lambda: running.get("/ready"), lambda answer: answer[0] == 200)
        warm = [line for line in running.log_lines() if line.get("phase") == "The warm-up runs."]
        assert len(warm) == 2


async def test_it_is_not_ready_while_its_engine_is_away(tmp_path: Path) -> None:
    slow = {"ALWAYS_RESTART_COMFYUI": "true", "COMFYSERVE_EMBEDDED_ARGS": "--fault slow-start,seconds=1"}
    async with solo(tmp_path / "s", **slow) as running:
        _kill(running)
        _, body = await until(lambda: running.get("/ready"), lambda answer: answer[0] == 503)
        assert "engine" in body["reason"]
        assert (await running.get("/health"))[0] == 200
        await until(lambda: running.get("/ready"), lambda answer: answer[0] == 200)


async def test_an_engine_elsewhere_is_looked_after(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "engine")
    folders.create()
    async with AsyncExitStack() as lending:
        lender = await lending.enter_async_context(
            serve_engine(build_engine(folders, load_catalogue(folders), ServerSettings()))
        )
        async with solo(tmp_path / "s", COMFYSERVE_COMFY_URL=lender.url) as running:
            assert (await _ask(running, 5))[0] == 200
            await lending.aclose()
            await until(lambda: running.get("/ready"), lambda answer: answer[0] == 503)


async def test_five_hundred_at_once(tmp_path: Path) -> None:
    async with solo(tmp_path / "s") as running:
        answers = await asyncio.gather(*(_ask(running, number) for number in range(CROWD)))
        assert [status for status, _ in answers] == [200] * CROWD
        assert [_colour(body["images"][0]) for _, body in answers] == list(range(CROWD))
        assert _peak(running) < 300 * 2**20


async def _accept(running: SoloProgram, url: str, number: int) -> set[str]:
    """Ids of requests that were answered 202."""
    ids = [f"a{index}" for index in range(number)]
    wishes = [{"prompt": colour_graph(index), "id": name, "webhook_v2": url} for index, name in enumerate(ids)]
    answers = [await running.post("/prompt", wish) for wish in wishes]
    assert {status for status, _ in answers} == {202}
    return set(ids)


async def _ask(running: SoloProgram, number: int) -> tuple[int, Any]:
    return await running.post("/prompt", {"prompt": colour_graph(number, size=16), "id": f"r{number}"})


def _colour(image: str) -> int:
    """The colour of the picture in this base64, as a number."""
    picture = Image.open(BytesIO(base64.b64decode(image))).convert("RGB")
    return int.from_bytes(picture.crop((0, 0, 1, 1)).tobytes())


def _peak(running: SoloProgram) -> int:
    """The most bytes of memory that the process has held so far, as the kernel counts."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def _kill(running: SoloProgram) -> None:
    for engine in running.engines():
        engine.kill()
