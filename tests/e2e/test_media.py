"""Videos and sound go the whole way: in by URL or asset, out as files that a page can play."""

import io
from pathlib import Path
from typing import Any

import av
import httpx2
import pytest

from comfyserve.client import Client
from tests.e2e.program import finished
from tests.embedded.media.files import grays, tone, write_video

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = {
    "force_rate": 0,
    "custom_width": 0,
    "custom_height": 0,
    "frame_load_cap": 0,
    "skip_first_frames": 0,
    "select_every_nth": 1,
}
COMBINED = {
    "images": ["1", 0],
    "audio": ["1", 2],
    "frame_rate": 10,
    "loop_count": 0,
    "format": "video/webm",
    "crf": 40,
    "pingpong": False,
    "save_output": True,
}


def graph(video: str) -> dict[str, Any]:
    """One video, saved in every way."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "1": ("VHS_LoadVideo", {"video": video, **SOURCE}),
        "2": ("CreateVideo", {"images": ["1", 0], "fps": 10, "audio": ["1", 2]}),
        "3": ("SaveVideo", {"video": ["2", 0], "format": "auto", "codec": "auto", "filename_prefix": "a"}),
        "4": ("SaveAudioMP3", {"audio": ["1", 2], "quality": "128k", "filename_prefix": "a"}),
        "5": ("VHS_VideoCombine", {**COMBINED, "filename_prefix": "a"}),
        "6": ("SaveWEBM", {"images": ["1", 0], "codec": "vp9", "fps": 10, "crf": 40, "filename_prefix": "a"}),
    }
    return {node_id: {"class_type": kind, "inputs": inputs} for node_id, (kind, inputs) in nodes.items()}


async def test_a_video_comes_in_and_videos_and_sound_come_out(client: Client, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", grays(6), sound=tone(0.6))
    asset = await client.upload(path)
    ended = await finished(client, (await client.create_run(None, {}, graph=graph(asset["url"])))["id"])
    assert ended["status"] == "success", ended["error"]
    found = {output["node_id"]: output for output in ended["outputs"]}
    shape = {node: (output["key"], output["kind"], output["mime"]) for node, output in found.items()}
    assert shape == {
        "3": ("images", "video", "video/mp4"),
        "4": ("audio", "audio", "audio/mpeg"),
        "5": ("gifs", "video", "video/webm"),
        "6": ("images", "video", "video/webm"),
    }
    assert [await _codecs(found[node]["url"]) for node in "3456"] == [
        ["h264", "aac"],
        ["mp3float"],
        ["vp9", "opus"],
        ["vp9"],
    ]


async def test_the_frames_of_a_video_without_sound(client: Client, tmp_path: Path) -> None:
    asset = await client.upload(write_video(tmp_path / "silent.mp4", grays(6)))
    frames = {node_id: node for node_id, node in graph(asset["url"]).items() if node_id in "156"}
    ended = await finished(client, (await client.create_run(None, {}, graph=frames))["id"])
    assert ended["status"] == "success", ended["error"]
    found = {output["node_id"]: output["url"] for output in ended["outputs"]}
    assert [await _codecs(found[node]) for node in "56"] == [["vp9"], ["vp9"]]


async def _codecs(url: str) -> list[str]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(url)
    answer.raise_for_status()
    with av.open(io.BytesIO(answer.content), "r") as container:
        return [stream.codec.name for stream in container.streams]
