"""Our own remover of types, for a Node that has none, and the change of modules into scripts."""

import json
import subprocess
from pathlib import Path

import pytest

from comfyserve.workflows.node_process import RUNNER, find_node

HERE = Path(__file__).parent
CASES: dict[str, list[tuple[str, str]]] = json.loads((HERE / "strip_cases.json").read_text())
"""What is done -> pairs of a text and what must become of it; spaces do not count."""


@pytest.mark.parametrize("kind", CASES)
def test_what_becomes_of_a_text(kind: str) -> None:
    node = find_node()
    assert node is not None, "script/setup brings Node"
    told = subprocess.run(
        [node, HERE / "strip_cases.js", RUNNER.parent],
        input=json.dumps({kind: CASES[kind]}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout) == []
