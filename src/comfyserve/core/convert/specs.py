"""What a node class declares, as the editor sees it: which inputs are widgets and in which order (spec section 5)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyserve.core.convert.read import MAX_SLOTS, mapping, slot_type

Catalogue = Mapping[str, Any]

COMBO = "COMBO"
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"
BOUNDING_BOX = "BOUNDING_BOX"
BOX_FIELDS = ("x", "y", "width", "height")
MATCH_TYPE = "COMFY_MATCHTYPE_V3"
REQUIRED, OPTIONAL = "required", "optional"

WIDGET_DEFAULTS: Mapping[str, Any] = {
    "INT": 0,
    "FLOAT": 0,
    "BOOLEAN": False,
    "STRING": "",
    "TEXTAREA": "",
    "MARKDOWN": "",
    "COLOR": "#000000",
    "COLORS": [],
    "RANGE": {"min": 0.0, "max": 1.0},
    BOUNDING_BOX: {"x": 0, "y": 0, "width": 512, "height": 512},
    "BOUNDING_BOXES": [],
    "CURVE": None,
    "PAINTER": None,
    "COMPOSITOR": None,
    "VIDEO_EDIT": None,
    "CHART": None,
    "GALLERIA": None,
    "LIGHT_INFO_PREVIEW": None,
    "PREVIEW_3D": "",
    COMBO: None,
    DYNAMIC_COMBO: None,
}
"""Types whose inputs are widgets that hold a value, and the value one has when neither file nor class gives one."""

BROWSER_WIDGETS: Mapping[str, str] = {
    "WEBCAM": "a picture of the camera",
    "AUDIO_RECORD": "a recording of the microphone",
    "LOAD_3D": "a view of the 3D scene",
    "LOAD_3D_ANIMATION": "a view of the 3D scene",
}
"""Types whose value only an open editor can give, when the workflow is queued there, and what it is."""

CUSTOM_COMBO = "CustomCombo"
"""A class whose choices are texts that the user writes into the node; the editor adds a widget for each."""

PREVIEW_3D_CLASSES = frozenset({"SaveGLB", "Preview3D"})
"""Classes to which the editor adds a widget of its own, named `image`, after those that are declared."""

SEEDS = ("seed", "noise_seed")


@dataclass(frozen=True)
class InputSpec:
    """One declared input. `choices` are a combo's; those of a dynamic combo bring inputs along (`sub_inputs`)."""

    name: str
    type: str
    options: Mapping[str, Any]
    choices: Sequence[Any] | None = None

    @property
    def is_widget(self) -> bool:
        """Whether the editor shows a field for it, rather than only a socket."""
        return self.widget_type in WIDGET_DEFAULTS and not self.forced

    @property
    def forced(self) -> bool:
        """Whether the class wants a socket although the type could be a field."""
        return bool(self.options.get("forceInput"))

    @property
    def widget_type(self) -> str:
        """The type that decides about the field: one may be declared apart from the socket's."""
        declared = self.options.get("widgetType")
        return declared if isinstance(declared, str) else self.type

    @property
    def default(self) -> Any:
        """The value of a fresh widget."""
        declared = self.options.get("default")
        if self.type == DYNAMIC_COMBO:
            keys = [mapping(choice).get("key") for choice in self.choices or ()]
            return keys[0] if keys else None
        if self.type == COMBO:
            return declared or (self.choices[0] if self.choices else None)
        return WIDGET_DEFAULTS.get(self.widget_type) if declared is None else declared

    @property
    def companions(self) -> int:
        """How many widgets of the editor's own follow it: a box's numbers, control after generate, a refresh button."""
        if self.type == BOUNDING_BOX:
            return len(BOX_FIELDS)
        remote = mapping(self.options.get("remote"))
        refresh = 1 if self.type == COMBO and remote.get("refresh_button") else 0
        control = self.options.get("control_after_generate")
        if self.type == "INT" and (self.name in SEEDS if control is None else control):
            return 1
        if self.type == "FLOAT" and control:
            return 1
        return refresh + (2 if self.type == COMBO and control else 0)


@dataclass(frozen=True)
class ClassSpec:
    """A node class: its inputs in the editor's order and the types of its outputs."""

    title: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]


def class_spec(catalogue: Catalogue, class_type: str) -> ClassSpec | None:
    """The declaration of a class, or None when the engine does not have it."""
    info = catalogue.get(class_type)
    if not isinstance(info, Mapping):
        return None
    declared = mapping(info.get("input"))
    specs = tuple(_ordered(declared, mapping(info.get("input_order"))))[:MAX_SLOTS]
    if class_type in PREVIEW_3D_CLASSES:
        specs = (*specs, InputSpec("image", "PREVIEW_3D", {}))
    outputs = info.get("output")
    types = [COMBO if isinstance(one, list) else slot_type(one) for one in outputs] if isinstance(outputs, list) else []
    title = info.get("display_name") or info.get("name") or class_type
    return ClassSpec(str(title), specs, tuple("*" if one == MATCH_TYPE else one for one in types))


def sub_inputs(spec: InputSpec, chosen: Any) -> Iterator[InputSpec]:
    """The inputs that a dynamic combo adds for a choice, with their dotted names."""
    for choice in spec.choices or ():
        option = mapping(choice)
        if option.get("key") == chosen:
            yield from group_inputs(spec.name, mapping(option.get("inputs")))
            return


def format_widgets(spec: InputSpec, chosen: Any) -> Iterator[InputSpec]:
    """The widgets that a choice adds by the option `formats` (VideoHelperSuite): lists of name, type and options."""
    listed = mapping(spec.options.get("formats")).get(chosen) if isinstance(chosen, str) else None
    for entry in listed[:MAX_SLOTS] if isinstance(listed, list | tuple) else ():
        if isinstance(entry, list | tuple) and len(entry) > 1 and isinstance(entry[0], str):
            yield _spec(entry[0], entry[1:])


def group_inputs(group: str, declared: Mapping[str, Any]) -> Iterator[InputSpec]:
    """Required and optional inputs of a group, named `group.name`."""
    for category in (REQUIRED, OPTIONAL):
        for name, entry in mapping(declared.get(category)).items():
            yield _spec(f"{group}.{name}", entry)


def _ordered(declared: Mapping[str, Any], order: Mapping[str, Any]) -> Iterator[InputSpec]:
    for category in (REQUIRED, OPTIONAL):
        entries = mapping(declared.get(category))
        listed = order.get(category)
        first = [name for name in listed if name in entries] if isinstance(listed, list) else []
        for name in dict.fromkeys([*first, *entries]):
            yield _spec(str(name), entries[name])


def _spec(name: str, entry: Any) -> InputSpec:
    kind, options = _parts(entry)
    if isinstance(kind, list | tuple):
        return InputSpec(name, COMBO, options, kind)
    choices = options.get("options")
    listed = choices if isinstance(choices, list | tuple) else None
    return InputSpec(name, str(kind), options, listed if kind in (COMBO, DYNAMIC_COMBO) else None)


def _parts(entry: Any) -> tuple[Any, Mapping[str, Any]]:
    if not isinstance(entry, list | tuple) or not entry:
        return "*", {}
    return entry[0], mapping(entry[1]) if len(entry) > 1 else {}
