"""GIF by FFmpeg: one palette made from all frames, then each frame dithered to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfyserve.embedded.context import current
from comfyserve.embedded.media.encode import Reel, as_frame
from comfyserve.embedded.media.library import created, library

if TYPE_CHECKING:
    from av import VideoFrame

PALETTE = "reserve_transparent=on:transparency_color=ffffff"


def write_gif(path: Path, reel: Reel, dither: str) -> None:
    """An endless GIF. ValueError for a dither that FFmpeg does not have."""
    with created(path) as container:
        stream: Any = container.add_stream("gif", rate=reel.rate)
        stream.width, stream.height, stream.pix_fmt = reel.width, reel.height, "pal8"
        for number, frame in enumerate(_dithered(reel, dither)):
            frame.pts, frame.time_base = number, 1 / reel.rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _dithered(reel: Reel, dither: str) -> Iterator[VideoFrame]:
    """The palette needs every frame, so the filter gives the first one when it has the last."""
    av, context = library(), current()
    graph: Any = None
    for number, samples in enumerate(reel.frames):
        context.check_interrupted()
        frame = as_frame(samples)
        frame.pts, frame.time_base = number, 1 / reel.rate
        graph = graph or _graph(reel, frame.format.name, dither)
        graph.push(frame)
    graph.push(None)
    while True:
        try:
            yield graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return


def _graph(reel: Reel, layout: str, dither: str) -> Any:
    av = library()
    graph = av.filter.Graph()
    source = graph.add_buffer(width=reel.width, height=reel.height, format=layout, time_base=1 / reel.rate)
    split, palette = graph.add("split"), graph.add("palettegen", PALETTE)
    use, sink = graph.add("paletteuse", f"dither={dither}"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
