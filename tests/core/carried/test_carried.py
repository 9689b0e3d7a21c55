"""Workflows read out of files that Pillow and FFmpeg wrote as ComfyUI has them write."""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfyserve.core.carried import read_carried
from comfyserve.core.errors import InvalidGraph

GRAPH = {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "grün: a=b"}}}
EDITOR = {"nodes": [{"id": 1, "type": "SaveImage"}], "links": [], "version": 0.4}
TEXTS = {"prompt": json.dumps(GRAPH), "workflow": json.dumps(EDITOR)}


def _picture(kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, **how)
    return file.getvalue()


def _png(add: Callable[[PngInfo, str, str], None]) -> bytes:
    info = PngInfo()
    for name, text in TEXTS.items():
        add(info, name, text)
    return _picture("PNG", pnginfo=info)


def _webp() -> bytes:
    exif = Image.Exif()
    exif[0x0110] = f"prompt:{TEXTS['prompt']}"
    exif[0x010F] = f"workflow:{TEXTS['workflow']}"
    return _picture("WEBP", exif=exif.tobytes())


def _apng() -> bytes:
    chunks = b"".join(
        struct.pack(">I", len(body)) + b"comf" + body + struct.pack(">I", zlib.crc32(b"comf" + body))
        for body in (f"{name}\0{text}".encode("latin-1") for name, text in TEXTS.items())
    )
    plain = _picture("PNG")
    return plain[:-12] + chunks + plain[-12:]


def _latent() -> bytes:
    header = json.dumps({"__metadata__": TEXTS, "latent_tensor": {"dtype": "F32", "shape": [0]}}).encode()
    return struct.pack("<Q", len(header)) + header


def _svg() -> bytes:
    both = json.dumps({"prompt": GRAPH, "workflow": EDITOR})
    return f"<svg xmlns='x'><metadata>\n<![CDATA[\n{both}\n]]>\n</metadata></svg>".encode()


FILES: dict[str, Callable[[], bytes]] = {
    "png": lambda: _png(lambda info, name, text: info.add_text(name, text)),
    "png compressed": lambda: _png(lambda info, name, text: info.add_text(name, text, zip=True)),
    "png international": lambda: _png(lambda info, name, text: info.add_itxt(name, text)),
    "png international compressed": lambda: _png(lambda info, name, text: info.add_itxt(name, text, zip=True)),
    "apng": _apng,
    "webp": _webp,
    "latent": _latent,
    "svg": _svg,
    "json of both": lambda: json.dumps({"prompt": GRAPH, "workflow": EDITOR}).encode(),
    "json of texts": lambda: json.dumps(TEXTS).encode(),
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES.keys())
def test_files_with_both_forms(make: Callable[[], bytes]) -> None:
    carried = read_carried(make())
    assert (carried.graph, carried.editor) == (GRAPH, EDITOR)


@pytest.mark.parametrize(
    ("name", "options", "tags"),
    [
        ("a.mp4", {"movflags": "use_metadata_tags"}, TEXTS),
        ("a.mov", {"movflags": "use_metadata_tags"}, TEXTS),
        ("a.mp4", {}, {"comment": json.dumps(TEXTS)}),
        ("a.webm", {}, TEXTS),
        ("a.mkv", {}, {"COMMENT": json.dumps(TEXTS)}),
    ],
)
def test_videos(tmp_path: Path, name: str, options: dict[str, str], tags: dict[str, str]) -> None:
    av: Any = pytest.importorskip("av")
    with av.open(str(tmp_path / name), "w", options=options) as container:
        container.metadata.update(tags)
        stream = container.add_stream("libvpx-vp9" if name.endswith("webm") else "h264", rate=4)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for packet in [*stream.encode(av.VideoFrame(32, 32, "yuv420p")), *stream.encode(None)]:
            container.mux(packet)
    carried = read_carried((tmp_path / name).read_bytes())
    assert (carried.graph, carried.editor) == (GRAPH, EDITOR)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "options"),
    [
        ("a.flac", "flac", 48000, {}),
        ("a.opus", "libopus", 48000, {}),
        ("a.mp3", "libmp3lame", 48000, {}),
        ("a.mp3", "libmp3lame", 48000, {"id3v2_version": "3"}),
    ],
)
def test_sounds(tmp_path: Path, name: str, codec: str, rate: int, options: dict[str, str]) -> None:
    av: Any = pytest.importorskip("av")
    with av.open(str(tmp_path / name), "w", options=options) as container:
        container.metadata.update({**TEXTS, "title": "x" * 600})
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        frame = av.AudioFrame("fltp" if codec == "libmp3lame" else "s16", "stereo", 1152)
        frame.rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    carried = read_carried((tmp_path / name).read_bytes())
    assert (carried.graph, carried.editor) == (GRAPH, EDITOR)


def test_json_of_one_form() -> None:
    assert read_carried(b"\xef\xbb\xbf " + json.dumps(GRAPH).encode()).graph == GRAPH
    assert read_carried(json.dumps(EDITOR).encode()).editor == EDITOR
    assert read_carried(b'{"prompt": {"class_type": "A"}}').graph == {"prompt": {"class_type": "A"}}


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"PK\x03\x04", _picture("PNG"), _picture("WEBP"), _picture("JPEG")])
def test_files_without_one(data: bytes) -> None:
    with pytest.raises(InvalidGraph, match="carries no workflow"):
        read_carried(data)


def test_a_text_that_unfolds_without_end() -> None:
    body = b"prompt\0\0" + zlib.compress(b"{" + b" " * 100_000_000)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + bytes(4)
    with pytest.raises(InvalidGraph, match="carries no workflow"):
        read_carried(b"\x89PNG\r\n\x1a\n" + chunk)


WHOLE = [
    FILES["png"](),
    FILES["webp"](),
    FILES["latent"](),
    b"\0\0\0\x08ftyp",
    b"\x1a\x45\xdf\xa3",
    b"fLaC",
    b"OggS",
    b"ID3\4",
]


@given(st.sampled_from(WHOLE), st.binary(max_size=80), st.integers(0, 400))
@settings(max_examples=300, deadline=None)
def test_broken_files(whole: bytes, noise: bytes, at: int) -> None:
    """A file cut, with noise in it, is read or refused."""
    try:
        read_carried(whole[:at] + noise + whole[at + len(noise) :])
    except InvalidGraph:
        return
