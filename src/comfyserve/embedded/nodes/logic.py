"""Switches, choices and truth values of newer ComfyUI versions (catalogue of the protocol spec: NEWER nodes)."""

from __future__ import annotations

from typing import Any

from comfyserve.embedded.graph.dynamic_inputs import AUTOGROW, MATCH_TYPE
from comfyserve.embedded.nodes.declare import ANYTHING, LINE, Everything, Family, Spec

family = Family()

MODULE = "comfy_extras.nodes_logic"
CATEGORY = "utilities/logic"
# An input that is not linked; None is a linked one that has not run yet.
MISSING: Any = object()

SWITCH: Spec = ("BOOLEAN", {})
VALUES: Spec = (
    AUTOGROW,
    {"template": {"input": {"required": {"value": ANYTHING}}, "prefix": "value", "min": 1, "max": 10}},
)


def _matched(template: str, **options: object) -> Spec:
    return (MATCH_TYPE, {**options, "template": {"template_id": template, "allowed_types": "*"}})


BRANCHES = {"on_false": _matched("switch", lazy=True), "on_true": _matched("switch", lazy=True)}


def wanted_branch(switch: bool, on_false: Any = MISSING, on_true: Any = MISSING) -> list[str]:
    """The chosen branch, if it is linked and has not run."""
    chosen, value = ("on_true", on_true) if switch else ("on_false", on_false)
    return [chosen] if value is None else []


def wanted_or_other_branch(switch: bool, on_false: Any = MISSING, on_true: Any = MISSING) -> list[str]:
    """The chosen branch, or the only one that is linked."""
    if on_true is MISSING:
        return wanted_branch(False, on_false)
    return wanted_branch(switch or on_false is MISSING, on_false, on_true)


def some_branch(switch: Any = None, on_false: Any = MISSING, on_true: Any = MISSING) -> bool | str:
    """The validator of the soft switch: at least one branch is linked."""
    return (on_false is not MISSING or on_true is not MISSING) or "link on_false, on_true or both"


def any_choice(choice: Any, **_: object) -> bool:
    """The validator of CustomCombo: its choices are the user's own."""
    return True


@family.node(
    "ComfySwitchNode",
    MODULE,
    CATEGORY,
    {"switch": SWITCH},
    (MATCH_TYPE,),
    title="If/Else Switch",
    optional=BRANCHES,
    names=("output",),
    v3=True,
    experimental=True,
    lazy=wanted_branch,
    match=("switch",),
)
def switch(switch: bool, on_true: Any = None, on_false: Any = None) -> Any:
    """The branch that the switch chooses; only that one runs. None if it is not linked."""
    return on_true if switch else on_false


@family.node(
    "ComfySoftSwitchNode",
    MODULE,
    CATEGORY,
    {"switch": SWITCH},
    (MATCH_TYPE,),
    title="Soft Switch",
    optional=BRANCHES,
    names=("output",),
    v3=True,
    experimental=True,
    lazy=wanted_or_other_branch,
    match=("switch",),
    validate=some_branch,
)
def soft_switch(switch: bool, on_true: Any = MISSING, on_false: Any = MISSING) -> Any:
    """As the switch; with one branch linked it is always that one."""
    if on_true is MISSING or on_false is MISSING:
        return on_false if on_true is MISSING else on_true
    return on_true if switch else on_false


@family.node(
    "CustomCombo",
    MODULE,
    "utilities",
    {"choice": ("COMBO", {"multiselect": False, "options": []})},
    ("STRING", "INT"),
    title="Custom Combo",
    optional=Everything(),
    names=("STRING", "INDEX"),
    v3=True,
    experimental=True,
    validate=any_choice,
)
def custom_choice(choice: str, index: int = 0, **_: object) -> tuple[str, int]:
    """What the user chose of a list of their own, and its place in that list."""
    return choice, index


@family.node("ComfyNotNode", MODULE, CATEGORY, {"value": ANYTHING}, ("BOOLEAN",), title="Not", v3=True)
def is_false(value: Any) -> bool:
    """Whether Python takes the value for false."""
    return not value


@family.node("ComfyAndNode", MODULE, CATEGORY, {"values": VALUES}, ("BOOLEAN",), title="And", v3=True)
def are_all_true(values: dict[str, Any]) -> bool:
    """Whether Python takes every value for true."""
    return all(values.values())


@family.node("ComfyOrNode", MODULE, CATEGORY, {"values": VALUES}, ("BOOLEAN",), title="Or", v3=True)
def is_any_true(values: dict[str, Any]) -> bool:
    """Whether Python takes some value for true."""
    return any(values.values())


@family.node(
    "ComfyPassOrNoneNode",
    MODULE,
    CATEGORY,
    {},
    (MATCH_TYPE, "BOOLEAN"),
    title="Pass or None",
    optional={"anything": _matched("value"), "default": _matched("value")},
    names=("output", "is_none"),
    v3=True,
    match=("value", None),
)
def pass_or_none(anything: Any = None, default: Any = None) -> tuple[Any, bool]:
    """The value, else the default, else None; and whether there was neither."""
    value = default if anything is None else anything
    return value, value is None


@family.node(
    "ConvertStringToComboNode",
    MODULE,
    CATEGORY,
    {"string": LINE},
    ("COMBO",),
    title="Convert String to Combo",
    v3=True,
)
def string_to_choice(string: str) -> str:
    """The same text, for an input that is a choice."""
    return string


@family.node("InvertBooleanNode", MODULE, CATEGORY, {"boolean": SWITCH}, ("BOOLEAN",), title="Invert Boolean", v3=True)
def invert_boolean(boolean: bool) -> bool:
    """The opposite."""
    return not boolean
