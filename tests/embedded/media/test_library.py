"""What the engine does with and without PyAV; each in a process of its own, since imports stay."""

import subprocess
import sys

PUBLISHED = "from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS as nodes; import sys; "
CLEAR_ERROR = """
from pathlib import Path
from comfyserve.embedded.media.library import VideoExtraMissing, opened
sys.modules["av"] = None
try:
    with opened(Path("a.mp4")):
        pass
except VideoExtraMissing as reason:
    print(reason)
"""


def said(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_nothing_heavy_is_imported_until_a_media_file_is_opened() -> None:
    loaded = said(PUBLISHED + "print('LoadVideo' in nodes, sorted({'av', 'scipy'} & sys.modules.keys()))")
    assert loaded == "True []"


def test_without_the_extra_the_nodes_say_what_to_install() -> None:
    assert "pip install comfyserve[video]" in said(PUBLISHED + CLEAR_ERROR)
