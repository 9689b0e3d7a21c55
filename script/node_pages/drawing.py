"""A drawing of a node as SVG: title, slots for links, widgets with their defaults."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from comfyserve.core.inputs.node_class import Field, NodeClass

WIDTH = 380
MARGIN = 10
TITLE = 34
ROW = 24
LINES = 58
RADIUS = 8

INK, FAINT, BODY, HEAD, FIELD, EDGE = "#e8eaed", "#9aa0a8", "#2f333a", "#3b4048", "#22252a", "#565c66"
FONT = "Inter, 'Segoe UI', 'DejaVu Sans', sans-serif"
COLOURS = {
    "IMAGE": "#64b5f6",
    "MASK": "#81c784",
    "LATENT": "#ff9cf9",
    "AUDIO": "#f2b84b",
    "VAE": "#ff6e6e",
    "INT": "#29d1c4",
    "FLOAT": "#29d1c4",
    "BOOLEAN": "#c0a5f0",
    "STRING": "#a5d68a",
}
OTHER_COLOUR = "#b0b6be"

WIDGET_TYPES = frozenset({"STRING", "INT", "FLOAT", "BOOLEAN"})
LONGEST_NAME, LONGEST_VALUE = 26, 24


@dataclass(frozen=True)
class _Widget:
    name: str
    value: str
    kind: str
    tall: bool

    @property
    def height(self) -> int:
        return LINES if self.tall else ROW


def drawing(node: NodeClass) -> str:
    """The node as ComfyUI's editor shows it, in colours that can be read on light and dark pages."""
    slots = [field for field in node.fields if not is_widget(field)]
    widgets = [_widget(field) for field in node.fields if is_widget(field)]
    rows = max(len(slots), len(node.outputs))
    height = TITLE + rows * ROW + sum(one.height + 4 for one in widgets) + MARGIN + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -2 {WIDTH + 16} {height + 4}" width="{WIDTH + 16}" '
        f'height="{height + 4}" font-family="{FONT}" font-size="13" role="img">',
        f"<title>{escape(node.title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="{RADIUS}" fill="{BODY}" stroke="{EDGE}"/>',
        f'<path d="M0 {TITLE}V{RADIUS}a{RADIUS} {RADIUS} 0 0 1 {RADIUS} -{RADIUS}H{WIDTH - RADIUS}'
        f'a{RADIUS} {RADIUS} 0 0 1 {RADIUS} {RADIUS}V{TITLE}z" fill="{HEAD}"/>',
        f'<circle cx="18" cy="{TITLE / 2}" r="5" fill="{FAINT}"/>',
        _text(32, TITLE / 2, node.title, INK, weight="600"),
        *_slots(slots, node.outputs),
        *_widgets(widgets, TITLE + rows * ROW + 6),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def is_widget(field: Field) -> bool:
    """Whether the editor shows a field on the node, and not as a slot for a link."""
    if field.options.get("forceInput"):
        return False
    return bool(field.files) or not isinstance(field.type, str) or field.type in WIDGET_TYPES


def type_word(field: Field) -> str:
    """A field's type in a word."""
    return field.type if isinstance(field.type, str) else "COMBO"


def default_of(field: Field) -> str:
    """The value that a new node has, as text."""
    if field.files:
        return "a file"
    fallback = "" if isinstance(field.type, str) else field.type[0]
    value = field.options.get("default", fallback)
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _widget(field: Field) -> _Widget:
    return _Widget(field.name, default_of(field), type_word(field), bool(field.options.get("multiline")))


def _slots(inputs: list[Field], outputs: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for index, field in enumerate(inputs):
        y = TITLE + index * ROW + ROW / 2 + 3
        yield f'<circle cx="0" cy="{y}" r="5" fill="{_colour(type_word(field))}"/>'
        yield _text(14, y, field.name, INK)
    for index, (kind, name) in enumerate(outputs):
        y = TITLE + index * ROW + ROW / 2 + 3
        yield f'<circle cx="{WIDTH}" cy="{y}" r="5" fill="{_colour(kind)}"/>'
        yield _text(WIDTH - 14, y, name, INK, anchor="end")


def _widgets(widgets: list[_Widget], top: float) -> Iterator[str]:
    width = WIDTH - 2 * MARGIN
    for one in widgets:
        yield f'<rect x="{MARGIN}" y="{top}" width="{width}" height="{one.height}" rx="6" fill="{FIELD}"/>'
        y = top + ROW / 2
        yield _text(MARGIN + 12, y, _cut(one.name, LONGEST_NAME), FAINT)
        if one.tall:
            yield _text(MARGIN + 12, y + ROW, _cut(one.value, 2 * LONGEST_VALUE), INK)
        else:
            yield _text(WIDTH - MARGIN - 12, y, _cut(one.value, LONGEST_VALUE), INK, anchor="end")
        top += one.height + 4


def _text(x: float, y: float, words: str, colour: str, *, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}" '
        f'dominant-baseline="central">{escape(words)}</text>'
    )


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _colour(kind: str) -> str:
    return COLOURS.get(kind, OTHER_COLOUR)
