import json
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.nodes.drawings import Svg, load_animated_scene, load_scene, save_glb, save_svg, show_scene

DRAWING = b'<?xml version="1.0"?><svg width="4" xmlns="http://www.w3.org/2000/svg"><rect/></svg>'


@dataclass
class Mesh:
    vertices: Any
    faces: Any


def test_drawings_are_saved_with_their_graph(context: NodeContext) -> None:
    prompt = {"1": {"class_type": "A", "inputs": {"text": "]]>"}}}
    ui = save_svg(Svg([BytesIO(DRAWING), BytesIO(DRAWING)]), "svg/x", prompt, {"workflow": {}})
    assert [image["filename"] for image in ui["images"]] == ["x_00001_.svg", "x_00002_.svg"]
    assert ui["images"][0]["subfolder"] == "svg"
    from xml.etree import ElementTree

    root = ElementTree.fromstring((context.folders.output / "svg" / "x_00001_.svg").read_text())
    metadata = root.find("metadata") or root[0]
    assert json.loads(metadata.text or "") == {"prompt": prompt, "workflow": {}}
    assert len(root) == 2


def test_a_drawing_without_a_graph_stays_as_it_is(context: NodeContext) -> None:
    save_svg(Svg([BytesIO(DRAWING)]), "x")
    assert (context.folders.output / "x_00001_.svg").read_bytes() == DRAWING


def rendered(context: NodeContext, name: str, color: tuple[int, ...]) -> str:
    Pillow.new("RGBA", (4, 2), color).save(context.folders.input / name)
    return name


def test_a_scene_is_what_the_front_end_rendered(context: NodeContext) -> None:
    widget = {
        "image": rendered(context, "a.png", (255, 0, 0, 255)),
        "mask": rendered(context, "b.png", (0, 0, 0, 0)),
        "normal": rendered(context, "c.png", (0, 255, 0, 255)),
        "lineart": rendered(context, "d.png", (0, 0, 255, 255)),
        "camera_info": {"fov": 35},
        "recording": "",
    }
    image, mask, path, normal, lineart, camera, video = load_scene("3d/x.glb", widget, width=4, height=2)
    assert [picture[0, 0, 0].tolist() for picture in (image, normal, lineart)] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert mask.min() == 1
    assert (path, camera, video) == ("3d/x.glb", {"fov": 35}, None)
    assert len(load_animated_scene("3d/x.glb", widget)) == 6


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("widget", [{}, {"image": 3}, "text", {"image": ""}])
def test_a_scene_that_was_not_rendered_says_so(widget: Any) -> None:
    with pytest.raises(ValueError, match="no rendered 'image'"):
        load_scene("3d/x.glb", widget)


def test_meshes_are_listed_with_their_folder(context: NodeContext) -> None:
    folder = context.folders.input / "3d" / "deep"
    folder.mkdir(parents=True)
    for name in ("b.GLB", "a.stl", "x.txt"):
        (folder / name).touch()
    assert NODE_CLASS_MAPPINGS["Load3D"].INPUT_TYPES()["required"]["model_file"][0] == [
        "3d/deep/a.stl",
        "3d/deep/b.GLB",
    ]
    assert NODE_CLASS_MAPPINGS["Load3DAnimation"].INPUT_TYPES()["required"]["model_file"][0] == ["3d/deep/b.GLB"]


def test_a_preview_names_the_file_and_the_camera() -> None:
    assert show_scene("x.glb", {"fov": 1}) == {"result": ["x.glb", {"fov": 1}]}


def test_a_mesh_is_a_binary_gltf(context: NodeContext) -> None:
    corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 2, 0]]], np.float32)
    ui = save_glb(Mesh(corners, np.array([[[0, 1, 2]]])), "mesh/x", {"1": {}})
    assert ui == {"3d": [{"filename": "x_00001_.glb", "subfolder": "mesh", "type": "output"}]}
    data = (context.folders.output / "mesh" / "x_00001_.glb").read_bytes()
    magic, version, total, length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, total, kind) == (b"glTF", 2, len(data), b"JSON")
    described = json.loads(data[20 : 20 + length])
    assert described["accessors"][0]["max"] == [1, 2, 0]
    assert described["asset"]["extras"] == {"prompt": '{"1": {}}'}
    binary = data[20 + length + 8 :]
    assert np.frombuffer(binary[:36], "<f4").tolist() == corners.ravel().tolist()
    assert np.frombuffer(binary[36:], "<u4").tolist() == [0, 1, 2]
