"""Model nodes: a plain function plus its line in simulate/signatures.json becomes a node class."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.nodes.declare import Family, Spec, choice, listing

Call = TypeVar("Call", bound=Callable[..., Any])
Signature = Mapping[str, Any]

family = Family()
FLAGS = {"deprecated": "DEPRECATED", "experimental": "EXPERIMENTAL"}


@cache
def table() -> Mapping[str, Any]:
    """The whole table: `nodes` (class name -> signature) and `choices` (lists that several share)."""
    text = resources.files("comfyserve.embedded.simulate").joinpath("signatures.json").read_text("utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def signatures() -> Mapping[str, Signature]:
    """Class name -> signature: module, category, inputs, outputs, names, flags."""
    nodes: Mapping[str, Signature] = table()["nodes"]
    return nodes


def simulates(*names: str) -> Callable[[Call], Call]:
    """Publish the decorated function as each of these nodes. KeyError for a name without a signature."""

    def publish(call: Call) -> Call:
        for name in names:
            _publish(name, signatures()[name], call)
        return call

    return publish


def _publish(name: str, signature: Signature, call: Callable[..., Any]) -> None:
    groups = {group: _specs(specs) for group, specs in signature["inputs"].items()}
    names, lists = signature.get("names"), signature.get("lists")
    family.node(
        name,
        signature["module"],
        signature["category"],
        groups.get("required", {}),
        tuple(signature["outputs"]),
        title=signature.get("title"),
        optional=groups.get("optional"),
        hidden=signature.get("hidden"),
        names=tuple(names) if names else None,
        lists=tuple(lists) if lists else None,
        output_node=signature.get("output_node", False),
        v3=signature.get("v3", False),
    )(call)
    node = family.classes[name]
    node.SIMULATED = True
    for flag, attribute in FLAGS.items():
        if signature.get(flag):
            setattr(node, attribute, True)


def _specs(specs: Mapping[str, list[Any]]) -> dict[str, Spec | Callable[[], Spec]]:
    return {name: _spec(kind, options[0] if options else {}) for name, (kind, *options) in specs.items()}


def _spec(kind: Any, options: Mapping[str, Any]) -> Spec | Callable[[], Spec]:
    if isinstance(kind, dict) and "files" in kind:
        return listing(_files(**kind), **options)
    if isinstance(kind, dict):
        kind = table()["choices"][kind["choices"]]
    if isinstance(kind, list):
        return choice(*kind, **options)
    return (kind, options) if options else (kind,)


def _files(files: str, first: list[str] | None = None, more: list[str] | None = None) -> Callable[[Folders], list[str]]:
    return lambda folders: [*(first or ()), *folders.model_files(files), *(more or ())]
