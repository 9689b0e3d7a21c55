"""The faults by name: what `--fault` takes and refuses."""

from pathlib import Path

import pytest

from comfyserve.embedded.faults.nodes import NODE_CLASS_MAPPINGS, class_name
from comfyserve.embedded.faults.table import MEANINGS, PARAMETERS, Kind, fault, parse_fault


def test_a_fault_is_read_with_its_defaults() -> None:
    assert parse_fault("crash,step=3,signal=KILL") == fault(Kind.CRASH, step=3, exit_code=1, signal="KILL")
    assert parse_fault("late-history")["seconds"] == 5.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode", "there is no fault 'explode'; there are slow-start"),
        ("crash,when=3", "crash has no 'when'; it takes step, exit_code, signal"),
        ("crash,step=x", "step must be a number"),
        ("crash,step=0", "step must be between 1 and 10000"),
        ("crash,signal=USR9", "signal must be one of none, KILL"),
        ("late-history,seconds=nan", "seconds must be between"),
        ("late-history,seconds=inf", "seconds must be between"),
    ],
)
def test_a_wrong_fault_says_what_is_possible(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_fault(text)


def test_every_fault_has_a_meaning_and_a_node() -> None:
    assert set(MEANINGS) == set(PARAMETERS) == set(Kind)
    assert set(NODE_CLASS_MAPPINGS) == {class_name(kind) for kind in Kind}


def test_the_page_tells_every_fault_with_its_values() -> None:
    page = (Path(__file__).parents[3] / "docs" / "testing-errors.md").read_text()
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) == set(Kind)
    for kind, parameters in PARAMETERS.items():
        for parameter in parameters:
            assert f"`{parameter.name}`" in rows[kind]
            assert all(choice in rows[kind] for choice in parameter.choices)
