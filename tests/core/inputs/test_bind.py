"""Binding: values reach the right fields of every node of their name, and nothing else moves."""

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyserve.core.errors import InvalidInput
from comfyserve.core.graph import Graph
from comfyserve.core.inputs import EXTERNALS, Bound, Narrowing, Notice, bind, declare, narrow
from comfyserve.core.inputs.bind import MAX_VALUES
from comfyserve.core.media import MediaKind, MediaPlace, media_places

from .graphs import PREFIX, graph, node

URL = "https://example.com/a.png"
OTHER_URL = "https://example.com/b.png"
DATA = "data:image/png;base64,AAAA"

CATALOGUE: Mapping[str, Any] = {
    "KSampler": {
        "input": {
            "required": {
                "sampler_name": [["euler", "ddim"], {}],
                "steps": ["INT", {"default": 20, "min": 1, "max": 100}],
                "cfg": ["FLOAT", {"min": 0.0, "max": 100.0}],
            }
        }
    },
    "ImageBlend": {"input": {"required": {"blend_mode": ["COMBO", {"options": ["normal", "screen"]}]}}},
    "LoadImage": {"input": {"required": {"image": [["example.png"], {"image_upload": True}]}}},
    f"{PREFIX}Checkpoint": {"input": {"optional": {"default_value": [["sd.safetensors"], {}]}}},
}


def _bind(one: Graph, values: Mapping[str, Any], **options: Any) -> Bound:
    return bind(one, declare(one), values, **options)


def _inputs(bound: Bound, node_id: str = "1") -> dict[str, Any]:
    return dict(bound.graph.nodes[node_id].inputs)


def _refusal(one: Graph, values: Mapping[str, Any], **options: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        _bind(one, values, **options)
    return caught.value


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("Text", "a mug", {"input_id": "a mug", "default_value": "a mug"}),
        ("TextAny", "ddim", {"input_id": "ddim", "default_value": "ddim"}),
        ("TextSingleLine", "a", {"input_id": "a", "default_value": "a"}),
        ("Enum", "b", {"input_id": "b", "default_value": "b"}),
        ("Color", "#FFF", {"input_id": "#fff", "default_value": "#fff"}),
        ("Boolean", False, {"input_id": "false", "default_value": False}),
        ("Boolean", "true", {"input_id": "true", "default_value": True}),
        ("Seed", 7, {"input_id": "7", "default_value": 7}),
        ("Number", 0.25, {"input_id": "0.25", "default_value": 0.25}),
        ("NumberInt", -5, {"input_id": "-5", "default_value": -5}),
        ("NumberInt", "768", {"input_id": "768", "default_value": 768}),
        ("NumberSlider", 0.75, {"input_id": "0.75", "default_value": 0.75}),
        ("NumberSliderInt", 3.0, {"input_id": "3", "default_value": 3}),
        ("Image", URL, {"input_id": URL, "default_value_url": ""}),
        ("ImageAlpha", URL, {"input_id": URL}),
        ("ImageBatch", [URL, DATA], {"input_id": json.dumps([URL, DATA]), "images": json.dumps([URL, DATA])}),
        ("Video", URL, {"input_id": URL, "default_value_url": ""}),
        ("Vid", URL, {"input_id": URL}),
        ("Lora", URL, {"input_id": URL, "lora_url": URL}),
        ("Checkpoint", "sd.safetensors", {"input_id": "sd.safetensors", "default_value": "sd.safetensors"}),
        ("FaceModel", URL, {"input_id": URL, "face_model_url": URL}),
        ("Audio", URL, {"input_id": URL, "audio_file": URL}),
        ("EXR", URL, {"input_id": URL, "exr_file": URL}),
        ("File", URL, {"input_id": URL, "file_url": URL}),
    ],
)
def test_each_class_gets_its_value_where_it_reads_it(name: str, value: Any, written: dict[str, Any]) -> None:
    assert _inputs(_bind(graph(node(name, kept="kept")), {"x": value})) == {**written, "kept": "kept"}


def test_what_is_not_given_keeps_its_default() -> None:
    one = graph(node("Text", "a", default_value="saved"), node("Number", "b", default_value=2.5))
    bound = _bind(one, {"b": None})
    assert bound.graph.hash() == one.hash()


def test_an_empty_text_is_a_text_and_an_empty_number_is_none() -> None:
    one = graph(node("Text", "a", default_value="saved"), node("Number", "b", default_value=2.5))
    bound = _bind(one, {"a": "", "b": ""})
    assert (_inputs(bound)["default_value"], _inputs(bound, "2")["default_value"]) == ("", 2.5)


def test_the_graph_that_was_given_does_not_change() -> None:
    one = graph(node("Text", default_value="saved"))
    before = one.as_json()
    _bind(one, {"x": "new"})
    assert one.as_json() == before


def test_every_node_of_a_name_gets_the_value_in_its_own_type() -> None:
    one = graph(node("NumberInt"), node("NumberInt"), node("Text"))
    bound = _bind(one, {"x": 4})
    assert [_inputs(bound, node_id)["default_value"] for node_id in "123"] == [4, 4, "4"]


def test_a_value_that_the_second_node_of_a_name_cannot_take_is_refused() -> None:
    assert "integer" in _refusal(graph(node("Text"), node("NumberInt")), {"x": "words"}).message


@given(st.permutations(["a", "b", "c"]))
def test_a_value_that_equals_another_name_does_not_spread(values: list[str]) -> None:
    one = graph(node("Text", "a"), node("Text", "b"), node("Text", "c"))
    bound = _bind(one, dict(zip("abc", values, strict=True)))
    assert [_inputs(bound, node_id)["input_id"] for node_id in "123"] == values


def test_the_public_name_stays_beside_the_node() -> None:
    bound = _bind(graph(node("Text", "prompt", {"title": "Prompt"})), {"prompt": "new"})
    assert bound.graph.nodes["1"].meta == {"title": "Prompt", "input_id": "prompt"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("NumberInt", 768.5, "whole number"),
        ("NumberInt", 2**31, "Allowed: -2147483647 to 2147483647"),
        ("Number", float("nan"), "finite"),
        ("NumberSliderInt", 11, "Allowed: 0 to 10"),
        ("NumberSlider", -0.1, "Allowed: 0 to 1"),
        ("Seed", 0, "Allowed: 1 to 999999999999999, or -1 for a random seed"),
        ("Boolean", "maybe", "true or false"),
        ("Image", "logo.png", "asset"),
        ("Text", ["a"], "must be a text"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place_and_what_is_allowed(name: str, value: Any, words: str) -> None:
    error = _refusal(graph(node(name)), {"x": value})
    assert error.place.as_dict() == {"node_id": "1", "field": "x"}
    assert words in error.message


def test_a_choice_must_be_one_of_its_options() -> None:
    one = graph(node("Enum", options='["a", "b", 3]'))
    assert "Allowed: a, b, 3" in _refusal(one, {"x": "c"}).message
    assert _inputs(_bind(one, {"x": "3"}))["default_value"] == 3
    assert _inputs(_bind(graph(node("Enum", options="not json")), {"x": "c"}))["default_value"] == "c"


def test_a_websocket_input_takes_no_value_from_a_run() -> None:
    raw = {"class_type": "ComfyDeployWebscoketImageInput", "inputs": {"input_id": "x", "seed": 0}}
    assert "realtime" in _refusal(graph(raw), {"x": URL}).message


# ------------------------------------------------------------------------------------------- names


def test_an_unknown_name_is_refused_with_the_known_ones_and_a_guess() -> None:
    error = _refusal(graph(node("Text", "prompt"), node("Number", "size")), {"promt": "x"})
    assert error.message == "Unknown input promt. Did you mean prompt? Known inputs: prompt, size."
    assert error.place.field == "promt"


def test_an_unknown_name_may_be_reported_instead() -> None:
    bound = _bind(graph(node("Text", "prompt")), {"promt": "x", "prompt": "y"}, unknown="report")
    assert bound.warnings == (
        Notice("unknown_input", "Unknown input promt. Did you mean prompt? Known inputs: prompt. It was ignored."),
    )
    assert _inputs(bound)["default_value"] == "y"


def test_many_unknown_names_are_told_in_few_notices() -> None:
    bound = _bind(graph(node("Text")), {f"name {index}": 1 for index in range(50)}, unknown="report")
    assert len(bound.warnings) == 21
    assert bound.warnings[-1].message == "30 more unknown inputs were ignored."


def test_too_many_values_are_refused() -> None:
    values = {str(index): 1 for index in range(MAX_VALUES + 1)}
    assert "1001" in _refusal(graph(node("Text")), values, unknown="report").message


# ------------------------------------------------------------------------------- node id + input name


def _sampler(**inputs: Any) -> dict[str, Any]:
    return {"class_type": "KSampler", "inputs": {"steps": 20, "cfg": 7, "sampler_name": "euler", **inputs}}


def test_a_field_can_be_addressed_by_its_node() -> None:
    bound = _bind(graph(_sampler()), {"1.steps": "30", "1.sampler_name": "ddim", "1.cfg": 7.5}, catalogue=CATALOGUE)
    assert _inputs(bound) == {"steps": 30, "cfg": 7.5, "sampler_name": "ddim"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"1.steps": 101}, "Allowed: 1 to 100"),
        ({"1.steps": 2.5}, "whole number"),
        ({"1.sampler_name": "heun"}, "Allowed: euler, ddim"),
        ({"1.nothing": 1}, "Unknown input"),
        ({"1.model": 1}, "Unknown input"),
        ({"9.steps": 1}, "Unknown input"),
        ({"2.input_id": "y"}, "Unknown input"),
    ],
)
def test_a_wrong_address_or_value_is_refused(values: dict[str, Any], words: str) -> None:
    one = graph(_sampler(model=["2", 0]), node("Text"))
    assert words in _refusal(one, values, catalogue=CATALOGUE).message


def test_without_a_catalogue_the_saved_value_tells_the_type() -> None:
    assert _inputs(_bind(graph(_sampler()), {"1.cfg": 7.5}))["cfg"] == 7.5
    assert "number" in _refusal(graph(_sampler()), {"1.cfg": "high"}).message


def test_a_file_field_takes_no_name_of_the_engines_folder() -> None:
    one = graph({"class_type": "LoadImage", "inputs": {"image": "example.png"}})
    assert "asset" in _refusal(one, {"1.image": "other.png"}, catalogue=CATALOGUE).message
    assert _bind(one, {"1.image": URL}).media == (MediaPlace("1", "image", MediaKind.IMAGE, URL, "1.image"),)


# ------------------------------------------------------------------------------- what a value feeds


@pytest.mark.parametrize("name", ["Text", "TextAny", "Enum"])
@pytest.mark.parametrize(
    ("target", "field", "good"), [("KSampler", "sampler_name", "ddim"), ("ImageBlend", "blend_mode", "screen")]
)
def test_a_value_that_feeds_a_choice_must_be_in_it(name: str, target: str, field: str, good: str) -> None:
    one = graph(node(name), {"class_type": target, "inputs": {field: ["1", 0]}})
    assert _inputs(_bind(one, {"x": good}, catalogue=CATALOGUE))["default_value"] == good
    error = _refusal(one, {"x": "nonsense"}, catalogue=CATALOGUE)
    assert error.place.field == "x"
    assert f"{field} of node 2 ({target})" in error.message
    assert good in error.message
    assert _inputs(_bind(one, {"x": "nonsense"}))["default_value"] == "nonsense"


def test_the_engines_own_list_of_models_is_checked() -> None:
    one = graph(node("Checkpoint"))
    assert "sd.safetensors" in _refusal(one, {"x": "other.safetensors"}, catalogue=CATALOGUE).message
    assert _inputs(_bind(one, {"x": URL}, catalogue=CATALOGUE))["default_value"] == URL


def test_an_upload_list_and_an_unknown_class_are_not_checked() -> None:
    one = graph(
        node("TextAny"),
        {"class_type": "LoadImage", "inputs": {"image": ["1", 0]}},
        {"class_type": "Foreign", "inputs": {"mode": ["1", 0]}},
    )
    assert _bind(one, {"x": "new.png"}, catalogue=CATALOGUE).graph.nodes["1"].inputs["default_value"] == "new.png"


# ---------------------------------------------------------------------------------- deployment, media


def test_the_deployments_default_is_bound_when_nothing_is_given() -> None:
    one = graph(node("NumberInt", "size", default_value=512))
    inputs = narrow(declare(one), {"size": Narrowing(allowed=(512, 768), default=768)})
    assert _inputs(bind(one, inputs, {}))["default_value"] == 768
    assert _inputs(bind(one, inputs, {"size": None}))["default_value"] == 768
    assert _inputs(bind(one, inputs, {"size": "512"}))["default_value"] == 512
    with pytest.raises(InvalidInput, match="Allowed: 512, 768"):
        bind(one, inputs, {"size": 600})


def test_a_plain_field_that_the_deployment_lists_is_narrowed_too() -> None:
    one = graph(_sampler())
    inputs = narrow(declare(one), {"1.steps": Narrowing(allowed=(10, 20), default=10)}, graph=one)
    assert _inputs(bind(one, inputs, {}))["steps"] == 10
    with pytest.raises(InvalidInput, match="Allowed: 10, 20"):
        bind(one, inputs, {"1.steps": 30})


def test_files_are_reported_with_their_public_names() -> None:
    one = graph(
        node("Image", "logo", default_value_url=OTHER_URL),
        node("Image", "back", default_value_url=OTHER_URL),
        {"class_type": "LoadImage", "inputs": {"image": DATA}},
        {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        node("Audio", "voice"),
    )
    bound = _bind(one, {"logo": URL, "voice": "asset:abc"})
    assert bound.media == (
        MediaPlace("1", "input_id", MediaKind.IMAGE, URL, "logo"),
        MediaPlace("2", "default_value_url", MediaKind.IMAGE, OTHER_URL, "back"),
        MediaPlace("3", "image", MediaKind.IMAGE, DATA, "image"),
        MediaPlace("5", "audio_file", MediaKind.AUDIO, "asset:abc", "voice"),
    )


def test_each_file_of_a_list_is_reported_with_its_index() -> None:
    saved = json.dumps([DATA, "a.png"])
    one = graph(node("ImageBatch", "photos", images="[]"), node("ImageBatch", "more", images=saved))
    assert _bind(one, {"photos": [URL, "asset:abc"]}).media == (
        MediaPlace("1", "images", MediaKind.IMAGES, URL, "photos[0]"),
        MediaPlace("1", "images", MediaKind.IMAGES, "asset:abc", "photos[1]"),
        MediaPlace("2", "images", MediaKind.IMAGES, DATA, "more[0]"),
    )
    assert _bind(one, {"2.images": [URL]}).graph.nodes["2"].inputs["images"] == json.dumps([URL])


@pytest.mark.parametrize(("name", "field"), [("Audio", "audio_file"), ("EXR", "exr_file"), ("File", "file_url")])
def test_a_file_in_the_place_of_the_name_is_found_too(name: str, field: str) -> None:
    one = graph({"class_type": f"ComfyUIDeployExternal{name}", "inputs": {"input_id": URL, field: ""}})
    assert [(place.field, place.value) for place in media_places(one)] == [("input_id", URL)]


def test_a_deployments_default_picture_is_a_file_like_any_other() -> None:
    one = graph(node("Image", "logo"))
    inputs = narrow(declare(one), {"logo": Narrowing(default=URL)})
    assert [place.value for place in bind(one, inputs, {}).media] == [URL]


# -------------------------------------------------------------------------------------------- seeds


def test_an_open_seed_is_drawn_once_for_all_nodes_of_its_name() -> None:
    one = graph(
        node("Seed", "s", default_value=-1, min_value=1, max_value=100),
        node("Seed", "s", default_value=-1, min_value=1, max_value=100),
        node("Seed", "t", default_value=5, min_value=1, max_value=100),
    )
    bound = _bind(one, {}, draw=random.Random(3).randint)
    assert set(bound.seeds) == {"s"}
    assert 1 <= bound.seeds["s"] <= 100
    assert [_inputs(bound, node_id)["default_value"] for node_id in "123"] == [bound.seeds["s"], bound.seeds["s"], 5]


def test_a_given_seed_is_not_drawn_and_minus_one_asks_for_one() -> None:
    one = graph(node("Seed", default_value=5, min_value=1, max_value=100))
    assert _bind(one, {"x": 7}, draw=lambda low, high: high).seeds == {}
    assert _bind(one, {"x": -1}, draw=lambda low, high: high).seeds == {"x": 100}
    assert _inputs(_bind(one, {"x": -1}))["default_value"] == -1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from(list(EXTERNALS)), anything)
def test_whatever_is_given_is_bound_to_literals_or_refused(class_type: str, value: Any) -> None:
    one = graph({"class_type": class_type, "inputs": {"input_id": "x"}})
    try:
        bound = _bind(one, {"x": value}, catalogue=CATALOGUE)
    except InvalidInput as error:
        assert error.place.field == "x"
        return
    assert list(bound.graph.nodes["1"].links()) == []
    json.dumps(bound.graph.as_json(), allow_nan=False)


MODELS = {
    "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [["a.safetensors"], {}]}}},
    "Mine": {"input": {"required": {"thing": [["x.gguf"], {}], "mode": [["fast", "slow"], {}]}}},
}
MODEL_URL = "https://models.example/b.safetensors"


def test_a_field_of_models_takes_the_address_of_another_one() -> None:
    one = graph(
        {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
        {"class_type": "Mine", "inputs": {"thing": "x.gguf", "mode": "fast"}},
    )
    bound = bind(one, (), {"1.ckpt_name": MODEL_URL, "2.thing": f"{MODEL_URL}#folder=vae"}, catalogue=MODELS).graph
    assert bound.nodes["1"].inputs["ckpt_name"] == MODEL_URL
    assert bound.nodes["2"].inputs["thing"] == f"{MODEL_URL}#folder=vae"
    assert "Allowed: a.safetensors" in _refusal(one, {"1.ckpt_name": "b.safetensors"}, catalogue=MODELS).message
    assert "Allowed: fast, slow" in _refusal(one, {"2.mode": MODEL_URL}, catalogue=MODELS).message
    assert "inside its folder" in _refusal(one, {"1.ckpt_name": "../b.safetensors"}, catalogue=MODELS).message


def test_a_deployment_that_allows_some_models_allows_no_address() -> None:
    one = graph({"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}})
    narrowed = narrow((), {"1.ckpt_name": Narrowing(allowed=("a.safetensors",))}, graph=one)
    with pytest.raises(InvalidInput, match="cannot be"):
        bind(one, narrowed, {"1.ckpt_name": MODEL_URL}, catalogue=MODELS)
    narrowed = narrow((), {"1.ckpt_name": Narrowing(default=MODEL_URL)}, graph=one)
    assert bind(one, narrowed, {}, catalogue=MODELS).graph.nodes["1"].inputs["ckpt_name"] == MODEL_URL


def test_a_folder_of_pictures_is_a_list_of_files() -> None:
    one = graph({"class_type": "VHS_LoadImages", "inputs": {"directory": "pictures"}})
    bound = bind(one, (), {"1.directory": ["https://a.example/1.png", "https://a.example/2.png"]})
    assert [place.label for place in bound.media] == ["1.directory[0]", "1.directory[1]"]


def test_a_name_in_the_graph_that_leaves_its_folder_is_refused() -> None:
    for leaving in (
        {"class_type": "LoadImage", "inputs": {"image": "../secret.png"}},
        {"class_type": "SaveImage", "inputs": {"filename_prefix": "/etc/cron.d/x"}},
        {"class_type": "VAELoader", "inputs": {"vae_name": "/data/x.pt"}},
    ):
        assert _refusal(graph(leaving), {}).place.node_id == "1"
