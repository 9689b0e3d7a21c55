"""The widgets of a node and their values: what the file saved, in the order the class declares them."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyserve.core.convert.read import MAX_SLOTS, EditorNode, mapping
from comfyserve.core.convert.specs import (
    AUTOGROW,
    BROWSER_WIDGETS,
    COMBO,
    CUSTOM_COMBO,
    DYNAMIC_COMBO,
    ClassSpec,
    InputSpec,
    format_widgets,
    group_inputs,
    sub_inputs,
)

MISSING = object()
"""No value: the editor leaves the input out."""


POWER_LORAS = "Power Lora Loader (rgthree)"
SECOND_STRENGTH = "strengthTwo"
"""A class of a pack whose list of LoRAs its script makes, and the field of one that is left out when empty."""

CHOSEN_INDEX = "index"
CHOICE_NAME = "option"
OWN_CHOICES_AT = 2
"""A CustomCombo's values: the choice, its index, and from here on the texts to choose from."""


@dataclass(frozen=True)
class Widget:
    """A field of a node and the value it has; MISSING when neither the file nor the class gives one."""

    spec: InputSpec
    value: Any


@dataclass(frozen=True)
class Fields:
    """A node as its class and its file make it: widgets, plain sockets, and widgets that only a browser fills."""

    widgets: tuple[Widget, ...]
    sockets: tuple[InputSpec, ...]
    browser: tuple[InputSpec, ...]


def read_fields(node: EditorNode, spec: ClassSpec) -> Fields:
    """The fields of a node; choices of dynamic combos bring their inputs with them, one level after the other."""
    saved = _Saved(node, spec)
    widgets: list[Widget] = []
    sockets: list[InputSpec] = []
    waiting = deque(spec.inputs)
    browser = []
    while waiting and len(widgets) + len(sockets) < MAX_SLOTS:
        one = waiting.popleft()
        if one.type in BROWSER_WIDGETS:
            browser.append(one)
        elif one.type == AUTOGROW and not one.forced:
            waiting.extendleft(reversed(list(_grown(one, node))))
        elif one.is_widget:
            widget = Widget(one, saved.next(one))
            widgets.append(widget)
            if one.type == DYNAMIC_COMBO:
                waiting.extendleft(reversed(list(sub_inputs(one, widget.value))))
            if one.type == COMBO:
                waiting.extendleft(reversed(list(format_widgets(one, widget.value))))
        else:
            sockets.append(one)
    widgets.extend(_added(node))
    return Fields(tuple(widgets), tuple(sockets), tuple(browser))


class _Saved:
    """The saved values, taken one by one; the editor's own widgets between them are passed over."""

    def __init__(self, node: EditorNode, spec: ClassSpec) -> None:
        self._named = node.named
        self._values = _without_forced(node.values, spec.inputs)
        self._at = 0

    def next(self, spec: InputSpec) -> Any:
        """The value of the next widget, or its default."""
        at = self._at
        self._at += 1 + spec.companions
        if self._named is not None:
            return self._named.get(spec.name, _default(spec))
        return self._values[at] if at < len(self._values) else _default(spec)


def _added(node: EditorNode) -> Iterator[Widget]:
    """Widgets that a script in the editor adds, as far as what is saved tells their names."""
    if node.type == CUSTOM_COMBO:
        yield from _own_choices(node)
    if node.type == POWER_LORAS:
        loras = [value for value in node.values if isinstance(value, Mapping) and "lora" in value]
        for number, value in enumerate(loras[:MAX_SLOTS], 1):
            filled = {name: one for name, one in value.items() if one is not None or name != SECOND_STRENGTH}
            yield Widget(InputSpec(f"lora_{number}", "", {}), filled)


def _own_choices(node: EditorNode) -> Iterator[Widget]:
    """The widgets that the editor adds to a CustomCombo: where the choice stands, then every choice."""
    yield Widget(InputSpec(CHOSEN_INDEX, "INT", {}), 0)
    for number, text in enumerate(node.values[OWN_CHOICES_AT:MAX_SLOTS], 1):
        yield Widget(InputSpec(f"{CHOICE_NAME}{number}", "STRING", {}), text)


def chosen_index(inputs: Mapping[str, Any]) -> int:
    """Where the choice of a CustomCombo stands among its texts, from 0; -1 when it is none of them."""
    texts = [value for name, value in inputs.items() if name.startswith(CHOICE_NAME)]
    return texts.index(inputs["choice"]) if inputs.get("choice") in texts else -1


def _default(spec: InputSpec) -> Any:
    return MISSING if spec.default is None else spec.default


def _without_forced(values: Sequence[Any], specs: Sequence[InputSpec]) -> Sequence[Any]:
    """Old files have a value for inputs that are only sockets today: when the count says so it is left out."""
    kept: list[bool] = []
    for one in specs:
        if one.is_widget or one.forced:
            kept += [not one.forced, *[True] * (0 if one.forced else one.companions)]
    if all(kept) or len(kept) != len(values):
        return values
    return [value for value, keep in zip(values, kept, strict=True) if keep]


def _grown(spec: InputSpec, node: EditorNode) -> Iterator[InputSpec]:
    """The inputs that a growing group has in this node: those the class wants at least, and those that are saved."""
    template = mapping(spec.options.get("template"))
    declared = mapping(template.get("input"))
    inner = list(group_inputs(spec.name, declared))
    saved = {slot.name for slot in node.inputs if slot.name.startswith(f"{spec.name}.")}
    for ordinal in range(_size(template, saved, spec.name)):
        for one in inner:
            name = _member(template, ordinal, one.name.removeprefix(f"{spec.name}."), single=len(inner) == 1)
            yield InputSpec(f"{spec.name}.{name}", one.type, one.options, one.choices)


def _size(template: Mapping[str, Any], saved: set[str], group: str) -> int:
    """How many members the group has: one more than the least, or more where the file names higher ones."""
    names, least, most = template.get("names"), template.get("min"), template.get("max")
    wanted = (least if isinstance(least, int) else 1) + 1
    highest = max((_ordinal(name.removeprefix(f"{group}."), names) + 1 for name in saved), default=0)
    limit = len(names) if isinstance(names, list) else most if isinstance(most, int) else 100
    return max(0, min(max(wanted, highest), limit, MAX_SLOTS))


def _ordinal(name: str, names: Any) -> int:
    if isinstance(names, list):
        return names.index(name) if name in names else -1
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits) if digits and len(digits) < 6 else -1


def _member(template: Mapping[str, Any], ordinal: int, key: str, *, single: bool) -> str:
    names, prefix = template.get("names"), template.get("prefix")
    if isinstance(names, list):
        return str(names[ordinal])
    return f"{prefix if single and isinstance(prefix, str) else '' if single else key}{ordinal}"
