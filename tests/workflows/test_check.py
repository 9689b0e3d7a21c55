"""`comfyserve solo check`: a workflow file tried from the command line."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from comfyserve.cli.console import Exit
from comfyserve.cli.solo_check import check
from tests.workflows.folders import GRAPH, fill

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(check)

WORKFLOW = json.dumps(
    {
        "inputs": {
            "prompt": {"node": "6", "input": "text", "required": True},
            "width": {"node": "5", "input": "width", "max": 2048},
        },
        "graph": GRAPH,
    }
)


def checked(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return fill(tmp_path, {"a.json": WORKFLOW}) / "a.json"


def test_the_graph_is_printed(file: Path) -> None:
    result = checked(str(file), "--input", '{"prompt": "a dog"}')
    assert result.exit_code == Exit.OK
    assert json.loads(result.stdout)["6"]["inputs"]["text"] == "a dog"
    assert "unchecked" in result.stderr


def test_the_input_may_be_a_file_or_standard_input(file: Path) -> None:
    (file.parent / "in.txt").write_text('{"prompt": "a dog"}')
    for words, stdin in (([f"@{file.parent / 'in.txt'}"], ""), (["-"], '{"prompt": "a dog"}')):
        result = checked(str(file), "--json", "--input", *words, stdin=stdin)
        assert json.loads(result.stdout)["input"] == {"prompt": "a dog", "width": 512}


def test_what_is_wrong_with_the_input_is_told_with_its_place(file: Path) -> None:
    result = checked(str(file), "--input", '{"width": 5000}')
    assert result.exit_code == Exit.REFUSED
    assert result.stderr.splitlines() == [
        "Error: input.prompt: Required",
        "input.width: Number must be less than or equal to 2048",
    ]
    told = json.loads(checked(str(file), "--json", "--input", "{}").stdout)
    assert told["error"]["place"] == {"field": "input.prompt"}


@pytest.mark.parametrize(
    ("words", "ending", "sentence"),
    [
        (["nowhere.json"], Exit.USAGE, "There is no such file."),
        (["readme.md"], Exit.USAGE, "It ends in none of .py,"),
        (["bad.py"], Exit.USAGE, "NameError: name 'oops' is not defined (line 1)"),
        (["a.json", "--input", "{"], Exit.USAGE, "--input is not JSON"),
        (["a.json", "--input", "@none.json"], Exit.USAGE, "none.json: No such file"),
        (["link.json"], Exit.USAGE, "Input x of node 1 is linked to node 2, which is not in the graph."),
        (["nodes.py"], Exit.REFUSED, "node 1, class_type: Node 1 has no class_type."),
        (["raises.py"], Exit.REFUSED, "Failed to generate workflow prompt: no luck"),
    ],
)
def test_what_is_wrong_ends_with_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], ending: Exit, sentence: str
) -> None:
    head = "from pydantic import BaseModel\nclass Input(BaseModel): ...\n"
    files = {
        "a.json": WORKFLOW,
        "readme.md": "",
        "bad.py": "oops",
        "link.json": '{"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}}',
        "nodes.py": f"{head}def generate(input):\n    return {{'1': {{'inputs': {{}}}}}}\n",
        "raises.py": f"{head}def generate(input):\n    raise ValueError('no luck')\n",
    }
    monkeypatch.chdir(fill(tmp_path, files))
    result = checked(*words)
    assert result.exit_code == ending
    assert sentence in result.stderr


def test_an_engine_that_is_not_there(file: Path) -> None:
    result = checked(str(file), "--url", "http://127.0.0.1:9", "--input", '{"prompt": ""}')
    assert result.exit_code == Exit.UNREACHABLE
