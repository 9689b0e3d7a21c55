"""Packs that save through ComfyUI's own savers mark simulated results, and only those."""

from typing import Any

import pytest
from PIL import Image

from comfyserve.embedded.files.folders import Folders

from .conftest import Write, serving

PACK = """
import nodes
from comfy_api.latest import ComfyExtension, io, ui

class Classic(nodes.SaveImage):
    pass

class Glance(nodes.PreviewImage):
    pass

class Modern(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Modern", inputs=[io.Image.Input("images")], outputs=[], is_output_node=True,
                         hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo])

    @classmethod
    def execute(cls, images):
        return io.NodeOutput(ui=ui.ImageSaveHelper.get_save_images_ui(images, "modern", cls))

class Look(Modern):
    @classmethod
    def define_schema(cls):
        schema = super().define_schema()
        schema.node_id = "Look"
        return schema

    @classmethod
    def execute(cls, images):
        return io.NodeOutput(ui=ui.PreviewImage(images, cls=cls))

NODE_CLASS_MAPPINGS = {"Classic": Classic, "Glance": Glance, "Modern": Modern, "Look": Look}
"""
DRAWN = {
    "1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "2": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
    "3": {"class_type": "VAEDecode", "inputs": {"samples": ["1", 0], "vae": ["2", 0]}},
}
PLAIN = {"3": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}}


@pytest.mark.parametrize("saver", ["Classic", "Glance", "Modern", "Look"])
@pytest.mark.parametrize(("source", "simulated"), [(DRAWN, True), (PLAIN, False)])
async def test_what_packs_save_is_marked(
    folders: Folders, write: Write, saver: str, source: dict[str, Any], simulated: bool
) -> None:
    write("saver", {"__init__.py": PACK})
    (folders.models / "vae").mkdir(parents=True, exist_ok=True)
    (folders.models / "vae" / "ae.safetensors").touch()
    async with serving(folders) as seat:
        saving = {"class_type": saver, "inputs": {"images": ["3", 0], "filename_prefix": "pack"}}
        _, record = await seat.run({**source, "9": saving})
    shown = record["outputs"]["9"]
    assert shown.get("simulated") == ([True] if simulated else None)
    (item,) = shown["images"]
    with Image.open(folders.of_type(item["type"]) / item["filename"]) as saved:
        assert saved.info.get("simulated") == ("true" if simulated else None)
        assert "prompt" in saved.info
