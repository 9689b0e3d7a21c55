"""What the simulated model understands of a prompt: a subject, its colour, the backdrop and a mood."""

import re
from dataclasses import dataclass

Colour = tuple[float, float, float]

# sRGB on 0..1; the words are looked for in the prompt, longer ones first.
COLOURS: dict[str, Colour] = {
    "black": (0.085, 0.087, 0.095),
    "charcoal": (0.21, 0.22, 0.24),
    "white": (0.93, 0.925, 0.91),
    "cream": (0.93, 0.88, 0.78),
    "ivory": (0.94, 0.91, 0.84),
    "grey": (0.52, 0.53, 0.55),
    "gray": (0.52, 0.53, 0.55),
    "silver": (0.70, 0.72, 0.74),
    "beige": (0.82, 0.74, 0.62),
    "sand": (0.83, 0.73, 0.57),
    "khaki": (0.60, 0.55, 0.41),
    "brown": (0.38, 0.25, 0.17),
    "red": (0.74, 0.12, 0.13),
    "burgundy": (0.40, 0.08, 0.14),
    "maroon": (0.40, 0.08, 0.12),
    "pink": (0.93, 0.60, 0.68),
    "coral": (0.93, 0.46, 0.38),
    "orange": (0.90, 0.43, 0.11),
    "yellow": (0.95, 0.77, 0.20),
    "mustard": (0.80, 0.60, 0.15),
    "gold": (0.82, 0.64, 0.27),
    "olive": (0.36, 0.38, 0.20),
    "green": (0.13, 0.45, 0.27),
    "mint": (0.64, 0.85, 0.74),
    "teal": (0.07, 0.44, 0.46),
    "turquoise": (0.16, 0.68, 0.68),
    "sky blue": (0.50, 0.74, 0.92),
    "light blue": (0.56, 0.76, 0.92),
    "navy": (0.09, 0.14, 0.28),
    "blue": (0.12, 0.32, 0.68),
    "purple": (0.38, 0.20, 0.55),
    "violet": (0.48, 0.32, 0.70),
    "lavender": (0.73, 0.67, 0.87),
}

# Words of a prompt -> subject; the first row that matches wins.
SUBJECTS: tuple[tuple[str, str], ...] = (
    (r"caps?|hats?|snapbacks?|beanies?", "cap"),
    (r"hoodies?|hooded sweatshirts?", "hoodie"),
    (r"t-?\s?shirts?|tees?|shirts?|sweatshirts?|jerseys?|sweaters?", "shirt"),
    (r"mugs?|cups?", "mug"),
    (r"totes?|bags?", "tote"),
    (r"bottles?|flasks?|tumblers?|thermos", "bottle"),
    (r"phones?|phone cases?|iphone|smartphones?", "phone"),
    (r"posters?|frames?|framed|canvas|prints?", "poster"),
    (r"cit(?:y|ies)|skylines?|streets?|skyscrapers?|buildings?|downtown", "city"),
    (r"seas?|oceans?|beach(?:es)?|lakes?|coast|waves", "sea"),
    (r"forests?|trees?|woods|jungle|pines?", "forest"),
    (r"landscapes?|mountains?|hills?|valleys?|nature|scenery|sunsets?|sunrises?|dawn|dusk|deserts?", "mountains"),
)
MOODS: tuple[tuple[str, str], ...] = (
    (r"nights?|midnight|moon|moonlit|stars|starry", "night"),
    (r"sunsets?|dusk|golden hour|evening", "sunset"),
    (r"sunrises?|dawn|morning", "dawn"),
)
# Longer prompts are read only this far.
MAX_READ = 4000

COLOUR_NAMES = "|".join(sorted(map(re.escape, COLOURS), key=len, reverse=True))
_BACKDROP = re.compile(rf"\b({COLOUR_NAMES})\s+(?:studio\s+)?(?:background|backdrop|wall)\b")
_COLOUR_WORD = re.compile(rf"\b({COLOUR_NAMES})\b")


@dataclass(frozen=True)
class Reading:
    """The simulated model's understanding of one prompt."""

    text: str
    subject: str
    colour: Colour | None
    backdrop: Colour | None
    mood: str


def read(prompt: str) -> Reading:
    """Find subject, colour (the last one named before the subject, else the first), backdrop and mood. Never fails."""
    text = prompt[:MAX_READ].lower()
    backdrop = _BACKDROP.search(text)
    rest = text[: backdrop.start()] + " " * len(backdrop.group()) + text[backdrop.end() :] if backdrop else text
    subject, place = _first(SUBJECTS, rest)
    named = list(_COLOUR_WORD.finditer(rest))
    before = [match for match in named if match.end() <= place]
    chosen = before[-1] if before else named[0] if named else None
    return Reading(
        text=" ".join(text.split()),
        subject=subject or "abstract",
        colour=COLOURS[chosen.group(1)] if chosen else None,
        backdrop=COLOURS[backdrop.group(1)] if backdrop else None,
        mood=_first(MOODS, rest)[0] or "day",
    )


def _first(table: tuple[tuple[str, str], ...], text: str) -> tuple[str, int]:
    for words, name in table:
        match = re.search(rf"\b(?:{words})\b", text)
        if match:
            return name, match.start()
    return "", -1
