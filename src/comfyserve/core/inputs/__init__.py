"""The inputs of a workflow: declared by External nodes, narrowed by a deployment, bound to a graph.

declare(graph) -> inputs        narrow(inputs, narrowings) -> inputs        bind(graph, inputs, values) -> Bound
"""

from comfyserve.core.catalogue import Catalogue, FieldSpec, check_classes, field_spec
from comfyserve.core.inputs.bind import Bound, Notice, bind
from comfyserve.core.inputs.companions import OUTPUTS, TOOLS
from comfyserve.core.inputs.declare import Group, Input, declare
from comfyserve.core.inputs.externals import CATEGORY, EXTERNALS, External, Kind
from comfyserve.core.inputs.narrow import Narrowing, narrow
from comfyserve.core.inputs.node_class import Field, NodeClass
from comfyserve.core.inputs.seeds import Draw, randomise_seeds

__all__ = [
    "CATEGORY",
    "EXTERNALS",
    "OUTPUTS",
    "TOOLS",
    "Bound",
    "Catalogue",
    "Draw",
    "External",
    "Field",
    "FieldSpec",
    "Group",
    "Input",
    "Kind",
    "Narrowing",
    "NodeClass",
    "Notice",
    "bind",
    "check_classes",
    "declare",
    "field_spec",
    "narrow",
    "randomise_seeds",
]
