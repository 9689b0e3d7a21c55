"""Which Python files may be run before a person has read them: those of a language model that can do nothing but
describe inputs and fill a graph. Everything that is not listed here is refused; nothing is run to find out."""

import ast
import builtins
from collections.abc import Iterator, Mapping

from comfyserve.workflows.errors import Unreadable

IMPORTS: Mapping[str, frozenset[str]] = {
    "__future__": frozenset({"annotations"}),
    "typing": frozenset({"Annotated", "Any", "Literal", "Optional", "Union"}),
    "pydantic": frozenset({"BaseModel", "ConfigDict", "Field"}),
    "comfyserve.workflows": frozenset({"ctx", "random_seed"}),
}
"""Module -> what a file may take from it, under its own name."""

BUILTINS = frozenset({
    "ValueError", "abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "max",
    "min", "range", "round", "set", "sorted", "str", "sum", "tuple", "zip",
})  # fmt: skip
IMPORTED = frozenset().union(*IMPORTS.values())
KNOWN = BUILTINS | IMPORTED
"""Names that a file may use without having made them, and may not make anew."""

CALLED = BUILTINS | {"ConfigDict", "Field", "random_seed"}
METHODS = frozenset({
    "append", "copy", "endswith", "extend", "get", "items", "join", "keys", "lower", "lstrip", "replace", "rstrip",
    "split", "startswith", "strip", "title", "update", "upper", "values",
})  # fmt: skip
OF_CTX = frozenset({"Model", "models"})
FACTORIES = frozenset({"dict", "list", "random_seed", "set"})
TYPES = frozenset({"Any", "bool", "dict", "float", "int", "list", "str"})
FORMS = frozenset({"Annotated", "Optional", "Union", "dict", "list"})
CTX_TYPES = frozenset({"Sampler", "Scheduler"})
WITH_KEYWORDS = frozenset({"ConfigDict", "Field", "dict"})
PARAMETER = "input"
"""The one builtin's name that a file may give to a parameter."""

NODES = (
    ast.Module, ast.ImportFrom, ast.alias, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.keyword,
    ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.If, ast.For, ast.Pass, ast.Raise,
    ast.Break, ast.Continue, ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.Lambda, ast.Subscript, ast.Slice,
    ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.DictComp, ast.SetComp, ast.comprehension, ast.Starred,
    ast.JoinedStr, ast.FormattedValue, ast.IfExp, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.BinOp,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr, ast.BitXor,
    ast.Compare, ast.cmpop, ast.Load, ast.Store,
)  # fmt: skip
"""The grammar. Without `while`, powers, generators, exceptions that are caught, decorators and `async`."""


def check_harmless(text: str) -> None:
    """Raise Unreadable, with the line, for a Python file that could do more than describe inputs and fill a graph."""
    try:
        _File(ast.parse(text.encode())).check()  # bytes, as the file is loaded: it may name another encoding
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise Unreadable(f"{type(error).__name__}: {said}{line}") from error


class _File:
    """A parsed file, with the names that it makes."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        self._made = set(_names_made(tree))
        self._lambdas: set[ast.AST] = set()

    def check(self) -> None:
        """Raise Unreadable for the first thing that is not listed."""
        for name in self._made:
            if name.startswith("_") or name in KNOWN or (name != PARAMETER and hasattr(builtins, name)):
                raise Unreadable(f"It gives {name} a new meaning, which such a file needs not.")
        for node in ast.walk(self._tree):  # parents come before what is in them
            if not isinstance(node, NODES) or not self._is_allowed(node):
                line = getattr(node, "lineno", None)
                what = ast.unparse(node).splitlines()[0] if line else type(node).__name__
                where = f" (line {line})" if line else ""
                raise Unreadable(f"It has `{what[:80]}`, which such a file needs not{where}.")

    def _is_allowed(self, node: ast.AST) -> bool:
        match node:
            case ast.ImportFrom():
                allowed = IMPORTS.get(node.module or "", frozenset())
                return not node.level and all(one.name in allowed and one.asname is None for one in node.names)
            case ast.Name(ctx=ast.Load()):
                return node.id in KNOWN or node.id in self._made
            case ast.Attribute():
                return not node.attr.startswith("_") and isinstance(node.ctx, ast.Load)
            case ast.ClassDef():
                return node in self._tree.body and _is_model(node)
            case ast.FunctionDef():
                return node in self._tree.body and not node.decorator_list
            case ast.Call():
                return self._is_call(node)
            case ast.Lambda():
                return node in self._lambdas
        return True

    def _is_call(self, call: ast.Call) -> bool:
        """Only what is listed is called, and only `Field` is handed something that is called later."""
        if any(word.arg is None for word in call.keywords):
            return False
        if isinstance(call.func, ast.Attribute):
            of_ctx = isinstance(call.func.value, ast.Name) and call.func.value.id == "ctx"
            return call.func.attr in (OF_CTX if of_ctx else METHODS) and not call.keywords
        if not isinstance(call.func, ast.Name) or call.func.id not in CALLED | self._functions:
            return False
        if call.keywords and call.func.id not in WITH_KEYWORDS | self._functions:
            return False
        factories = [word.value for word in call.keywords if word.arg == "default_factory"]
        self._lambdas |= {one for one in factories if isinstance(one, ast.Lambda) and not one.args.args}
        return all(one in self._lambdas or (isinstance(one, ast.Name) and one.id in FACTORIES) for one in factories)


def _names_made(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.arg():
                yield node.arg
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name


def _is_model(node: ast.ClassDef) -> bool:
    """A Pydantic model of fields alone. Pydantic evaluates texts among annotations, so these have a grammar."""
    if node.decorator_list or node.keywords or [ast.unparse(base) for base in node.bases] != ["BaseModel"]:
        return False
    return all(
        isinstance(one, ast.Assign | ast.Pass)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        or (isinstance(one, ast.AnnAssign) and _is_type(one.annotation))
        for one in node.body
    )


def _is_type(node: ast.AST) -> bool:
    match node:
        case ast.Constant():
            return node.value is None
        case ast.Name():
            return node.id in TYPES
        case ast.Attribute(value=ast.Name(id="ctx")):
            return node.attr in CTX_TYPES
        case ast.Call(func=ast.Attribute(value=ast.Name(id="ctx"), attr="Model"), args=[ast.Constant()]):
            return not node.keywords
        case ast.BinOp(op=ast.BitOr()):
            return _is_type(node.left) and _is_type(node.right)
        case ast.Subscript(value=ast.Name(id=form)):
            return _is_form(form, node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])
    return False


def _is_form(form: str, inside: list[ast.expr]) -> bool:
    if form == "Literal":
        return all(isinstance(one, ast.Constant | ast.UnaryOp) for one in inside)
    if form == "Annotated":
        return (
            bool(inside) and _is_type(inside[0]) and all(isinstance(one, ast.Call | ast.Constant) for one in inside[1:])
        )
    return form in FORMS and all(_is_type(one) for one in inside)
