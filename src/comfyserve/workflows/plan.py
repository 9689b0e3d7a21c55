"""Which inputs a graph should have as an endpoint, from the graph and the engine's catalogue alone."""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from comfyserve.core.catalogue import COMBO, Catalogue, FieldSpec, field_spec
from comfyserve.core.graph import Graph, Node, as_link
from comfyserve.core.media import media_fields
from comfyserve.core.models import FIELDS as MODEL_FIELDS
from comfyserve.core.models import HINTS as MODEL_HINTS
from comfyserve.workflows.authors import MAX_SEED

MAX_CHOICES = 60
LONGEST_NAME = 40
MAX_STEPS_BACK = 50
EXTERNAL, ITS_NAME, ITS_VALUE = "ComfyUIDeployExternal", "input_id", ("default_value", "default_value_url")

TEXTS = frozenset({"text", "prompt", "text_g", "text_l", "clip_l", "t5xxl", "llama", "positive", "negative", "tags"})
"""Fields that hold a prompt."""

NAMED: Mapping[str, tuple[str, str]] = {
    "width": ("width", "Width in pixels."),
    "height": ("height", "Height in pixels."),
    "batch_size": ("batch_size", "How many pictures are made at once."),
    "length": ("length", "How many frames are made."),
    "num_frames": ("num_frames", "How many frames are made."),
    "fps": ("fps", "Frames per second."),
    "frame_rate": ("frame_rate", "Frames per second."),
    "seconds": ("seconds", "Length in seconds."),
    "steps": ("steps", "How many steps the sampler takes."),
    "cfg": ("cfg_scale", "How closely the prompt is followed."),
    "guidance": ("guidance", "How closely the prompt is followed."),
    "sampler_name": ("sampler_name", "The sampler."),
    "scheduler": ("scheduler", "The scheduler of the noise."),
    "denoise": ("denoise", "How much of the start is replaced, from 0 to 1."),
    "start_at_step": ("start_at_step", "The step at which this sampler begins."),
    "end_at_step": ("end_at_step", "The step at which this sampler ends."),
    "shift": ("shift", "The shift of the sigmas."),
    "strength": ("strength", "How strongly it acts."),
    "strength_model": ("lora_strength", "How strongly the LoRA acts on the model."),
    "strength_clip": ("lora_clip_strength", "How strongly the LoRA acts on the text encoder."),
    "scale_by": ("scale_by", "The factor of the size."),
    "upscale_method": ("upscale_method", "How sizes are changed."),
    "grow_mask_by": ("grow_mask_by", "By how many pixels the mask grows."),
}
"""Field -> the name of the input that it becomes, and what it is."""

TITLE_END = re.compile(r"[,:;(\[]")
SEEDS = frozenset({"seed", "noise_seed"})
MODEL_NAMES: Mapping[str, str] = {
    "checkpoints": "checkpoint",
    "loras": "lora",
    "controlnet": "controlnet",
    "diffusion_models": "diffusion_model",
    "text_encoders": "text_encoder",
    "upscale_models": "upscale_model",
    "style_models": "style_model",
}
LITERALS: tuple[tuple[type, str], ...] = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))


@dataclass(frozen=True)
class Wish:
    """One input: its name and type as mappings have it, where it goes, and what the graph has there. `named` is its
    node, when another input has the same name."""

    name: str
    type: str
    places: tuple[tuple[str, str], ...]
    default: Any
    description: str
    named: str = ""
    folder: str = ""
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None


def plan_inputs(graph: Graph, catalogue: Catalogue | None) -> list[Wish]:
    """The inputs: prompts, media, sizes, seeds, the sampler's, models, and what External and primitive nodes declare;
    each with a name of its own. The prefix of file names is no input: requests set it."""
    found = [wish for node_id in graph.nodes for wish in _of_node(graph, node_id, catalogue)]
    return _with_own_names(sorted(_merged(found), key=_rank))


def is_seed(name: str) -> bool:
    """Whether a field of a node is a seed."""
    return name in SEEDS


def snake(text: str) -> str:
    """A title as a name in Python: `Positive Prompt` is `positive_prompt`."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")[:LONGEST_NAME].strip("_")


def _of_node(graph: Graph, node_id: str, catalogue: Catalogue | None) -> Iterator[Wish]:
    node = graph.nodes[node_id]
    if node.class_type.startswith(EXTERNAL):
        yield from _external(node_id, node, catalogue)
        return
    media = {field: one.kind for one in media_fields(node.class_type, catalogue) for field in one.fields}
    for field, value in node.inputs.items():
        if as_link(value) is not None or not isinstance(value, bool | int | float | str):
            continue
        if field in media:
            if isinstance(value, str) and media[field] in ("image", "video", "audio", "file"):
                kind = str(media[field])
                what = f"The {kind}, as a URL or base64, or the name of a file among the engine's inputs."
                yield Wish(kind, kind, ((node_id, field),), value, what, _own_title(node))
        elif (wish := _of_field(graph, node_id, field, catalogue)) is not None:
            yield wish


def _of_field(graph: Graph, node_id: str, field: str, catalogue: Catalogue | None) -> Wish | None:
    node = graph.nodes[node_id]
    value, spec, place = node.inputs[field], field_spec(catalogue, node.class_type, field), ((node_id, field),)
    kind = MODEL_FIELDS.get(node.class_type, {}).get(field) or MODEL_HINTS.get(field)
    title = _own_title(node)
    if kind and isinstance(value, str):
        name = MODEL_NAMES.get(kind, snake(kind).removesuffix("s"))
        return Wish(name, "model", place, value, f"A model of the folder {kind}.", title, folder=kind)
    if field in SEEDS and isinstance(value, int) and node.inputs.get("add_noise") != "disable":
        return Wish("seed", "seed", place, value, "The same seed gives the same picture; random when left out.", title)
    if field in TEXTS and isinstance(value, str):
        name, what = _prompt(graph, node_id, field)
        return Wish(name, "string", place, value, what, title)
    if node.class_type.startswith("Primitive") and field == "value":
        return _typed(Wish(snake(title) or "value", "", place, value, node.title, title), spec, field)
    if field in NAMED:
        name, what = NAMED[field]
        return _typed(Wish(name, "", place, value, what, title), spec, field)
    return None


def _external(node_id: str, node: Node, catalogue: Catalogue | None) -> Iterator[Wish]:
    """The input that an External node declares, by the name that it gives itself."""
    name, field = node.inputs.get(ITS_NAME), next((key for key in ITS_VALUE if key in node.inputs), None)
    if field is None or not isinstance(name, str) or not isinstance(node.inputs[field], bool | int | float | str):
        return
    what = str(node.inputs.get("description") or node.inputs.get("display_name") or node.title)
    wish = Wish(
        snake(name).removeprefix("input_") or "input",
        "",
        ((node_id, field),),
        node.inputs[field],
        what,
        _own_title(node),
    )
    if node.class_type == f"{EXTERNAL}Seed":
        low, high = _bound(node.inputs.get("min_value")), _bound(node.inputs.get("max_value"))
        yield replace(wish, type="seed", low=low, high=high)
    else:
        yield _typed(wish, field_spec(catalogue, node.class_type, field), field)


def _typed(wish: Wish, spec: FieldSpec | None, field: str) -> Wish:
    """The wish with the type and the bounds that the catalogue tells, as far as the graph's own value keeps them."""
    if field in ("sampler_name", "scheduler"):
        return replace(wish, type=field.removesuffix("_name"))
    kind = next(kind for literal, kind in LITERALS if isinstance(wish.default, literal))
    if spec is not None and spec.type == "FLOAT" and kind == "integer":
        kind = "number"
    if spec is not None and spec.type == COMBO and wish.default in (spec.choices or ()):
        choices = spec.choices or ()
        return replace(wish, type=kind, choices=choices if len(choices) <= MAX_CHOICES else ())
    if kind not in ("integer", "number") or spec is None:
        return replace(wish, type=kind)
    low, high = _bound(spec.options.get("min")), _bound(spec.options.get("max"))
    low = None if low is None or low > wish.default else low
    return replace(wish, type=kind, low=low, high=None if high is None or high < wish.default else high)


def _bound(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_SEED
    return value if usable else None


def _prompt(graph: Graph, node_id: str, field: str) -> tuple[str, str]:
    """Whether a text is what shall be seen or what shall not: where its conditioning ends up tells."""
    if field == "negative" or _leads_to(graph, node_id) == {"negative"}:
        return "negative_prompt", "What the picture must not show."
    return "prompt", "What the picture shows."


def _leads_to(graph: Graph, node_id: str) -> set[str]:
    """The inputs `positive` and `negative` that a node's output reaches, over other nodes, too."""
    found: set[str] = set()
    reached, edge = {node_id}, {node_id}
    for _ in range(MAX_STEPS_BACK):
        links = [
            (key, name) for key, node in graph.nodes.items() for name, link in node.links() if link.node_id in edge
        ]
        found |= {name for _, name in links if name in ("positive", "negative")}
        edge = {key for key, name in links if name not in ("positive", "negative")} - reached
        reached |= edge
        if not edge:
            break
    return found


def _own_title(node: Node) -> str:
    """What people called the node, without what they said about it; empty when they left its name."""
    return TITLE_END.split(node.title)[0] if node.title != node.class_type else ""


def _merged(wishes: list[Wish]) -> list[Wish]:
    """Inputs of one node with one name and one value are one: both texts of an SDXL encoder."""
    kept: dict[tuple[str, str, str], Wish] = {}
    for wish in wishes:
        key = (wish.places[0][0], wish.name, repr(wish.default))
        kept[key] = replace(kept[key], places=kept[key].places + wish.places) if key in kept else wish
    return list(kept.values())


def _with_own_names(wishes: list[Wish]) -> list[Wish]:
    """The first keeps its plain name; others that have it are told apart by their node's title, else by a number."""
    taken: set[str] = set()
    named = []
    for wish in wishes:
        name = _allowed(wish.name)
        title = snake(wish.named)
        if name in taken and title and title != name:
            name = _allowed(f"{title}_{name}" if name not in title else title)
        plain, number = name, 1
        while name in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name)
        named.append(replace(wish, name=name))
    return named


def _allowed(name: str) -> str:
    """A name that Python and Pydantic take for a field."""
    name = name if name[:1].isalpha() else f"input_{name}"
    return f"{name}_" if keyword.iskeyword(name) or hasattr(BaseModel, name) else name


def _rank(wish: Wish) -> int:
    """Prompts first, then media, then the rest as the graph has it."""
    ranks = {"prompt": 0, "negative_prompt": 1}
    return ranks.get(wish.name, 2 if wish.type in ("image", "video", "audio", "file") else 3)
