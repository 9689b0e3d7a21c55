"""The documents say what the program does: each setting, route, error and command stands in them."""

import importlib
import pkgutil
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.main import get_command

import comfyserve
from comfyserve.apis.comfydeploy.api import comfydeploy_router
from comfyserve.apis.http import files, health
from comfyserve.apis.http.errors import STATUS
from comfyserve.apis.native.api import native_router
from comfyserve.cli.console import Exit
from comfyserve.cli.main import app as command_line
from comfyserve.core import errors
from comfyserve.core.errors import CLOCK_SENTENCES, DomainError
from comfyserve.core.inputs import EXTERNALS, Kind
from comfyserve.settings import PREFIX
from comfyserve.solo_settings import SoloSettings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md"), *DOCS.glob("*.md")])
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
ERROR_ROW = re.compile(r"^\| `(\w+)` \|(?: (\d{3}) \|)?", re.MULTILINE)
EXIT_ROW = re.compile(r"^\| (\d+) \|", re.MULTILINE)
CALL = re.compile(r"`(GET|POST|PATCH|DELETE) (/[^`?\s]*)`")
VARIABLE = re.compile(rf"{PREFIX}([A-Z_]+)")
WITHOUT_ERRORS = ("__main__", ".migrations", ".comfy_modules")
"""Modules that are not imported: they start something, or need an engine that runs."""

ONLY_DOWNLOADS = {"conflict"}
"""Raised for /download of solo alone: its caller names the model, a run's models have names of ours."""

UNTOLD = ("comfyserve.apis.stateless",)
"""The API of comfyui-api tells sentences without codes."""

NOT_SETTINGS = {"URL", "KEY"}
NODE_PACKAGE = "NODES_"
"""The node package has variables of its own; its page is generated from their table."""


@pytest.mark.parametrize("page", ["settings", "solo-settings"])
def test_the_settings_pages_are_generated_from_the_tables(page: str) -> None:
    text = runpy.run_path(str(ROOT / "script" / "generate-docs"))[f"{page.replace('-', '_')}_page"]()
    assert (DOCS / f"{page}.md").read_text() == text, "run script/generate-docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_variables_exist(page: Path) -> None:
    text = page.read_text()
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []
    named = {name for name in VARIABLE.findall(text) if not name.startswith(("_", NODE_PACKAGE))}
    assert named - {name.upper() for name in SoloSettings.model_fields} <= NOT_SETTINGS


def test_every_native_call_is_told_and_none_that_is_not_there() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for router in (native_router(), files.router, health.router):
        app.include_router(router)
    assert set(CALL.findall((DOCS / "api.md").read_text())) == set(_calls(app))


def test_every_comfydeploy_call_is_told_and_none_that_is_not_there() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(comfydeploy_router())
    assert set(CALL.findall((DOCS / "comfydeploy.md").read_text())) == set(_calls(app))


def test_every_error_code_is_told_with_its_status() -> None:
    text = (DOCS / "errors.md").read_text()
    errors, _, warnings = text.partition("## Warnings")
    told = dict(sorted(ERROR_ROW.findall(errors), key=lambda row: bool(row[1])))
    assert told.keys() | {"stale"} == set(_codes())
    assert [code for code, status in told.items() if status and int(status) != STATUS.get(code, 500)] == []
    assert "`stale`" in text and warnings


def test_every_code_that_ends_a_run_is_told() -> None:
    source = Path(comfyserve.__file__).parent
    files = [file for part in ("work", "fetch", "engines") for file in (source / part).rglob("*.py")]
    raised = {name for file in files for name in re.findall(r"raise (\w+)\(", file.read_text())}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__name__ in raised]
    codes = {str(getattr(kind, "code", "")) for kind in kinds} - {"error"} - ONLY_DOWNLOADS
    text = (DOCS / "errors.md").read_text().partition("## Runs that did not succeed")[2].partition("## Warnings")[0]
    assert codes > {"too_large", "not_found"}
    assert [code for code in codes if f"`{code}`" not in text] == []


def test_every_exit_code_and_command_is_told() -> None:
    text = (DOCS / "cli.md").read_text()
    assert {int(code) for code in EXIT_ROW.findall(text)} == set(Exit)
    commands = get_command(command_line).list_commands(None)  # type: ignore[attr-defined] # typer's own group
    assert [name for name in commands if f"`comfyserve {name}" not in text] == []


def test_every_kind_of_input_is_told() -> None:
    text = (DOCS / "inputs.md").read_text()
    assert [kind for kind in Kind if f"`{kind.value}`" not in text] == []
    assert {external.kind for external in EXTERNALS.values()} <= set(Kind)


def _calls(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, methods in app.openapi()["paths"].items():
        yield from ((method.upper(), path) for method in methods)


def _codes() -> Iterator[str]:
    """The code of every error of the program, and of the four clocks."""
    for module in pkgutil.walk_packages(comfyserve.__path__, "comfyserve."):
        if not any(part in module.name for part in WITHOUT_ERRORS):
            importlib.import_module(module.name)
    yield from (f"{clock}_timeout" for clock in CLOCK_SENTENCES)
    told = (one for one in _descendants(DomainError) if not one.__module__.startswith(UNTOLD))
    yield from (one.code for one in told if one.code != DomainError.code)


def _descendants(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _descendants(one)
