"""Vector drawings and 3D files (catalogue of the protocol spec: IO and 3D). The front end renders."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.nodes.declare import SAVE_METADATA, Family, Inputs, integer, listing, text
from comfyserve.embedded.nodes.io import Prompt, Ui, load_image, png_texts
from comfyserve.embedded.pixels.arrays import Image, Mask

family = Family()

MODULE = "comfy_extras.nodes_load_3d"
MESHES: Final = (".gltf", ".glb", ".obj", ".fbx", ".stl")
ANIMATED_MESHES: Final = (".gltf", ".glb", ".fbx")
SIDE = integer(1024, 1, 4096, 1)
# glTF 2.0, section 3.6 and 4.4 (binary form): component types, buffer targets, chunk types.
FLOAT, UINT = 5126, 5125
VERTICES, INDICES = 34962, 34963
JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\0"


@dataclass(frozen=True)
class Svg:
    """What an SVG link carries: the drawings as UTF-8 files in memory."""

    data: list[BytesIO]


@family.node(
    "SaveSVGNode",
    "comfy_extras.nodes_images",
    "image/save",
    {"svg": ("SVG",), "filename_prefix": text("svg/ComfyUI")},
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_svg(
    svg: Svg, filename_prefix: str = "svg/ComfyUI", prompt: Prompt | None = None, extra_pnginfo: Prompt | None = None
) -> Ui:
    """One .svg per drawing in the output folder, with the graph in a metadata element."""
    target = current().folders.next_output(filename_prefix, "output")
    written = {key: json.loads(value) for key, value in png_texts(prompt, extra_pnginfo).items()}
    described = json.dumps(written, indent=2).replace("]]>", "]]]]><![CDATA[>")
    element = f"\n<metadata>\n<![CDATA[\n{described}\n]]>\n</metadata>\n" if written else ""
    saved = []
    for index, drawing in enumerate(svg.data):
        name = target.name(index, "svg")
        source = drawing.getvalue().decode()
        marked = re.sub(r"<svg[^>]*>", lambda found: found[0] + element, source, count=1)
        (target.folder / name).write_text(marked, encoding="utf-8")
        saved.append({"filename": name, "subfolder": target.subfolder, "type": "output"})
    return {"images": saved}


def _meshes(endings: tuple[str, ...]) -> Callable[[Folders], list[str]]:
    def files(folders: Folders) -> list[str]:
        found = (
            (Path(path) / name).relative_to(folders.input).as_posix()
            for path, _, names in os.walk(folders.input / "3d")
            for name in names
            if name.lower().endswith(endings)
        )
        return sorted(found)

    return files


def _scene(kind: str, endings: tuple[str, ...]) -> Inputs:
    return {
        "model_file": listing(_meshes(endings), file_upload=True),
        "image": (kind, {}),
        "width": SIDE,
        "height": SIDE,
    }


@family.node(
    "Load3D",
    MODULE,
    "3d",
    _scene("LOAD_3D", MESHES),
    ("IMAGE", "MASK", "STRING", "IMAGE", "IMAGE", "LOAD3D_CAMERA", "VIDEO"),
    title="Load 3D",
    names=("image", "mask", "mesh_path", "normal", "lineart", "camera_info", "recording_video"),
    experimental=True,
)
def load_scene(
    model_file: str, image: Mapping[str, Any], **_: object
) -> tuple[Image, Mask, str, Image, Image, Any, Any]:
    """The pictures that the front end rendered and uploaded, by their names in the widget's object."""
    picture, mask, normal = _rendered(image)
    lineart = load_image(_name(image, "lineart"))[0]
    return picture, mask, model_file, normal, lineart, image.get("camera_info"), _recording(image)


@family.node(
    "Load3DAnimation",
    MODULE,
    "3d",
    _scene("LOAD_3D_ANIMATION", ANIMATED_MESHES),
    ("IMAGE", "MASK", "STRING", "IMAGE", "LOAD3D_CAMERA", "VIDEO"),
    title="Load 3D - Animation",
    names=("image", "mask", "mesh_path", "normal", "camera_info", "recording_video"),
    experimental=True,
)
def load_animated_scene(
    model_file: str, image: Mapping[str, Any], **_: object
) -> tuple[Image, Mask, str, Image, Any, Any]:
    """As Load3D, without line art."""
    picture, mask, normal = _rendered(image)
    return picture, mask, model_file, normal, image.get("camera_info"), _recording(image)


def _rendered(image: Mapping[str, Any]) -> tuple[Image, Mask, Image]:
    return (
        load_image(_name(image, "image"))[0],
        load_image(_name(image, "mask"))[1],
        load_image(_name(image, "normal"))[0],
    )


def _name(image: Mapping[str, Any], key: str) -> str:
    name = image.get(key) if isinstance(image, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"The scene has no rendered {key!r}. Open the graph in the editor, which renders it.")
    return name


def _recording(image: Mapping[str, Any]) -> Any:
    from comfyserve.embedded.nodes.video import load_video  # few scenes have one, and it needs a library

    return load_video(image["recording"]) if image.get("recording") else None


def show_scene(model_file: str, camera_info: Any = None) -> dict[str, list[Any]]:
    """The file and the camera, for the front end to show."""
    return {"result": [model_file, camera_info]}


for _class, _title in (("Preview3D", "Preview 3D"), ("Preview3DAnimation", "Preview 3D - Animation")):
    family.node(
        _class,
        MODULE,
        "3d",
        {"model_file": text("", multiline=False)},
        title=_title,
        optional={"camera_info": ("LOAD3D_CAMERA", {})},
        output_node=True,
        experimental=True,
    )(show_scene)


@family.node(
    "SaveGLB",
    "comfy_extras.nodes_hunyuan3d",
    "3d",
    {"mesh": ("MESH",), "filename_prefix": text("mesh/ComfyUI")},
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_glb(mesh: Any, filename_prefix: str, prompt: Prompt | None = None, extra_pnginfo: Prompt | None = None) -> Ui:
    """One .glb per mesh: `vertices` [B,N,3] and the corners of its triangles, `faces` [B,M,3]."""
    target = current().folders.next_output(filename_prefix, "output")
    texts = png_texts(prompt, extra_pnginfo)
    saved = []
    for index, (vertices, faces) in enumerate(zip(mesh.vertices, mesh.faces, strict=True)):
        name = target.name(index, "glb")
        (target.folder / name).write_bytes(_glb(np.asarray(vertices, "<f4"), np.asarray(faces, "<u4"), texts))
        saved.append({"filename": name, "subfolder": target.subfolder, "type": "output"})
    return {"3d": saved}


def _glb(vertices: npt.NDArray[Any], faces: npt.NDArray[Any], texts: Mapping[str, str]) -> bytes:
    points, corners = vertices.tobytes(), faces.tobytes()
    data = points + corners
    bounds = {"min": vertices.min(0).tolist(), "max": vertices.max(0).tolist()} if len(vertices) else {}
    described = {
        "asset": {"version": "2.0", "generator": "comfyserve", **({"extras": dict(texts)} if texts else {})},
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(points), "target": VERTICES},
            {"buffer": 0, "byteOffset": len(points), "byteLength": len(corners), "target": INDICES},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": FLOAT, "count": len(vertices), "type": "VEC3", **bounds},
            {"bufferView": 1, "componentType": UINT, "count": faces.size, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": 4}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }
    head = json.dumps(described).encode()
    chunks = _chunk(JSON_CHUNK, head + b" " * (-len(head) % 4)) + _chunk(BINARY_CHUNK, data)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("<I4s", len(data), kind) + data
