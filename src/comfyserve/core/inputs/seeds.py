"""Fresh seeds before each run (external-nodes.md section 4, comfydeploy.md 3.1.3)."""

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from comfyserve.core.catalogue import Catalogue, field_spec
from comfyserve.core.graph import Graph, Node
from comfyserve.core.inputs.declare import seed_range
from comfyserve.core.inputs.externals import EXTERNALS, Kind
from comfyserve.core.media import INPUT_ID_META

Draw = Callable[[int, int], int]
"""A random whole number between two bounds, both included, such as `random.Random().randint`."""

FIFTEEN_DIGITS = (10**14, 10**15 - 1)
SEED_RANGES: Mapping[str, tuple[int, int]] = {
    "SONICSampler": (0, 2**31 - 1),
    "PromptExpansion": (10**7, 10**8 - 1),
}
"""Class type -> its range of seeds; FIFTEEN_DIGITS for all others."""

NOISE_SEED_CLASSES = frozenset({"RandomNoise", "KSamplerAdvanced", "SamplerCustom", "XlabsSampler"})
FIXED = "fixed"


def randomise_seeds(graph: Graph, editor: Any, draw: Draw, catalogue: Catalogue | None = None) -> Graph:
    """The graph with fresh literal seeds, except those of a KSampler that the editor form says is fixed.

    Call it before `bind`, so that a seed that the caller gives stays. Linked seeds are left alone; with a catalogue
    no seed is above what its node takes.
    """
    fixed = _fixed_samplers(editor)
    changes: dict[str, dict[str, Any]] = {}
    for node_id, node in graph.nodes.items():
        if node_id not in fixed and _is_literal(node.inputs.get("seed")):
            changes.setdefault(node_id, {})["seed"] = _drawn(node, "seed", draw, catalogue)
        if node.class_type in NOISE_SEED_CLASSES and _is_literal(node.inputs.get("noise_seed")):
            changes.setdefault(node_id, {})["noise_seed"] = _drawn(node, "noise_seed", draw, catalogue)
    return graph.with_inputs(changes)


def settle_seeds(graph: Graph, draw: Draw) -> tuple[Graph, dict[str, int]]:
    """Give a number to each External Seed that asks for a random one; the numbers by public name.

    The names stand in the nodes' meta (INPUT_ID_META). Nodes that share a name share the seed. A seed inside its node's
    limits, or a linked one, stays.
    """
    seeds: dict[str, int] = {}
    changes: dict[str, dict[str, Any]] = {}
    for node_id, node in graph.nodes.items():
        external = EXTERNALS.get(node.class_type)
        if external is None or external.kind is not Kind.SEED:
            continue
        low, high = seed_range(node)
        value = node.inputs.get("default_value")
        if not _is_literal(value) or low <= value <= high:
            continue
        name = str(node.meta.get(INPUT_ID_META, node_id))
        shared = seeds.get(name)
        seeds[name] = shared if shared is not None and low <= shared <= high else draw(low, high)
        changes[node_id] = {"default_value": seeds[name]}
    return graph.with_inputs(changes), seeds


def _drawn(node: Node, name: str, draw: Draw, catalogue: Catalogue | None) -> int:
    low, high = SEED_RANGES.get(node.class_type, FIFTEEN_DIGITS)
    spec = field_spec(catalogue, node.class_type, name)
    ceiling = spec.options.get("max") if spec else None
    if _is_literal(ceiling) and ceiling < high:
        high = max(0, int(ceiling))
        low = min(low, high) if low <= high else 0
    return draw(low, high)


def _fixed_samplers(editor: Any) -> frozenset[str]:
    nodes = editor.get("nodes") if isinstance(editor, Mapping) else None
    if not isinstance(nodes, list):
        return frozenset()
    return frozenset(str(node.get("id")) for node in nodes if isinstance(node, Mapping) and _is_fixed(node))


def _is_fixed(node: Mapping[str, Any]) -> bool:
    widgets = node.get("widgets_values")
    if node.get("type") != "KSampler" or not isinstance(widgets, list) or len(widgets) < 2:
        return False
    return bool(widgets[1] == FIXED)


def _is_literal(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
