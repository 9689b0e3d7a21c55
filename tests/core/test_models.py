"""Which folder a model by URL belongs in: by the table, by the engine's own lists, by the caller's word."""

from collections.abc import Mapping
from typing import Any

import pytest

from comfyserve.core.catalogue import FieldSpec
from comfyserve.core.errors import InvalidInput
from comfyserve.core.graph import parse_graph
from comfyserve.core.models import check_model_names, model_places, split_wish, takes_models, undecided

URL = "https://models.example/some.safetensors?token=x"
FOLDERS: Mapping[str, list[str]] = {
    "checkpoints": ["a.safetensors", "b.safetensors"],
    "loras": ["l.safetensors"],
    "vae": ["v.safetensors"],
    "controlnet": [],
    "upscale_models": ["u.pth"],
    "diffusion_models": ["d.safetensors"],
    "unet_gguf": [],
    "twins": ["l.safetensors"],
}


def catalogue(**fields: Any) -> Mapping[str, Any]:
    return {"Loader": {"input": {"required": fields}}}


def places(class_type: str, inputs: Mapping[str, Any], told: Mapping[str, Any] | None = None, **folders: Any) -> Any:
    graph = parse_graph({"1": {"class_type": class_type, "inputs": dict(inputs)}})
    return model_places(graph, told, folders.get("folders", FOLDERS))


@pytest.mark.parametrize(
    ("class_type", "field", "folder"),
    [
        ("CheckpointLoaderSimple", "ckpt_name", "checkpoints"),
        ("CheckpointLoader", "config_name", "configs"),
        ("UNETLoader", "unet_name", "diffusion_models"),
        ("CLIPVisionLoader", "clip_name", "clip_vision"),
        ("CLIPLoader", "clip_name", "text_encoders"),
        ("QuadrupleCLIPLoader", "clip_name4", "text_encoders"),
        ("DiffusersLoader", "model_path", "diffusers"),
        ("UpscaleModelLoader", "model_name", "upscale_models"),
        ("UnetLoaderGGUF", "unet_name", "unet_gguf"),
        ("CLIPLoaderGGUF", "clip_name", "text_encoders"),
        ("ComfyUIDeployExternalLora", "lora_url", "loras"),
    ],
)
def test_the_table_knows(class_type: str, field: str, folder: str) -> None:
    (found,) = places(class_type, {field: URL})
    assert (found.folder, found.url, found.field) == (folder, URL, field)


def test_a_loader_that_nobody_listed_is_known_by_the_names_it_offers() -> None:
    told = catalogue(thing=[["a.safetensors", "b.safetensors"], {}], other=["COMBO", {"options": ["None", "u.pth"]}])
    found = places("Loader", {"thing": URL, "other": URL}, told)
    assert [place.folder for place in found] == ["checkpoints", "upscale_models"]


def test_an_empty_list_is_decided_by_the_name_of_the_field() -> None:
    (found,) = places("Loader", {"control_net_name": URL}, catalogue(control_net_name=[[], {}]))
    assert found.folder == "controlnet"


def test_of_two_folders_with_one_list_the_name_of_the_field_decides() -> None:
    told = catalogue(lora_name=[["l.safetensors"], {}], thing=[["l.safetensors"], {}])
    assert places("Loader", {"lora_name": URL}, told)[0].folder == "loras"
    with pytest.raises(InvalidInput, match="loras or twins; say which with #folder=") as caught:
        places("Loader", {"thing": URL}, told)
    assert caught.value.place.as_dict() == {"node_id": "1", "field": "thing"}


def test_the_caller_may_say_which_folder() -> None:
    (found,) = places("Loader", {"thing": f"{URL}#folder=loras"}, catalogue(thing=["STRING", {}]))
    assert (found.folder, found.url) == ("loras", URL)
    assert places("UNETLoader", {"unet_name": f"{URL}#folder=clip"}, None, folders=None)[0].folder == "clip"
    with pytest.raises(InvalidInput, match="no models of the kind 'nonsense'"):
        places("Loader", {"thing": f"{URL}#folder=nonsense"})
    with pytest.raises(InvalidInput, match="name of a kind of models"):
        places("Loader", {"thing": f"{URL}#folder=../x"}, None, folders=None)
    assert split_wish("https://a/b#other") == ("https://a/b#other", "")


def test_a_choice_that_is_no_model_takes_no_address() -> None:
    with pytest.raises(InvalidInput, match="mode of Loader cannot be an address"):
        places("Loader", {"mode": URL}, catalogue(mode=[["fast", "slow"], {}]))


def test_texts_links_and_names_are_left_alone() -> None:
    told = catalogue(text=["STRING", {}], link=[["l.safetensors"], {}], name=[["l.safetensors"], {}])
    graph = {
        "1": {"class_type": "Loader", "inputs": {"text": URL, "link": ["2", 0], "name": "l.safetensors"}},
        "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "https"}},
        "3": {"class_type": "LoadImage", "inputs": {"image": URL}},
    }
    assert list(model_places(parse_graph(graph), told, FOLDERS)) == []


@pytest.mark.parametrize(
    ("class_type", "field", "asks"),
    [("LoadImage", "image", False), ("LoraLoader", "lora_name", False), ("Loader", "thing", True)],
)
def test_the_engine_is_asked_only_about_fields_of_no_table(class_type: str, field: str, asks: bool) -> None:
    assert undecided(parse_graph({"1": {"class_type": class_type, "inputs": {field: URL}}})) is asks
    assert not undecided(parse_graph({"1": {"class_type": class_type, "inputs": {field: "a.png"}}}))


@pytest.mark.parametrize(
    ("field", "spec", "takes"),
    [
        ("ckpt_name", FieldSpec("COMBO", (), {}, ()), True),
        ("thing", FieldSpec("COMBO", ("x.gguf",), {}, ("x.gguf",)), True),
        ("thing", FieldSpec("COMBO", ("fast", "slow"), {}, ("fast", "slow")), False),
        ("ckpt_name", FieldSpec("STRING"), False),
        ("ckpt_name", None, False),
    ],
)
def test_which_choices_may_be_given_an_address(field: str, spec: FieldSpec | None, takes: bool) -> None:
    assert takes_models("Loader", field, spec) is takes


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.pt", "a/../../x.pt", "C:\\x.pt", "..\\x.pt", "\\\\host\\x"])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    graph = parse_graph({"7": {"class_type": "LoraLoader", "inputs": {"lora_name": name}}})
    with pytest.raises(InvalidInput) as caught:
        check_model_names(graph)
    assert caught.value.place.as_dict() == {"node_id": "7", "field": "lora_name"}


@pytest.mark.parametrize("name", ["x.safetensors", "SDXL/x.safetensors", "SDXL\\x.safetensors", "a..b.pt"])
def test_a_plain_name_is_let_through(name: str) -> None:
    check_model_names(parse_graph({"7": {"class_type": "LoraLoader", "inputs": {"lora_name": name}}}))


@pytest.mark.parametrize("value", ["asset:0123456789", "data:application/octet-stream;base64,AA=="])
def test_an_upload_is_no_model(value: str) -> None:
    with pytest.raises(InvalidInput, match="lora_name cannot be an upload"):
        check_model_names(parse_graph({"7": {"class_type": "LoraLoader", "inputs": {"lora_name": value}}}))
