"""The engines of a machine: which kind, how many, and that none takes another's GPU, port or files."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from comfyserve.engines.fleet import Wanted, fleet, leftovers
from comfyserve.engines.launch import PORT, Launch, free_port
from comfyserve.engines.process import ProcessEngine
from comfyserve.engines.remote import RemoteEngine
from tests.engines.test_process import SERVER

GPUS = [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]


def launches(wanted: Wanted) -> Sequence[Launch]:
    """How its engines are started on a machine with two GPUs."""
    engines = [make() for make in fleet(wanted, gpus=lambda _: GPUS)]
    assert all(isinstance(engine, ProcessEngine) for engine in engines)
    return [engine.launch for engine in engines if isinstance(engine, ProcessEngine)]


def roots(launch: Launch, *kinds: str) -> Sequence[Path]:
    assert launch.folders is not None
    return [launch.folders.root(kind) for kind in kinds]


def test_without_anything_one_embedded_engine_runs(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path)
    [launch] = launches(wanted)
    assert (wanted.kind, launch.name, roots(launch, "output")) == (
        "embedded",
        "embedded engine",
        [tmp_path / "engine" / "output"],
    )
    assert "simulated" in wanted.told() and "COMFYSERVE_COMFY_HOME" in wanted.told()


def test_more_embedded_engines_have_folders_of_their_own_and_the_nodes_of_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        found = launches(Wanted(tmp_path, number=3))
    assert [roots(launch, "input", "output", "temp") for launch in found] == [
        [tmp_path / name / kind for kind in ("input", "output", "temp")] for name in ("engine", "engine-2", "engine-3")
    ]
    (tmp_path / "engine" / "custom_nodes" / "pack.py").touch()
    assert (tmp_path / "engine-3" / "custom_nodes" / "pack.py").exists()
    assert tmp_path / "engine-2" / "temp" in leftovers(tmp_path)
    assert tmp_path / "engine" / "input" / "comfyserve" in leftovers(tmp_path)


def test_each_gpu_gets_an_engine_with_temporary_files_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "ComfyUI"
    found = launches(Wanted(tmp_path, home=home, arguments=("--lowvram",), start_seconds=7))
    assert [launch.env for launch in found] == GPUS
    assert [launch.name for launch in found] == ["ComfyUI 1", "ComfyUI 2"]
    assert {launch.start_seconds for launch in found} == {7}
    assert [roots(launch, "temp") for launch in found] == [
        [tmp_path / "engine" / "temp"],
        [tmp_path / "engine-2" / "temp"],
    ]
    assert [roots(launch, "input", "output") for launch in found] == [[home / "input", home / "output"]] * 2
    assert all(launch.command[-2] == "--temp-directory" and "--lowvram" in launch.command for launch in found)


def test_one_engine_of_one_comfyui_is_started_as_it_would_be_by_hand(tmp_path: Path) -> None:
    [make] = fleet(Wanted(tmp_path, home=tmp_path), gpus=lambda _: [{}])
    engine = make()
    assert isinstance(engine, ProcessEngine)
    assert "--temp-directory" not in engine.launch.command and engine.launch.env == {}


def test_workers_say_how_many_and_take_turns_with_the_gpus(tmp_path: Path) -> None:
    assert [launch.env for launch in launches(Wanted(tmp_path, home=tmp_path, number=3))] == [*GPUS, GPUS[0]]
    assert [launch.env for launch in launches(Wanted(tmp_path, home=tmp_path, number=1))] == GPUS[:1]


def test_a_command_without_a_port_has_the_next_one_each(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path, command=("init.sh",), host="127.0.0.2", port=9000, environment={"WORKSPACE": "/w"})
    found = launches(wanted)
    assert [(launch.host, launch.port, launch.chooses_port) for launch in found] == [
        ("127.0.0.2", 9000, False),
        ("127.0.0.2", 9001, False),
    ]
    assert [launch.env["WORKSPACE"] for launch in found] == ["/w", "/w"]
    assert wanted.told() == "ComfyUI started by `init.sh`"
    own = replace(wanted, command=("run", "--port", PORT))
    assert {(launch.host, launch.chooses_port) for launch in launches(own)} == {("127.0.0.1", True)}


async def test_a_url_wins_and_each_gets_an_engine(tmp_path: Path) -> None:
    urls = ("http://me:s3cret@one:8188", "http://two:8188")
    wanted = Wanted(tmp_path, urls=urls, headers={"X-Key": "s3cret"}, home=tmp_path)
    engines = [make() for make in fleet(wanted)]
    assert [engine.url for engine in engines if isinstance(engine, RemoteEngine)] == [
        "http://one:8188",
        "http://two:8188",
    ]
    assert (wanted.kind, wanted.told()) == ("remote", "ComfyUI at http://one:8188, http://two:8188")
    assert "X-Key" not in repr(wanted)
    await asyncio.gather(*(engine.close() for engine in engines))


@pytest.mark.parametrize("fresh", [True, False])
async def test_two_engines_run_side_by_side_and_see_a_gpu_each(fresh: bool, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    where = PORT if fresh else "$COMFYUI_PORT_HOST"
    line = f"exec {sys.executable} -S {SERVER} {where} --environment {seen}/$CUDA_VISIBLE_DEVICES"
    wanted = Wanted(tmp_path, command=("sh", "-c", line), port=free_port("127.0.0.1"))
    engines = [make() for make in fleet(wanted, gpus=lambda _: GPUS)]
    try:
        await asyncio.gather(*(engine.ready() for engine in engines))
    finally:
        await asyncio.gather(*(engine.close() for engine in engines))
    told = {file.name: file.read_text().splitlines() for file in seen.iterdir()}
    assert {name: f"CUDA_VISIBLE_DEVICES={name}" in lines for name, lines in told.items()} == {"0": True, "1": True}
    ports = {line for lines in told.values() for line in lines if line.startswith("COMFYUI_PORT_HOST=")}
    assert len(ports) == 2
