"""What the embedded engine publishes of the package."""

from pathlib import Path

import pytest

from comfyserve.core.inputs import EXTERNALS, OUTPUTS, TOOLS
from comfyserve.embedded.context import NodeContext, activate
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.graph.catalogue import Catalogue
from comfyserve.embedded.packs import load_catalogue


@pytest.fixture
def catalogue(folders: Folders) -> Catalogue:
    activate(NodeContext(folders=folders))
    return load_catalogue(folders)


@pytest.mark.parametrize("class_type", [*EXTERNALS, *OUTPUTS, *TOOLS])
def test_the_engine_publishes_every_node(catalogue: Catalogue, class_type: str) -> None:
    info = catalogue.info(class_type)
    assert info["category"] == "🔗ComfyDeploy"
    assert info["python_module"] == "custom_nodes.comfyserve"
    assert info["display_name"] != class_type
    assert info["description"]
    fields = [field for group in ("required", "optional") for field in info["input"].get(group, {}).values()]
    assert fields and all(field[1]["tooltip"] for field in fields)


def test_the_published_form_is_the_documented_one(catalogue: Catalogue) -> None:
    info = catalogue.info("ComfyUIDeployExternalNumberSlider")
    ((kind, options),) = info["input"]["required"].values()
    assert (kind, options["default"]) == ("STRING", "input_number_slider")
    assert info["input_order"]["optional"] == ["default_value", "min_value", "max_value", "display_name", "description"]
    assert (info["output"], info["output_name"]) == (["FLOAT"], ["value"])
    assert catalogue.info("ComfyUIDeployExternalTextAny")["output"] == ["*"]


def test_files_that_are_there_are_choices(catalogue: Catalogue, base: Path) -> None:
    (base / "input" / "b.mp4").touch()
    (base / "input" / "a.png").touch()
    (base / "models" / "loras").mkdir(parents=True, exist_ok=True)
    (base / "models" / "loras" / "own.safetensors").touch()
    video = catalogue.info("ComfyUIDeployExternalVideo")["input"]["optional"]["default_video"]
    lora = catalogue.info("ComfyUIDeployExternalLora")["input"]["optional"]["default_lora_name"]
    assert video[0] == ["b.mp4"]
    assert "own.safetensors" in lora[0]
