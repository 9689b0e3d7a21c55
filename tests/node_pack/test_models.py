"""Models by name and by URL."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import RunNode
from .origin import BadOrigin

LORA = "ComfyUIDeployExternalLora"
CHECKPOINT = "ComfyUIDeployExternalCheckpoint"
FACE = "ComfyUIDeployExternalFaceModel"


@pytest.fixture
def there(base: Path) -> Path:
    """A LoRA that is there."""
    path = base / "models" / "loras" / "here.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.usefixtures("there")
def test_a_name_of_the_list_is_passed_on(run: RunNode) -> None:
    assert run(LORA, input_id="x", default_lora_name="here.safetensors") == ("here.safetensors",)
    assert run(LORA, input_id="x", default_lora_name="gone.safetensors", lora_url="here.safetensors") == (
        "here.safetensors",
    )


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "no value and no default"),
        ({"default_lora_name": "gone.safetensors"}, "There is no 'gone.safetensors' in models/loras"),
        ({"lora_url": "gone", "default_lora_name": "here.safetensors"}, "There is no 'gone'"),
        ({"lora_url": "../loras/here.safetensors/../../x"}, "There is no"),
        ({"lora_url": "asset:0123456789"}, "An uploaded file cannot be a model yet"),
        ({"lora_url": "https://example.com/a.safetensors?key=secret"}, "is not downloaded by this engine"),
    ],
)
def test_a_model_that_cannot_be_had_is_an_error(run: RunNode, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        run(LORA, input_id="x", **inputs)
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("there")
def test_a_default_is_asked_for_only_where_it_is_used(pack: ModuleType, run: RunNode) -> None:
    run(LORA, input_id="x", default_lora_name="here.safetensors")
    lora = pack.NODE_CLASS_MAPPINGS[LORA].VALIDATE_INPUTS
    assert lora(default_lora_name="here.safetensors") is True
    assert lora(default_lora_name="gone", lora_url="https://example.com/x") is True
    assert "no 'gone'" in str(lora(default_lora_name="gone", lora_url=""))
    checkpoint = pack.NODE_CLASS_MAPPINGS[CHECKPOINT].VALIDATE_INPUTS
    assert checkpoint(input_id="x", default_value="https://example.com/x.safetensors") is True
    assert "no 'gone'" in str(checkpoint(input_id="x", default_value="gone"))


@pytest.mark.usefixtures("open_loopback")
def test_inside_comfyui_a_model_is_downloaded_once(comfy_run: RunNode, base: Path, origin: BadOrigin) -> None:
    origin.files["/style.safetensors"] = b"weights"
    url = f"{origin.url}/style.safetensors?token=secret"
    (first,) = comfy_run(LORA, input_id=url, lora_url=url, bearer_token="bearer")
    assert comfy_run(LORA, input_id=url, lora_url=url) == (first,)
    assert re.fullmatch(r"style-[0-9a-f]{12}\.safetensors", first)
    assert (base / "models" / "loras" / first).read_bytes() == b"weights"
    assert origin.asked["/style.safetensors"] == 1
    assert origin.headers["/style.safetensors"]["Authorization"] == "Bearer bearer"


@pytest.mark.usefixtures("open_loopback")
def test_inside_comfyui_a_save_name_is_the_name(comfy_run: RunNode, base: Path, origin: BadOrigin) -> None:
    origin.files["/1"] = b"weights"
    inputs = {"input_id": "x", "lora_url": f"{origin.url}/1"}
    assert comfy_run(LORA, **inputs, lora_save_name="sub/own") == ("sub/own.safetensors",)
    assert (base / "models" / "loras" / "sub" / "own.safetensors").is_file()
    for name in ("../own", "/own", "a/../../own", "C:own", "..\\own", ".hidden"):
        with pytest.raises(ValueError, match="leaves its folder"):
            comfy_run(LORA, **inputs, lora_save_name=name)


@pytest.mark.usefixtures("open_loopback")
def test_inside_comfyui_the_other_models_are_downloaded_too(comfy_run: RunNode, base: Path, origin: BadOrigin) -> None:
    origin.files |= {"/c.ckpt": b"checkpoint", "/f.safetensors": b"face"}
    (name,) = comfy_run(CHECKPOINT, input_id="x", default_value=f"{origin.url}/c.ckpt")
    assert (base / "models" / "checkpoints" / name).read_bytes() == b"checkpoint"
    (name,) = comfy_run(FACE, input_id="x", face_model_url=f"{origin.url}/f.safetensors", face_model_save_name="f")
    assert (base / "models" / "reactor" / "faces" / "f.safetensors").read_bytes() == b"face"
    assert comfy_run(FACE, input_id="x", default_face_model_name=name) == ("f.safetensors",)


@pytest.mark.usefixtures("open_loopback")
def test_a_download_that_fails_leaves_nothing(comfy_run: RunNode, base: Path, origin: BadOrigin) -> None:
    with pytest.raises(ValueError, match="broke off"):
        comfy_run(LORA, input_id="x", lora_url=f"{origin.url}/short")
    assert list((base / "models" / "loras").iterdir()) == []
