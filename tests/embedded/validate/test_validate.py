"""POST /prompt refuses what ComfyUI refuses, with its words (spec sections 2 and 9)."""

from typing import Any

import pytest

from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.graph.graph_view import Graph
from comfyserve.embedded.validate.graph_check import Verdict, validate
from tests.embedded.sample_nodes import MAPPINGS


@pytest.fixture
def catalogue() -> Catalogue:
    made = Catalogue()
    made.add(MAPPINGS, {})
    return made


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def shown(**graph: dict[str, Any]) -> Graph:
    """A graph whose node `n` feeds the output node `out`."""
    return {"out": node("Show", value=["n", 0]), **graph}


def refusal(verdict: Verdict) -> dict[str, Any]:
    assert verdict.error is not None
    return verdict.error


async def only_error(catalogue: Catalogue, graph: Graph, node_id: str = "n") -> dict[str, Any]:
    verdict = await validate(graph, catalogue)
    assert refusal(verdict)["type"] == "prompt_outputs_failed_validation"
    assert list(verdict.node_errors) == [node_id]
    entry = verdict.node_errors[node_id]
    assert entry["dependent_outputs"] == ["out"]
    assert len(entry["errors"]) == 1
    error: dict[str, Any] = entry["errors"][0]
    return error


class TestTop:
    async def test_missing_class_type(self, catalogue: Catalogue) -> None:
        verdict = await validate({"1": {"inputs": {}}}, catalogue)
        assert verdict.error == {
            "type": "invalid_prompt",
            "message": "Cannot execute because a node is missing the class_type property.",
            "details": "Node ID '#1'",
            "extra_info": {},
        }

    @pytest.mark.parametrize("broken", [5, None, [], "x"])
    async def test_a_node_that_is_no_object(self, catalogue: Catalogue, broken: object) -> None:
        assert refusal(await validate({"1": broken}, catalogue))["type"] == "invalid_prompt"

    @pytest.mark.parametrize("name", ["Nope", None, ["Number"]])
    async def test_unknown_class(self, catalogue: Catalogue, name: object) -> None:
        verdict = await validate({"7": {"class_type": name, "inputs": {}}}, catalogue)
        assert refusal(verdict)["message"] == f"Cannot execute because node {name} does not exist."
        assert refusal(verdict)["details"] == "Node ID '#7'"

    async def test_no_outputs(self, catalogue: Catalogue) -> None:
        verdict = await validate({"1": node("Number", value=1)}, catalogue)
        assert (refusal(verdict)["type"], refusal(verdict)["message"]) == ("prompt_no_outputs", "Prompt has no outputs")

    async def test_targets_limit_the_outputs(self, catalogue: Catalogue) -> None:
        graph = {"1": node("Show", value="a"), "2": node("Show", value="b")}
        assert (await validate(graph, catalogue, {"2"})).outputs == ["2"]
        assert refusal(await validate(graph, catalogue, {"9"}))["type"] == "prompt_no_outputs"

    async def test_a_good_output_runs_beside_a_bad_one(self, catalogue: Catalogue) -> None:
        graph = {"good": node("Show", value="a"), **shown(n=node("Number", value=200))}
        verdict = await validate(graph, catalogue)
        assert verdict.error is None
        assert verdict.outputs == ["good"]
        assert list(verdict.node_errors) == ["n"]

    async def test_details_list_the_errors_on_the_output_itself(self, catalogue: Catalogue) -> None:
        verdict = await validate({"out": node("Show")}, catalogue)
        assert refusal(verdict)["details"] == "Required input is missing: value"
        upstream = await validate(shown(n=node("Number", value="x")), catalogue)
        assert refusal(upstream)["details"] == ""


class TestInputs:
    async def test_required_input_missing(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("Number")))
        assert error == {
            "type": "required_input_missing",
            "message": "Required input is missing",
            "details": "value",
            "extra_info": {"input_name": "value"},
        }

    @pytest.mark.parametrize(
        ("value", "kind", "message", "details"),
        [
            (-1, "value_smaller_than_min", "Value -1 smaller than min of 0", "value"),
            (101, "value_bigger_than_max", "Value 101 bigger than max of 100", "value"),
            (
                "1.5",
                "invalid_input_type",
                "Failed to convert an input value to a INT value",
                "value, 1.5, invalid literal for int() with base 10: '1.5'",
            ),
        ],
    )
    async def test_numbers(self, catalogue: Catalogue, value: object, kind: str, message: str, details: str) -> None:
        error = await only_error(catalogue, shown(n=node("Number", value=value)))
        assert (error["type"], error["message"], error["details"]) == (kind, message, details)
        assert error["extra_info"]["received_value"] == value
        assert error["extra_info"]["input_config"][0] == "INT"

    @pytest.mark.parametrize(("given", "stored"), [("24", 24), (18.9, 18), (True, 1)])
    async def test_an_integer_is_coerced_in_the_graph(self, catalogue: Catalogue, given: object, stored: int) -> None:
        graph = shown(n=node("Number", value=given))
        assert (await validate(graph, catalogue)).error is None
        assert graph["n"]["inputs"]["value"] == stored
        assert type(graph["n"]["inputs"]["value"]) is int

    async def test_other_coercions(self, catalogue: Catalogue) -> None:
        graph = shown(n=node("Words", text=12.0, mode="lower", ratio="0.25", flag="false"))
        assert (await validate(graph, catalogue)).error is None
        assert graph["n"]["inputs"] == {"text": "12.0", "mode": "lower", "ratio": 0.25, "flag": True}

    async def test_null_is_no_number_even_where_it_is_optional(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("Words", text="a", mode="upper", ratio=None)))
        assert error["type"] == "invalid_input_type"

    async def test_a_choice(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("Words", text="a", mode="title")))
        assert error["message"] == "Value not in list"
        assert error["details"] == "mode: 'title' not in ['upper', 'lower']"
        assert error["extra_info"]["input_config"] == (["upper", "lower"], {"default": "upper"})

    async def test_a_long_choice_is_not_spelled_out(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("LongChoice", name="x")))
        assert error["details"] == "name: 'x' not in (list of length 21)"
        assert error["extra_info"]["input_config"] is None

    async def test_a_v3_choice_is_not_checked(self, catalogue: Catalogue) -> None:
        assert (await validate(shown(n=node("V3Choice", mode="zzz")), catalogue)).error is None

    async def test_a_wrapped_list_is_unwrapped(self, catalogue: Catalogue) -> None:
        graph = {"out": node("Show", value={"__value__": [1, 2, 3]})}
        assert (await validate(graph, catalogue)).error is None
        assert graph["out"]["inputs"]["value"] == [1, 2, 3]

    async def test_unknown_inputs_are_ignored(self, catalogue: Catalogue) -> None:
        graph = shown(n=node("Number", value=1, surplus=["nowhere", 9]))
        assert (await validate(graph, catalogue)).error is None


class TestCustomValidator:
    async def test_its_text_is_told(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("Picky", word="bad", other=1)))
        assert error == {
            "type": "custom_validation_failed",
            "message": "Custom validation failed for node",
            "details": "word - that word is bad",
            "extra_info": {"input_name": "word"},
        }

    async def test_the_list_of_an_input_it_names_is_not_checked(self, catalogue: Catalogue) -> None:
        assert (await validate(shown(n=node("Picky", word="three", other=1)), catalogue)).error is None

    async def test_other_inputs_are_checked(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("Picky", word="one", other=9)))
        assert error["type"] == "value_bigger_than_max"


class TestLinks:
    async def test_bad_link(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("Number", value=["1"])))
        assert error["type"] == "bad_linked_input"
        assert error["message"] == "Bad linked input, must be a length-2 list of [node_id, slot_index]"

    @pytest.mark.parametrize("link", [[["1"], 0], [{}, 0], [None, 0], ["1", [0]], ["1", None]])
    async def test_a_link_of_odd_parts(self, catalogue: Catalogue, link: list[Any]) -> None:
        graph = {"1": node("Number", value=1), "2": node("Show", value=link)}
        (error,) = (await validate(graph, catalogue)).node_errors["2"]["errors"]
        assert error["type"] == "bad_linked_input"

    async def test_types_must_fit(self, catalogue: Catalogue) -> None:
        graph = shown(n=node("Number", value=["w", 0]), w=node("Words", text="a", mode="upper"))
        error = await only_error(catalogue, graph)
        assert error["type"] == "return_type_mismatch"
        assert error["details"] == "value, received_type(STRING) mismatch input_type(INT)"
        assert error["extra_info"]["linked_node"] == ["w", 0]

    async def test_missing_source_of_an_output(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, {"out": node("Show", value=["77", 0])}, "out")
        assert (error["type"], error["details"]) == ("exception_during_validation", "'77'")
        assert error["extra_info"]["exception_type"] == "KeyError"

    async def test_missing_source_further_up(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n=node("Number", value=["77", 0])))
        assert (error["type"], error["details"]) == ("exception_during_inner_validation", "'77'")
        assert error["extra_info"]["linked_node"] == ["n", 0]
        assert error["extra_info"]["input_name"] == "value"

    @pytest.mark.parametrize("slot", [10**30, 1, -1])
    async def test_slot_beyond_the_outputs(self, catalogue: Catalogue, slot: int) -> None:
        graph = {"out": node("Show", value=["n", slot]), "n": node("Number", value=1)}
        error = await only_error(catalogue, graph, "out")
        assert error["details"] == "tuple index out of range"
        assert error["extra_info"]["exception_type"] == "IndexError"

    async def test_node_without_inputs(self, catalogue: Catalogue) -> None:
        error = await only_error(catalogue, shown(n={"class_type": "Number"}))
        assert (error["type"], error["details"]) == ("exception_during_inner_validation", "'inputs'")

    async def test_a_cycle_is_refused_and_named(self, catalogue: Catalogue) -> None:
        graph = shown(n=node("Add", a=["m", 0], b=1), m=node("Add", a=["n", 0], b=1))
        verdict = await validate(graph, catalogue)
        assert refusal(verdict)["type"] == "prompt_outputs_failed_validation"
        [error] = verdict.node_errors["m"]["errors"]
        assert (error["type"], error["details"]) == ("dependency_cycle", "n -> m -> n")

    async def test_a_deep_graph_needs_no_deep_stack(self, catalogue: Catalogue) -> None:
        graph = {"0": node("Number", value=1)}
        for i in range(1, 5000):
            graph[str(i)] = node("Add", a=[str(i - 1), 0], b=1)
        graph["out"] = node("Show", value=["4999", 0])
        assert (await validate(graph, catalogue)).outputs == ["out"]

    async def test_a_fault_is_told_with_all_outputs_behind_it(self, catalogue: Catalogue) -> None:
        graph = shown(n=node("Number", value=-5), second=node("Show", value=["n", 0]), fine=node("Show", value="x"))
        verdict = await validate(graph, catalogue)
        assert set(verdict.node_errors["n"]["dependent_outputs"]) == {"out", "second"}
        assert verdict.outputs == ["fine"]
