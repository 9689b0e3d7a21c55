"""Names of the download cache: known when seen, written by no caller, shown to none."""

from typing import Any

import pytest

from comfyserve.core.errors import InvalidInput
from comfyserve.core.graph import parse_graph
from comfyserve.core.kept_names import is_kept_name, without_kept
from comfyserve.core.models import check_model_names
from comfyserve.fetch.cache.names import cache_key

KEY = "Pk6VSKLStckZydwGhX0bM8TqaqHEW9yt"
"""Of the address that stateless-comfyui-api.md section 3.7 works out."""
NAME = f"{KEY}.safetensors"


@pytest.mark.parametrize("name", [KEY, NAME, f"{KEY}-2.bin", f"{KEY}_2.pt", f"sub/{NAME}", f"a\\b\\{NAME}", f" {NAME}"])
def test_a_name_of_the_cache(name: str) -> None:
    assert is_kept_name(name)


def test_every_key_is_one() -> None:
    assert all(is_kept_name(cache_key(f"https://h/{number}")) for number in range(2000))


@pytest.mark.parametrize(
    "name",
    [
        "style.safetensors",
        "d41d8cd98f00b204e9800998ecf8427e.safetensors",
        "sd_xl_base_1_0_with_the_vae_fix1.safetensors",
        f"{KEY}x.safetensors",
        f"{KEY}/style.safetensors",
        f"{KEY[:-1]}.safetensors",
        7,
        None,
    ],
)
def test_a_name_of_an_operator(name: Any) -> None:
    assert not is_kept_name(name)


@pytest.mark.parametrize(
    ("class_type", "inputs"),
    [
        ("LoraLoader", {"lora_name": NAME}),
        ("LoraLoader", {"lora_name": KEY}),
        ("DiffusersLoader", {"model_path": KEY}),
        ("Unknown", {"lora_name": f"sub/{KEY}"}),
        ("Unknown", {"thing": NAME}),
        ("Unknown", {"text": f"a cat <lora:{NAME}:1>"}),
        ("Unknown", {"lora_1": {"on": True, "lora": NAME}}),
        ("Unknown", {"stack": [["x", NAME]]}),
    ],
)
def test_no_caller_writes_one(class_type: str, inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="was downloaded for a run; give its URL") as caught:
        check_model_names(parse_graph({"7": {"class_type": class_type, "inputs": inputs}}))
    assert (caught.value.place.node_id, caught.value.place.field) == ("7", next(iter(inputs)))


@pytest.mark.parametrize(
    "inputs",
    [
        {"text": KEY},
        {"lora_name": f"https://h/{NAME}"},
        {"text": "d41d8cd98f00b204e9800998ecf8427e.bin"},
        {"model": ["4", 0], "seed": 7},
    ],
)
def test_what_may_be_written(inputs: dict[str, Any]) -> None:
    graph = {"4": {"class_type": "A", "inputs": {}}, "7": {"class_type": "LoraLoader", "inputs": inputs}}
    check_model_names(parse_graph(graph))


def test_nobody_is_shown_one() -> None:
    catalogue = {
        "Old": {"input": {"required": {"lora_name": [["a.pt", NAME, f"sub/{NAME}"], {"tooltip": "x"}], "n": ["INT"]}}},
        "New": {"input": {"optional": {"lora": ["COMBO", {"options": [KEY, "b.pt"], "default": "b.pt"}]}}},
    }
    shown = without_kept(catalogue)
    assert shown["Old"]["input"]["required"] == {"lora_name": [["a.pt"], {"tooltip": "x"}], "n": ["INT"]}
    assert shown["New"]["input"]["optional"] == {"lora": ["COMBO", {"options": ["b.pt"], "default": "b.pt"}]}
    refusal = f"Value not in list (lora_name: 'b' not in ['a.pt', '{NAME}'])"
    assert without_kept(refusal) == "Value not in list (lora_name: 'b' not in ['a.pt', 'a downloaded model'])"
