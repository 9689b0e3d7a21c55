"""V3 node classes (a schema, class methods, NodeOutput) in the V1 shape that the engine runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from comfyserve.embedded.graph.blocker import ExecutionBlocker
from comfyserve.embedded.graph.dynamic_inputs import DYNAMIC, kind, nest

HIDDEN_PREFIX = "hidden."
"""Hidden values reach the adapter under names that no input can have, since a V3 node may have an input `prompt`."""

COPIED = (
    "RETURN_TYPES",
    "RETURN_NAMES",
    "OUTPUT_IS_LIST",
    "OUTPUT_TOOLTIPS",
    "OUTPUT_NODE",
    "INPUT_IS_LIST",
    "NOT_IDEMPOTENT",
    "CATEGORY",
    "DESCRIPTION",
    "DEPRECATED",
    "EXPERIMENTAL",
    "API_NODE",
    "RELATIVE_PYTHON_MODULE",
)


def is_v3(node_class: Any) -> bool:
    """Whether a class declares itself with a schema."""
    return isinstance(node_class, type) and hasattr(node_class, "GET_SCHEMA") and not hasattr(node_class, "ADAPTS")


def as_v1(node_class: Any) -> type[Any]:
    """A V1-shaped class that runs node_class. Raises what its schema raises."""
    schema = node_class.GET_SCHEMA()
    traits: dict[str, Any] = {name: getattr(node_class, name) for name in COPIED}
    traits |= {
        "V3": True,
        "ADAPTS": node_class,
        "HIDDEN_PREFIX": HIDDEN_PREFIX,
        "SCHEMA": schema,
        "FUNCTION": "run",
        "INPUT_TYPES": staticmethod(node_class.INPUT_TYPES),
        "run": _runner(node_class),
        "__doc__": node_class.__doc__,
    }
    if _overrides(node_class, "check_lazy_status"):
        traits["check_lazy_status"] = staticmethod(_with_hidden(node_class, "check_lazy_status"))
    if _overrides(node_class, "fingerprint_inputs"):
        traits["IS_CHANGED"] = staticmethod(_with_hidden(node_class, "fingerprint_inputs"))
    if _overrides(node_class, "validate_inputs"):
        traits["VALIDATE_INPUTS"] = staticmethod(node_class.validate_inputs)
    return type(node_class.__name__, (), traits)


def declared_class(node_class: type[Any]) -> type[Any]:
    """The class as its pack wrote it."""
    adapted: type[Any] = getattr(node_class, "ADAPTS", node_class)
    return adapted


def _runner(node_class: Any) -> Any:
    execute = _with_hidden(node_class, "execute")
    if inspect.iscoroutinefunction(node_class.execute):

        async def run_async(**values: Any) -> Any:
            return _answer(node_class, await execute(**values))

        return staticmethod(run_async)

    def run(**values: Any) -> Any:
        return _answer(node_class, execute(**values))

    return staticmethod(run)


def _with_hidden(node_class: Any, method: str) -> Callable[..., Any]:
    """The class method called on a class of this call's own, which holds the hidden values."""
    is_dynamic = any(kind(spec) in DYNAMIC for group in node_class.INPUT_TYPES().values() for spec in group.values())

    @functools.wraps(getattr(node_class, method))
    def call(**values: Any) -> Any:
        given = {name: value for name, value in values.items() if not name.startswith(HIDDEN_PREFIX)}
        hidden = {
            name.removeprefix(HIDDEN_PREFIX): _single(value) if node_class.INPUT_IS_LIST else value
            for name, value in values.items()
            if name.startswith(HIDDEN_PREFIX)
        }
        if is_dynamic:
            given = nest(node_class.INPUT_TYPES(), given)
        clone = node_class.PREPARE_CLASS_CLONE(hidden)
        return getattr(clone, method)(**given)

    return call


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _answer(node_class: Any, answer: Any) -> Any:
    """What `execute` gave, as a V1 function returns it. TypeError for anything that a node may not return."""
    if answer is None:
        return {}
    if isinstance(answer, (tuple, dict, ExecutionBlocker)):
        return answer if not isinstance(answer, ExecutionBlocker) else _blocked(node_class, answer.message)
    if not hasattr(answer, "block_execution"):
        raise TypeError(f"{node_class.__name__}.execute must return a NodeOutput, not {type(answer).__name__}")
    if answer.expand is not None and not node_class.SCHEMA.enable_expand:
        raise TypeError(f"{node_class.__name__} expands into other nodes, but its schema does not say enable_expand")
    found: dict[str, Any] = {}
    if answer.block_execution is not None:
        found["result"] = _blocked(node_class, answer.block_execution)
    elif answer.args:
        found["result"] = answer.args
    if answer.ui is not None:
        found["ui"] = answer.ui if isinstance(answer.ui, dict) else answer.ui.as_dict()
    if answer.expand is not None:
        found["expand"] = answer.expand
    return found


def _blocked(node_class: Any, message: str | None) -> tuple[ExecutionBlocker, ...]:
    return (ExecutionBlocker(message),) * len(node_class.RETURN_TYPES)


def _overrides(node_class: Any, method: str) -> bool:
    """Whether the pack wrote this method: the base class marks its own."""
    function = getattr(getattr(node_class, method, None), "__func__", None)
    return function is not None and not getattr(function, "of_base_class", False)
