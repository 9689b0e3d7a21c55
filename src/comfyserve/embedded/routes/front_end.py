"""The pages at `/`: the folder of the real editor when it is installed, else one page of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from comfyserve.embedded.files.folders import file_below

INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """`folder` has the editor's index.html and is served at `/`; `mounts` are folders at other paths, first hit wins.

    `mounts` is for the packages beside the editor: {"/templates": folders, "/docs": folders}. Unless `networked`, its
    page may ask no other host.
    """

    folder: Path | None = None
    mounts: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    networked: bool = False

    def file(self, url_path: str) -> Path | None:
        """The file behind the decoded path of a URL; None when there is none."""
        for prefix, folders in self.mounts.items():
            if url_path.startswith(f"{prefix}/"):
                found = (file_below(folder, url_path.removeprefix(f"{prefix}/")) for folder in folders)
                return next((path for path in found if path is not None), None)
        return None if self.folder is None else file_below(self.folder, url_path.removeprefix("/"))


FRONT_END: web.AppKey[FrontEnd] = web.AppKey("front_end", FrontEnd)

PLAIN_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>comfyserve: embedded engine</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
code { background: #8882; padding: .1rem .3rem; border-radius: .2rem; }
:root { color-scheme: light dark; }
</style>
</head>
<body>
<h1>This is comfyserve's embedded engine</h1>
<p>It speaks the ComfyUI protocol and executes graphs without a GPU. Models are simulated. It is running.</p>
<p>The graph editor is not installed. To have it on this page, install the extra and start again:</p>
<p><code>pip install "comfyserve[editor]"</code></p>
<p>Without the editor you can send graphs to <code>/prompt</code>; <a href="/object_info">/object_info</a> lists the
nodes, <a href="/queue">/queue</a> and <a href="/history">/history</a> what runs and ran.</p>
</body>
</html>
"""
