"""From a prompt to a picture: the reading of the prompt picks a subject, its painter draws it."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from . import goods, scenery
from .abstract import abstract
from .canvas import Floats, Frame
from .cap import cap
from .chance import generator
from .latent import rounded_bytes, to_floats
from .prompt import Reading, read

Painter = Callable[[Frame, Reading, np.random.Generator, np.random.Generator], Floats]
PAINTERS: dict[str, Painter] = {
    "cap": cap,
    "shirt": goods.shirt,
    "hoodie": goods.hoodie,
    "mug": goods.mug,
    "tote": goods.tote,
    "bottle": goods.bottle,
    "phone": goods.phone,
    "poster": goods.poster,
    "mountains": scenery.mountains,
    "forest": scenery.forest,
    "city": scenery.city,
    "sea": scenery.sea,
}


# Larger pictures are drawn with about this many pixels and enlarged: time and memory stay bounded.
MAX_DRAWN = 2**21


def render(positive: str, seed: str, width: int, height: int) -> Floats:
    """The picture [H,W,3] on about 0..1 that these words and this seed decide."""
    reading = read(positive)
    shrink = max(1.0, (width * height / MAX_DRAWN) ** 0.5)
    frame = Frame(max(1, round(width / shrink)), max(1, round(height / shrink)))
    words = generator("words", reading.text)
    chance = generator("scene", reading.text, seed)
    picture = PAINTERS.get(reading.subject, abstract)(frame, reading, words, chance)
    if shrink == 1:
        return picture
    return to_floats(
        np.asarray(Image.fromarray(rounded_bytes(picture)).resize((width, height), Image.Resampling.BICUBIC))
    )
