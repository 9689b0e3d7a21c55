"""Arithmetic written as text, of newer ComfyUI versions: ComfyMathExpression."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from string import ascii_lowercase
from typing import Any, Final

from comfyserve.embedded.graph.dynamic_inputs import AUTOGROW
from comfyserve.embedded.nodes.declare import Family, Spec

family = Family()

MAX_LENGTH: Final = 10_000
MAX_DEPTH: Final = 100
MAX_EXPONENT: Final = 4000
MAX_BITS: Final = 200_000
VALUES: Spec = (
    AUTOGROW,
    {"template": {"input": {"optional": {"value": ("FLOAT,INT,BOOLEAN", {})}}, "names": [*ascii_lowercase], "min": 1}},
)


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > MAX_EXPONENT or (isinstance(base, int) and base.bit_length() * abs(exponent) > MAX_BITS):
        raise ValueError(f"the power {exponent} is too large")
    return base**exponent


def _product(one: Any, two: Any) -> Any:
    if isinstance(one, int) and isinstance(two, int) and one.bit_length() + two.bit_length() > MAX_BITS:
        raise ValueError("the numbers are too large")
    return one * two


def _rounded(number: Any, digits: Any = None) -> Any:
    if digits is not None and abs(digits) > MAX_EXPONENT:
        raise ValueError(f"it rounds to {digits} digits, which is too many")
    return round(number, digits)


def _sum(*values: Any) -> Any:
    return sum(values[0] if len(values) == 1 and isinstance(values[0], Iterable) else values)


BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _product,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "sum": _sum,
    "min": min,
    "max": max,
    "abs": abs,
    "round": _rounded,
    "pow": _power,
    "sqrt": math.sqrt,
    "ceil": math.ceil,
    "floor": math.floor,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "int": int,
    "float": float,
}


@family.node(
    "ComfyMathExpression",
    "comfy_extras.nodes_math",
    "utilities",
    {"expression": ("STRING", {"default": "a + b", "multiline": True}), "values": VALUES},
    ("FLOAT", "INT", "BOOLEAN"),
    title="Math Expression",
    names=("FLOAT", "INT", "BOOL"),
    v3=True,
)
def calculate(expression: str, values: Mapping[str, Any]) -> tuple[float, int, bool]:
    """The result of an expression over a, b, ... (and `values`, all of them). ValueError if it is no finite number."""
    try:
        result = _Calculation({**values, "values": list(values.values())}).of(expression)
        number = float(result)
        if isinstance(result, (list, str)) or not math.isfinite(number):
            raise ValueError("the result is no number")
        return number, int(result), bool(result)
    except (ValueError, TypeError, LookupError, ArithmeticError, SyntaxError, RecursionError, MemoryError) as reason:
        shown = expression if len(expression) < 200 else f"{expression[:200]}..."
        raise ValueError(f"The expression {shown!r} cannot be calculated: {reason}.") from reason


class _Calculation:
    """Walks the syntax tree of one expression; nothing but arithmetic is known to it."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def of(self, expression: str) -> Any:
        if len(expression) > MAX_LENGTH:
            raise ValueError(f"it is longer than {MAX_LENGTH} characters")
        return self._value(ast.parse(expression.strip(), mode="eval").body, 0)

    def _value(self, node: ast.expr, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        walk = _WALKS.get(type(node))
        if walk is None:
            raise ValueError(f"{type(node).__name__} is not known here")
        return walk(self, node, depth + 1)

    def _constant(self, node: ast.Constant, depth: int) -> Any:
        if not isinstance(node.value, (int, float)):
            raise TypeError(f"{node.value!r} is no number")
        return node.value

    def _name(self, node: ast.Name, depth: int) -> Any:
        if node.id not in self._names:
            raise ValueError(f"there is no value {node.id!r}")
        return self._names[node.id]

    def _binary(self, node: ast.BinOp, depth: int) -> Any:
        combine = BINARY.get(type(node.op))
        if combine is None:
            raise ValueError(f"{type(node.op).__name__} is not known here")
        one, two = self._value(node.left, depth), self._value(node.right, depth)
        if isinstance(one, list) or isinstance(two, list):
            raise TypeError("a list is no number")
        return combine(one, two)

    def _unary(self, node: ast.UnaryOp, depth: int) -> Any:
        change = UNARY.get(type(node.op))
        if change is None:
            raise ValueError(f"{type(node.op).__name__} is not known here")
        return change(self._value(node.operand, depth))

    def _either(self, node: ast.BoolOp, depth: int) -> Any:
        value: Any = None
        for part in node.values:
            value = self._value(part, depth)
            if bool(value) is isinstance(node.op, ast.Or):
                break
        return value

    def _compared(self, node: ast.Compare, depth: int) -> Any:
        left = self._value(node.left, depth)
        for compare, part in zip(node.ops, node.comparators, strict=True):
            right = self._value(part, depth)
            if type(compare) not in COMPARISONS:
                raise ValueError(f"{type(compare).__name__} is not known here")
            if not COMPARISONS[type(compare)](left, right):
                return False
            left = right
        return True

    def _chosen(self, node: ast.IfExp, depth: int) -> Any:
        return self._value(node.body if self._value(node.test, depth) else node.orelse, depth)

    def _called(self, node: ast.Call, depth: int) -> Any:
        function = FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is None or node.keywords:
            raise ValueError(f"only these functions are known: {', '.join(FUNCTIONS)}")
        return function(*(self._value(argument, depth) for argument in node.args))

    def _item(self, node: ast.Subscript, depth: int) -> Any:
        return self._value(node.value, depth)[self._value(node.slice, depth)]


_WALKS: Final[Mapping[type[ast.expr], Callable[[_Calculation, Any, int], Any]]] = {
    ast.Constant: _Calculation._constant,
    ast.Name: _Calculation._name,
    ast.BinOp: _Calculation._binary,
    ast.UnaryOp: _Calculation._unary,
    ast.BoolOp: _Calculation._either,
    ast.Compare: _Calculation._compared,
    ast.IfExp: _Calculation._chosen,
    ast.Call: _Calculation._called,
    ast.Subscript: _Calculation._item,
}
