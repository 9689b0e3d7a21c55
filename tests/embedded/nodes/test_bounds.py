"""No chain of nodes makes a picture beyond the bound, and nothing is written out first."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.context import EngineSettings, NodeContext, activate
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.nodes.declare import IMAGE, Family
from comfyserve.embedded.pixels.arrays import TooLarge

SIDE = 500
MASK = np.zeros((1, SIDE, SIDE), np.float32)
"""1 MB, so three channels of it are too much."""
GRAY = MASK[..., np.newaxis]


@pytest.fixture(autouse=True)
def narrow(context: NodeContext) -> None:
    """An engine whose pictures may take 1 MB, and decoded videos 2."""
    activate(replace(context, settings=EngineSettings(picture_bytes=2**20, media_bytes=2**21)))


def call(name: str, **inputs: Any) -> Any:
    node_class = NODE_CLASS_MAPPINGS[name]
    return getattr(node_class, node_class.FUNCTION)(**inputs)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("MaskToImage", {"mask": MASK}),
        ("MaskPreview", {"mask": MASK}),
        ("JoinImageWithAlpha", {"image": GRAY, "alpha": MASK}),
        ("ImageYUVToRGB", {"Y": GRAY, "U": GRAY, "V": GRAY}),
        ("SaveImage", {"images": np.broadcast_to(GRAY, (1, SIDE, SIDE, 3))}),
    ],
)
def test_more_channels_than_fit_are_refused(name: str, inputs: dict[str, Any]) -> None:
    with pytest.raises(TooLarge, match="--picture-megabytes"):
        call(name, **inputs)


@pytest.mark.parametrize("name", ["ImageInvert", "SaveImage", "PreviewImage"])
def test_a_view_that_repeats_samples_counts_in_full(name: str) -> None:
    view = np.broadcast_to(np.zeros((1, 1, 1, 3), np.float32), (1, 16384, 16384, 3))
    with pytest.raises(TooLarge, match="--picture-megabytes"):
        call(name, **{"image" if name == "ImageInvert" else "images": view})


def test_any_result_that_grows_beyond_the_bound_is_refused() -> None:
    family = Family()
    family.node("Doubled", "m", "c", {"image": IMAGE}, ("IMAGE",))(lambda image: np.repeat(image, 2, axis=0))
    run: Any = vars(family.classes["Doubled"])["run"].__func__
    assert run(image=np.zeros((1, 200, 200, 3), np.float32))[0].shape == (2, 200, 200, 3)
    with pytest.raises(TooLarge, match="--picture-megabytes"):
        run(image=np.zeros((1, 250, 250, 3), np.float32))


def test_a_decoded_video_may_be_larger_and_stays_usable() -> None:
    frames = np.zeros((4, 200, 200, 3), np.float32)
    assert call("ImageInvert", image=frames)[0].shape == frames.shape
    with pytest.raises(TooLarge):
        call("ImageInvert", image=np.zeros((8, 200, 200, 3), np.float32))
