"""Every model-free node at 1024 x 1024 in the embedded engine, and beside it in a ComfyUI at a URL.

Each round makes new inputs in one prompt and runs the node on them in a second one, where the cache holds them. The
time is that between the engine's own stamps, with the PreviewAny that ends the graph: when messages arrive says
nothing, since ComfyUI often sends those of a whole run at once. The stamps are in milliseconds.
"""

import io
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import uuid4

import aiohttp
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench import servers

Inputs = Mapping[str, Any]
Graph = dict[str, dict[str, Any]]

SIDE = 1024
ROUNDS = 5
SECONDS = 120
# Below this a time is that of the messages.
NOISE_MS = 3.0
# What stands for a link: where such a value comes from in the graph below.
LINKS: dict[str, list[Any]] = {
    "IMAGE": ["noise", 0],
    "IMAGE2": ["noise2", 0],
    "RGBA": ["rgba", 0],
    "MASK": ["mask", 0],
    "MASK2": ["mask2", 0],
    "LATENT": ["latent", 0],
    "LATENT2": ["latent2", 0],
}
SCALES = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")


@dataclass(frozen=True)
class Case:
    """One node with its inputs; `note` tells apart cases of one class."""

    node: str
    inputs: Inputs
    note: str = ""

    @property
    def title(self) -> str:
        return f"{self.node} {self.note}".strip()


CASES = [
    Case("LoadImage", {"image": "FILE"}),
    Case("LoadImageMask", {"image": "FILE", "channel": "red"}),
    Case("SaveImage", {"images": "IMAGE", "filename_prefix": "bench/nodes"}),
    Case("PreviewImage", {"images": "IMAGE"}),
    Case("MaskPreview", {"mask": "MASK"}),
    Case("SaveAnimatedPNG", {"images": "IMAGE", "filename_prefix": "bench/nodes", "fps": 6.0, "compress_level": 4}),
    Case(
        "SaveAnimatedWEBP",
        {
            "images": "IMAGE",
            "filename_prefix": "bench/nodes",
            "fps": 6.0,
            "lossless": False,
            "quality": 80,
            "method": "default",
        },
    ),
    *(
        Case(
            "ImageScale",
            {"image": "IMAGE", "upscale_method": method, "width": 1536, "height": 1536, "crop": "disabled"},
            f"{method} x 1.5",
        )
        for method in SCALES
    ),
    *(
        Case("ImageScaleBy", {"image": "IMAGE", "upscale_method": method, "scale_by": 0.5}, f"{method} x 0.5")
        for method in SCALES
    ),
    Case("ImageScaleToTotalPixels", {"image": "IMAGE", "upscale_method": "lanczos", "megapixels": 0.5}),
    Case("ImageScaleToMaxDimension", {"image": "IMAGE", "upscale_method": "area", "largest_size": 700}),
    Case("FluxKontextImageScale", {"image": "IMAGE"}),
    Case("ImageCrop", {"image": "IMAGE", "width": 512, "height": 512, "x": 100, "y": 100}),
    Case(
        "ImagePadForOutpaint",
        {"image": "IMAGE", "left": 128, "top": 128, "right": 128, "bottom": 128, "feathering": 40},
    ),
    Case(
        "ResizeAndPadImage",
        {
            "image": "IMAGE",
            "target_width": 1200,
            "target_height": 900,
            "padding_color": "white",
            "interpolation": "bicubic",
        },
    ),
    Case("ImageRotate", {"image": "IMAGE", "rotation": "90 degrees"}),
    Case("ImageFlip", {"image": "IMAGE", "flip_method": "x-axis: vertically"}),
    Case(
        "ImageStitch",
        {
            "image1": "IMAGE",
            "image2": "IMAGE2",
            "direction": "right",
            "match_image_size": True,
            "spacing_width": 8,
            "spacing_color": "white",
        },
    ),
    Case("GetImageSize", {"image": "IMAGE"}),
    Case("EmptyImage", {"width": SIDE, "height": SIDE, "batch_size": 1, "color": "ROUND"}),
    Case("ImageInvert", {"image": "IMAGE"}),
    *(
        Case("ImageBlend", {"image1": "IMAGE", "image2": "IMAGE2", "blend_factor": 0.5, "blend_mode": mode}, mode)
        for mode in ("normal", "overlay", "soft_light")
    ),
    Case("ImageBlur", {"image": "IMAGE", "blur_radius": 1, "sigma": 1.0}, "radius 1"),
    Case("ImageBlur", {"image": "IMAGE", "blur_radius": 10, "sigma": 1.0}, "radius 10"),
    Case("ImageSharpen", {"image": "IMAGE", "sharpen_radius": 2, "sigma": 1.0, "alpha": 1.0}),
    *(
        Case("ImageQuantize", {"image": "IMAGE", "colors": 16, "dither": dither}, dither)
        for dither in ("none", "floyd-steinberg", "bayer-4")
    ),
    Case("ImageAddNoise", {"image": "IMAGE", "seed": "ROUND", "strength": 0.2}),
    Case("ImageRGBToYUV", {"image": "IMAGE"}),
    Case("ImageYUVToRGB", {"Y": "IMAGE", "U": "IMAGE2", "V": "IMAGE"}),
    *(
        Case("Morphology", {"image": "IMAGE", "operation": operation, "kernel_size": size}, f"{operation} {size}")
        for operation, size in (("erode", 3), ("gradient", 9))
    ),
    Case("Canny", {"image": "IMAGE", "low_threshold": 0.4, "high_threshold": 0.8}),
    Case("ImageBatch", {"image1": "IMAGE", "image2": "IMAGE2"}),
    Case("RepeatImageBatch", {"image": "IMAGE", "amount": 4}),
    Case("ImageFromBatch", {"image": "IMAGE", "batch_index": 0, "length": 1}),
    Case("RebatchImages", {"images": "IMAGE", "batch_size": 1}),
    Case("MaskToImage", {"mask": "MASK"}),
    Case("ImageToMask", {"image": "IMAGE", "channel": "red"}),
    Case("ImageColorToMask", {"image": "IMAGE", "color": 0}),
    Case("SolidMask", {"value": "SHARE", "width": SIDE, "height": SIDE}),
    Case("InvertMask", {"mask": "MASK"}),
    Case("CropMask", {"mask": "MASK", "x": 0, "y": 0, "width": 512, "height": 512}),
    Case("MaskComposite", {"destination": "MASK", "source": "MASK2", "x": 0, "y": 0, "operation": "xor"}),
    Case("FeatherMask", {"mask": "MASK", "left": 50, "top": 50, "right": 50, "bottom": 50}),
    Case("GrowMask", {"mask": "MASK", "expand": 6, "tapered_corners": True}),
    Case("GrowMask", {"mask": "MASK", "expand": -40, "tapered_corners": False}, "by -40"),
    Case("ThresholdMask", {"mask": "MASK", "value": 0.5}),
    Case(
        "ImageCompositeMasked",
        {"destination": "IMAGE", "source": "IMAGE2", "x": 0, "y": 0, "resize_source": False, "mask": "MASK"},
    ),
    *(
        Case(
            "PorterDuffImageComposite",
            {
                "source": "IMAGE",
                "source_alpha": "MASK",
                "destination": "IMAGE2",
                "destination_alpha": "MASK2",
                "mode": mode,
            },
            mode,
        )
        for mode in ("SRC_OVER", "OVERLAY")
    ),
    Case("SplitImageWithAlpha", {"image": "RGBA"}),
    Case("JoinImageWithAlpha", {"image": "IMAGE", "alpha": "MASK"}),
    *(
        Case(
            "LatentUpscale",
            {"samples": "LATENT", "upscale_method": method, "width": 2048, "height": 2048, "crop": "disabled"},
            method,
        )
        for method in ("bicubic", "bislerp")
    ),
    Case("LatentComposite", {"samples_to": "LATENT", "samples_from": "LATENT2", "x": 64, "y": 64, "feather": 64}),
    Case("LatentBlend", {"samples1": "LATENT", "samples2": "LATENT2", "blend_factor": 0.3}),
    Case("LatentInterpolate", {"samples1": "LATENT", "samples2": "LATENT2", "ratio": 0.3}),
    Case("SaveLatent", {"samples": "LATENT", "filename_prefix": "bench/latent"}),
]


async def nodes(console: Console, url: str | None) -> None:
    """Print the median time of each case, here and there, with their ratio."""
    table = Table(title=f"model-free nodes, {SIDE} x {SIDE}, median of {ROUNDS} rounds in ms")
    for column in ("node", "here", *(("ComfyUI", "ratio") if url else ())):
        table.add_column(column, justify="left" if column == "node" else "right")
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(servers.engine(0))
        sessions = [
            await stack.enter_async_context(aiohttp.ClientSession(address))
            for address in (engine.url, *([url] if url else []))
        ]
        for case in CASES:
            times = [await _median(session, case) for session in sessions]
            table.add_row(case.title, *(f"{found:.1f}" for found in times), *_ratio(times))
    console.print(table)


def _ratio(times: list[float]) -> list[str]:
    if len(times) < 2:
        return []
    here, there = times
    return ["messages" if max(here, there) < NOISE_MS else f"{here / max(there, 0.1):.2f}"]


async def _median(session: aiohttp.ClientSession, case: Case) -> float:
    client = uuid4().hex
    async with session.ws_connect(f"/ws?clientId={client}", max_msg_size=0) as socket:
        return median([await _once(session, socket, client, case, number) for number in range(ROUNDS)])


async def _once(
    session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, client: str, case: Case, number: int
) -> float:
    """Milliseconds of the case by the engine's clock, from what it found in its cache to its success."""
    seed = time.time_ns() % 2**31 + number
    case_graph = _graph(case, seed, await _upload(session, seed) if "FILE" in case.inputs.values() else "")
    sources = [value for value in case_graph["case"]["inputs"].values() if isinstance(value, list)]
    if sources:
        shown = {f"shown{place}": _node("PreviewAny", source=source) for place, source in enumerate(sources)}
        inputs = {name: node for name, node in case_graph.items() if name not in ("case", "end")}
        await _run(session, socket, client, case, inputs | shown)
    return await _run(session, socket, client, case, case_graph)


async def _run(
    session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, client: str, case: Case, graph: Graph
) -> float:
    async with session.post("/prompt", json={"prompt": graph, "client_id": client}) as answer:
        accepted = await answer.json()
        if answer.status != 200 or accepted["node_errors"]:
            raise SystemExit(f"{case.title}: {accepted}")
    begun, executed = 0, False
    while True:
        message = await socket.receive(SECONDS)
        said: dict[str, Any] = message.json() if message.type is aiohttp.WSMsgType.TEXT else {"type": "binary"}
        match said["type"]:
            case "execution_error":
                raise SystemExit(f"{case.title}: {said['data']['exception_message']}")
            case "execution_cached":
                begun = said["data"]["timestamp"]
            case "executing":
                executed = executed or said["data"]["node"] == "case"
            case "execution_success":
                if "case" in graph and not executed:
                    raise SystemExit(f"{case.title}: the engine's cache answered.")
                return float(said["data"]["timestamp"] - begun)


def _graph(case: Case, seed: int, file: str) -> Graph:
    values = {"FILE": file, "ROUND": seed % 2**24, "SHARE": seed % 1000 / 1000}
    inputs = {name: _filled(value, values) for name, value in case.inputs.items()}
    graph: Graph = {
        "blank": _node("EmptyImage", width=SIDE, height=SIDE, batch_size=1, color=0x808080),
        "noise": _node("ImageAddNoise", image=["blank", 0], seed=seed, strength=0.3),
        "noise2": _node("ImageAddNoise", image=["blank", 0], seed=seed + 10**6, strength=0.3),
        "mask": _node("ImageToMask", image=["noise", 0], channel="red"),
        "mask2": _node("ImageToMask", image=["noise2", 0], channel="red"),
        "rgba": _node("JoinImageWithAlpha", image=["noise", 0], alpha=["mask", 0]),
        "empty": _node("EmptyLatentImage", width=SIDE, height=SIDE, batch_size=1),
        "latent": _node("SetLatentNoiseMask", samples=["empty", 0], mask=["mask", 0]),
        "latent2": _node("SetLatentNoiseMask", samples=["empty", 0], mask=["mask2", 0]),
        "case": {"class_type": case.node, "inputs": inputs},
    }
    if not case.node.startswith(("Save", "Preview")) and case.node != "MaskPreview":
        graph["end"] = _node("PreviewAny", source=["case", 0])
    return graph


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    return LINKS.get(value, values.get(value, value))


def _node(name: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": name, "inputs": inputs}


async def _upload(session: aiohttp.ClientSession, seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels // 8 * 8).save(file, "PNG", compress_level=1)
    form = aiohttp.FormData()
    form.add_field("image", file.getvalue(), filename="bench-nodes.png", content_type="image/png")
    form.add_field("overwrite", "true")
    async with session.post("/upload/image", data=form) as answer:
        return str((await answer.json())["name"])
