"""`comfyserve solo generate-workflow`, the program as a user starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comfyserve.app.solo_generate import DomainError, generate_workflow

ROOT = Path(__file__).parents[2]
GRAPH = ROOT / "examples" / "graphs" / "sd15-txt2img" / "workflow_api.json"


def solo(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `comfyserve solo ...`."""
    command = (sys.executable, "-m", "comfyserve", "solo", *map(str, arguments))
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=kept | environment)


def test_a_file_is_written_and_makes_its_graph(tmp_path: Path) -> None:
    out = tmp_path / "new" / "txt2img.py"
    done = solo("generate-workflow", GRAPH, out)
    assert done.returncode == 0, done.stderr
    assert "is written from the graph" in done.stdout and "negative_prompt" in done.stdout
    checked = solo("check", out, "--input", json.dumps({"seed": 42, "width": 640}), "--json")
    assert checked.returncode == 0, checked.stderr
    graph = json.loads(GRAPH.read_text())
    graph["6"]["inputs"]["width"] = 640
    assert json.loads(checked.stdout)["graph"] == graph


def test_nothing_is_written_over_without_being_told(tmp_path: Path) -> None:
    out = tmp_path / "w.json"
    out.write_text("mine")
    done = solo("generate-workflow", GRAPH, out)
    assert done.returncode == 2 and "Give --force" in done.stderr and out.read_text() == "mine"
    forced = solo("generate-workflow", GRAPH, out, "--force", "--json")
    assert forced.returncode == 0 and json.loads(forced.stdout)["author"] == "graph"
    assert json.loads(out.read_text())["graph"] == json.loads(GRAPH.read_text())


def test_a_saved_catalogue(tmp_path: Path) -> None:
    info, out = tmp_path / "object_info.json", tmp_path / "w.py"
    info.write_text(json.dumps({"KSampler": {"input": {"required": {"steps": ["INT", {"min": 3, "max": 33}]}}}}))
    assert solo("generate-workflow", GRAPH, out, "--object-info", info).returncode == 0
    assert "ge=3, le=33" in out.read_text()


@pytest.mark.parametrize(
    ("graph", "out", "more", "sentence"),
    [
        (Path("absent.json"), "w.py", {}, "cannot be read"),
        (GRAPH, "w.txt", {}, "must end in .py or .json"),
        (GRAPH, "w.py", {"model": "minimax"}, "--model minimax needs MINIMAX_API_KEY"),
        (GRAPH, "w.json", {"model": "anthropic"}, "Language models write .py files alone"),
        (GRAPH, "w.py", {"engine_url": "http://127.0.0.1:9"}, "127.0.0.1:9"),
        (GRAPH, "w.py", {"object_info": Path("absent.json")}, "cannot be read"),
        (GRAPH, "w.py", {"object_info": Path(__file__)}, "is not JSON"),
    ],
)
async def test_what_is_wrong_is_a_sentence(
    graph: Path, out: str, more: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("ANTHROPIC_API_KEY", "MINIMAX_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    with pytest.raises(DomainError) as failed:
        await generate_workflow(graph, tmp_path / out, **more)
    assert sentence in failed.value.message and os.listdir(tmp_path) == []  # noqa: PTH208  (pathlib blocks as well)


def test_a_language_model_that_is_not_there_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "w.py"
    done = solo("generate-workflow", GRAPH, out, ANTHROPIC_API_KEY="sk-s3cret", ANTHROPIC_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 4 and "anthropic does not answer" in done.stderr
    assert "sk-s3cret" not in done.stdout + done.stderr and not out.exists()
