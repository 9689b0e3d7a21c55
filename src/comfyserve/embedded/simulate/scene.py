"""From a prompt to a picture: the reading of the prompt picks a subject, its painter draws it."""

from collections.abc import Callable

import numpy as np

from . import goods, scenery
from .abstract import abstract
from .canvas import Floats, Frame
from .cap import cap
from .chance import generator
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


def render(positive: str, negative: str, seed: str, model: str, width: int, height: int) -> Floats:
    """The picture [H,W,3] on about 0..1 that these words and this seed decide."""
    reading = read(positive)
    frame = Frame(width, height)
    words = generator("words", reading.text)
    chance = generator("scene", reading.text, seed)
    picture = PAINTERS.get(reading.subject, abstract)(frame, reading, words, chance)
    return _accent(picture, negative, model)


def _accent(picture: Floats, negative: str, model: str) -> Floats:
    """The negative prompt and the model's name shift warmth and brightness a little."""
    chance = generator("accent", " ".join(negative.lower().split()), model)
    shift = chance.uniform(-0.012, 0.012, 3).astype(np.float32)
    return np.asarray(picture + shift, dtype=np.float32)
