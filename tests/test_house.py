"""The rules of the house: who may import whom, and how large things may get (DESIGN.md, section 3)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "comfyserve"

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "protocol": set(),
    "ports": {"core"},
    "db": {"core"},
    "blobs": {"core", "ports"},
    "fetch": {"core", "ports"},
    "embedded": {"core", "protocol"},
    "engines": {"core", "ports", "protocol", "interpreter"},
    "work": {"core", "ports", "interpreter"},
    "pools": {"core", "ports", "work"},
    "services": {"core", "ports", "db"},
    "apis": {"core", "services"},
    "client": set(),
    "cli": {"client", "app", "server", "solo_server", "settings", "solo_settings"},
    "settings": {"core", "ports", "originals"},
    "solo_settings": {"core", "ports", "originals", "settings"},
    "originals": set(),
    "testing": {"core", "ports"},
    "workflows": {"core", "ports"},
    "provision": {"core", "ports", "engines"},
    "logs": set(),
    "interpreter": set(),
    "pages": set(),
}
EVERYBODY = {"app", "server", "serving", "solo_server", "__main__"}
"""`app` composes, the servers run what it composed (`serving` is what both need), `__main__` starts the commands."""

WIRE_APIS = {"native", "comfydeploy", "stateless"}

FILE_LINES, TEST_LINES = 500, 800
FUNCTION_LINES, BRANCHES, NESTING, CLASS_LINES, ROUTE_LINES = 60, 12, 3, 300, 20

EXEMPT: dict[str, str] = {}
"""`path` or `path::function` -> why a limit does not hold there."""

BRANCHING = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.IfExp, ast.match_case, ast.ExceptHandler)
NESTED = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def imports() -> list[tuple[str, str]]:
    graph = grimp.build_graph("comfyserve", cache_dir=None)
    return [
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith("comfyserve.")
    ]


def test_imports_point_inwards(imports: list[tuple[str, str]]) -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, imported in imports
        if (importer := _part(module)) not in EVERYBODY
        and _part(imported) != importer
        and _part(imported) not in MAY_IMPORT.get(importer, set()) | {"comfyserve"}
    ]
    assert wrong == []


def test_a_wire_api_never_imports_another(imports: list[tuple[str, str]]) -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, imported in imports
        for api in WIRE_APIS
        if module.startswith(f"comfyserve.apis.{api}")
        for other in WIRE_APIS - {api}
        if imported.startswith(f"comfyserve.apis.{other}")
    ]
    assert wrong == []


def test_every_package_has_a_rule() -> None:
    parts = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert parts - EVERYBODY - {"__init__"} <= MAY_IMPORT.keys()


def test_files_stay_small() -> None:
    assert [f"{path}: {lines} lines" for path, lines, most in _file_sizes() if lines > most] == []


def test_functions_stay_small() -> None:
    assert list(_large_functions()) == []


def _part(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def _sources() -> Iterator[Path]:
    for folder in ("src/comfyserve", "comfy_nodes", "tests", "bench"):
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if "node_modules" not in path.parts)


def _file_sizes() -> Iterator[tuple[str, int, int]]:
    for path in _sources():
        name = str(path.relative_to(ROOT))
        if name not in EXEMPT:
            yield name, len(path.read_text().splitlines()), TEST_LINES if name.startswith("tests/") else FILE_LINES


def _large_functions() -> Iterator[str]:
    for path in _sources():
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function | ast.ClassDef) and f"{name}::{node.name}" not in EXEMPT:
                yield from (f"{name}::{node.name}: {fault}" for fault in _faults(node))


def _faults(node: Function | ast.ClassDef) -> Iterator[str]:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if isinstance(node, ast.ClassDef):
        if lines > CLASS_LINES:
            yield f"{lines} lines in a class"
        return
    most = ROUTE_LINES if _is_route(node) else FUNCTION_LINES
    if lines > most:
        yield f"{lines} lines"
    if (branches := sum(isinstance(inner, BRANCHING) for inner in ast.walk(node))) > BRANCHES:
        yield f"{branches} branches"
    depth, allowed = _depth(node), NESTING + (1 if _has_async_with_and_try(node) else 0)
    if depth > allowed:
        yield f"nested {depth} deep"


def _is_route(node: Function) -> bool:
    calls = (decorator for decorator in node.decorator_list if isinstance(decorator, ast.Call))
    verbs = {"get", "post", "put", "patch", "delete", "head", "api_route"}
    return any(isinstance(call.func, ast.Attribute) and call.func.attr in verbs for call in calls)


def _has_async_with_and_try(node: Function) -> bool:
    kinds = {type(inner) for inner in ast.walk(node)}
    return ast.AsyncWith in kinds and ast.Try in kinds


def _depth(node: ast.AST) -> int:
    """How deep blocks stand in each other; an `elif` is no deeper than its `if`, an inner function starts anew."""
    deepest = 0
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for child in children:
            if isinstance(child, Function | ast.ClassDef | ast.Lambda) or not isinstance(child, ast.AST):
                continue
            is_elif = (
                field == "orelse" and isinstance(node, ast.If) and isinstance(child, ast.If) and len(children) == 1
            )
            deepest = max(deepest, _depth(child) + (isinstance(child, NESTED) and not is_elif))
    return deepest
