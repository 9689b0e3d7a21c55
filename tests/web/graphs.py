"""Small graphs that the page's tests deploy: model-free, quick, each for one thing to see."""

from typing import Any

Graph = dict[str, dict[str, Any]]

KNOBS: Graph = {
    "1": {
        "class_type": "ComfyUIDeployExternalNumberSliderInt",
        "inputs": {
            "input_id": "edge",
            "default_value": 64,
            "min_value": 16,
            "max_value": 256,
            "display_name": "Edge",
            "description": "In pixels.",
        },
    },
    "2": {"class_type": "EmptyImage", "inputs": {"width": ["1", 0], "height": ["1", 0], "batch_size": 1, "color": 255}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "knobs"}},
}

FAILS: Graph = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 255}},
    "2": {
        "class_type": "ImageToMask",
        "inputs": {"image": ["1", 0], "channel": "alpha"},
        "_meta": {"title": "Cut out the subject"},
    },
    "3": {"class_type": "MaskToImage", "inputs": {"mask": ["2", 0]}},
    "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "fails"}},
}
"""Node 2 raises: a picture without an alpha channel has none to give."""

MEDIA: Graph = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 12, "color": 0x3366CC}},
    "2": {"class_type": "EmptyAudio", "inputs": {"duration": 1.0, "sample_rate": 48000, "channels": 2}},
    "3": {
        "class_type": "VHS_VideoCombine",
        "inputs": {
            "images": ["1", 0],
            "audio": ["2", 0],
            "frame_rate": 12,
            "loop_count": 0,
            "filename_prefix": "clip",
            "format": "video/webm",
            "pingpong": False,
            "save_output": True,
        },
    },
    "4": {"class_type": "SaveAudio", "inputs": {"audio": ["2", 0], "filename_prefix": "sound"}},
}
"""A video with sound, and a sound: in formats that every build of Chromium plays."""
