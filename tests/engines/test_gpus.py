"""Which GPUs get an engine each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from comfyserve.engines import gpus
from comfyserve.engines.gpus import ask_nvidia, share_out, split

TWO = "GPU 0: NVIDIA H200 (UUID: GPU-aaaa)\nGPU 1: NVIDIA H200 (UUID: GPU-bbbb)\n"
DIVIDED = TWO + "  MIG 3g.71gb     Device  0: (UUID: MIG-1111)\n  MIG 4g.71gb     Device  1: (UUID: MIG-2222)\n"
ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def cuda(*ids: str) -> list[Mapping[str, str]]:
    return [{"CUDA_VISIBLE_DEVICES": number, **ORDER} for number in ids]


@pytest.mark.parametrize(
    ("wanted", "environment", "listed", "engines"),
    [
        ("auto", {}, "", [{}]),
        ("auto", {}, "GPU 0: NVIDIA H200 (UUID: GPU-aaaa)", [{}]),
        ("auto", {}, TWO, cuda("0", "1")),
        ("auto", {}, DIVIDED, cuda("0", "MIG-1111", "MIG-2222")),
        ("auto", {"CUDA_VISIBLE_DEVICES": "3"}, TWO, [{}]),
        ("auto", {"CUDA_VISIBLE_DEVICES": ""}, TWO, [{}]),
        (
            "auto",
            {"CUDA_VISIBLE_DEVICES": "2,GPU-x,-1,3"},
            "",
            [{"CUDA_VISIBLE_DEVICES": one} for one in ("2", "GPU-x")],
        ),
        ("auto", {"ROCR_VISIBLE_DEVICES": "0,1"}, "", [{"ROCR_VISIBLE_DEVICES": one} for one in ("0", "1")]),
        ("none", {}, TWO, [{}]),
        ("1", {}, TWO, cuda("1")),
        ("0, 1", {"CUDA_VISIBLE_DEVICES": "3"}, "", cuda("0", "1")),
    ],
)
def test_each_gpu_gets_an_engine(
    wanted: str, environment: Mapping[str, str], listed: str, engines: Sequence[Mapping[str, str]], tmp_path: Path
) -> None:
    assert share_out(wanted, environment=environment, ask=lambda: listed, system=tmp_path) == engines


@pytest.mark.parametrize(
    ("wanted", "listed", "missing"),
    [("0,1", "", ["0", "1"]), ("0,2", TWO, ["2"]), ("0,1", TWO, []), ("GPU-aaaa", TWO, []), ("auto", "", [])],
)
def test_a_gpu_that_is_not_there_is_told(wanted: str, listed: str, missing: list[str], tmp_path: Path) -> None:
    """Two engines were started where there is no GPU, without a word."""
    with capture_logs() as logs:
        share_out(wanted, environment={}, ask=lambda: listed, system=tmp_path)
    told = [entry["missing"] for entry in logs if entry["event"] == "engine.gpus_not_found"]
    assert told == ([missing] if missing else [])


def test_without_nvidia_smi_the_driver_is_asked(tmp_path: Path) -> None:
    for address in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / gpus.NVIDIA / address).mkdir(parents=True)
    assert share_out("auto", environment={}, ask=str, system=tmp_path) == cuda("0", "1")


def test_those_of_amd_are_the_nodes_with_simd_units(tmp_path: Path) -> None:
    for node, units in enumerate((0, 256, 256)):
        folder = tmp_path / gpus.AMD / str(node)
        folder.mkdir(parents=True)
        (folder / "properties").write_text(f"cpu_cores_count 8\nsimd_count {units}\n")
    expected = [{"HIP_VISIBLE_DEVICES": "0"}, {"HIP_VISIBLE_DEVICES": "1"}]
    assert share_out("auto", environment={}, ask=str, system=tmp_path) == expected
    assert share_out("1", environment={}, ask=str, system=tmp_path) == expected[1:]


@pytest.mark.parametrize("text", ["#!/bin/sh\necho 'GPU 0: x'\n", "#!/bin/sh\nexec sleep 600\n", ""])
def test_nvidia_smi_is_asked_with_a_time_limit(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    if text:
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if text else str(tmp_path))
    monkeypatch.setattr(gpus, "ASK_SECONDS", 0.5)
    assert ask_nvidia() == ("GPU 0: x\n" if "echo" in text else "")


def test_a_list_ends_at_a_negative_number() -> None:
    assert split(" 0 ,,1") == ["0", "1"] and split("-1,0") == [] and split("") == []
