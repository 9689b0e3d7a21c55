"""Which packs are loaded, in what order, and what becomes of one that fails."""

import logging

import pytest

from comfyserve.embedded.engine import Engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs import PackChoice

from .conftest import Write, loaded, serving

NODE = """
class Thing:
    RETURN_TYPES = ("INT",)
    RETURN_NAMES = ("count",)
    FUNCTION = "run"
    OUTPUT_TOOLTIPS = ("how many",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        return (1,)

NODE_CLASS_MAPPINGS = {"Thing": Thing, "SaveImage": Thing}
NODE_DISPLAY_NAME_MAPPINGS = {"Thing": "The thing"}
"""
PACKAGE = {"__init__.py": "from .part import *\n", "part.py": NODE}
NOTHING = "NODE_CLASS_MAPPINGS = {}\n"


def failures(engine: Engine) -> dict[str, str | None]:
    return {pack.name: pack.error for pack in engine.packs.loaded if pack.error is not None}


async def test_a_folder_with_submodules_is_loaded(folders: Folders, write: Write) -> None:
    write("my.pack", PACKAGE)
    info = (await loaded(folders)).catalogue.info("Thing")
    assert (info["python_module"], info["display_name"]) == ("custom_nodes.my.pack", "The thing")
    assert (info["output_name"], info["output_tooltips"], info["category"]) == (["count"], ["how many"], "sd")


async def test_the_core_keeps_its_names(folders: Folders, write: Write) -> None:
    write("greedy", PACKAGE)
    engine = await loaded(folders)
    assert engine.catalogue.info("SaveImage")["python_module"] == "nodes"
    (pack,) = engine.packs.loaded
    assert (pack.nodes, pack.refused) == (("Thing",), ("SaveImage",))
    assert pack.seconds > 0


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import no_such_module",
            "needs the Python package 'no_such_module', which is not installed beside comfyserve",
        ),
        ("import torch", "needs torch: use a real ComfyUI"),
        ("import torch.nn as nn", "needs torch: use a real ComfyUI"),
        ("import comfy.sd", "ModuleNotFoundError: comfy.sd is not a part of the embedded engine (it has no torch)"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("syntax error", "SyntaxError: "),
        ("x = 1", "NotAPack: it has neither NODE_CLASS_MAPPINGS nor comfy_entrypoint"),
        ("NODE_CLASS_MAPPINGS = ['a']", "AttributeError: 'list' object has no attribute 'items'"),
        ("NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = {}, 5", "AttributeError: "),
        ("NODE_CLASS_MAPPINGS, WEB_DIRECTORY = {}, 5", "TypeError: "),
        ("comfy_entrypoint = 1", "NotAPack: its comfy_entrypoint is not a function"),
        ("def comfy_entrypoint(): return 1", "NotAPack: its comfy_entrypoint did not return a ComfyExtension"),
    ],
)
async def test_one_that_fails_is_named_and_the_others_go_on(
    folders: Folders, write: Write, caplog: pytest.LogCaptureFixture, source: str, reason: str
) -> None:
    write("broken", {"__init__.py": source})
    write("fine", PACKAGE)
    with caplog.at_level(logging.ERROR):
        engine = await loaded(folders)
    assert "Thing" in engine.catalogue
    assert list(failures(engine)) == ["broken"]
    assert (failures(engine)["broken"] or "").startswith(reason)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (vars(record)["package"], vars(record)["reason"]) == ("broken", failures(engine)["broken"])


async def test_a_folder_without_init_fails_by_name(folders: Folders, write: Write) -> None:
    write("empty", {"readme.md": "nothing"})
    assert "FileNotFoundError" in (failures(await loaded(folders))["empty"] or "")


async def test_a_class_that_is_no_node_costs_only_itself(folders: Folders, write: Write) -> None:
    write("mixed.py", NODE + "NODE_CLASS_MAPPINGS['Bad'] = int\n")
    engine = await loaded(folders)
    assert ("Thing" in engine.catalogue, "Bad" in engine.catalogue) == (True, False)
    assert engine.packs.loaded[0].refused == ("SaveImage", "Bad")


async def test_a_pack_may_give_other_packs_and_the_core_their_titles(folders: Folders, write: Write) -> None:
    write("titles.py", "NODE_CLASS_MAPPINGS = {}\nNODE_DISPLAY_NAME_MAPPINGS = {'SaveImage': 'Keep', 'Nobody': 'x'}\n")
    assert (await loaded(folders)).catalogue.info("SaveImage")["display_name"] == "Keep"


async def test_a_pack_that_offers_the_whole_table_brings_what_it_added(folders: Folders, write: Write) -> None:
    write("first.py", NODE)
    write(
        "whole.py",
        NODE.replace("Thing", "Other").replace(
            'NODE_CLASS_MAPPINGS = {"Other": Other, "SaveImage": Other}',
            "from nodes import NODE_CLASS_MAPPINGS\nNODE_CLASS_MAPPINGS['Other'] = Other",
        ),
    )
    engine = await loaded(folders)
    assert (engine.packs.loaded[1].nodes, engine.packs.loaded[1].refused) == (("Other",), ())
    modules = [engine.catalogue.info(name)["python_module"] for name in ("Thing", "Other", "SaveImage")]
    assert modules == ["custom_nodes.first", "custom_nodes.whole", "nodes"]


async def test_single_files_and_what_is_passed_over(folders: Folders, write: Write) -> None:
    write("single.py", NODE)
    write("_private.py", NOTHING)
    for name in ("off.disabled", "__pycache__", ".git"):
        write(name, {"__init__.py": "raise RuntimeError"})
    write("off.py.disabled", "raise RuntimeError")
    write("notes.txt", "")
    engine = await loaded(folders)
    assert [pack.name for pack in engine.packs.loaded] == ["_private", "single"]
    assert engine.catalogue.info("Thing")["python_module"] == "custom_nodes.single"


async def test_packs_can_be_left_out(folders: Folders, write: Write) -> None:
    for name in ("one", "two"):
        write(name, {"__init__.py": NOTHING})
    assert (await loaded(folders, PackChoice(disable_all=True))).packs.loaded == []
    chosen = await loaded(folders, PackChoice(disable_all=True, whitelist=frozenset({"two"})))
    assert [pack.name for pack in chosen.packs.loaded] == ["two"]


async def test_all_prestartup_scripts_run_before_the_first_pack(folders: Folders, write: Write) -> None:
    note = "import builtins; builtins.noted = [*getattr(builtins, 'noted', []), '{}']\n"
    for name in ("a", "b"):
        write(name, {"__init__.py": note.format(name) + NOTHING, "prestartup_script.py": note.format(f"before {name}")})
    write("c", {"__init__.py": NOTHING, "prestartup_script.py": "raise RuntimeError('no')"})
    import builtins

    engine = await loaded(folders)
    assert vars(builtins).pop("noted") == ["before a", "before b", "a", "b"]
    assert failures(engine) == {}


async def test_web_folders(folders: Folders, write: Write) -> None:
    project = '[project]\nname = "the-project"\n[tool.comfy]\nweb = "web"\n'
    write("pack", {"__init__.py": "WEB_DIRECTORY = './js'\n" + NOTHING, "js/a.js": "", "web/b.js": ""})
    write("pack", {"pyproject.toml": project})
    write("absent", {"__init__.py": "WEB_DIRECTORY = 'js'\n" + NOTHING})
    write("own", {"__init__.py": "import nodes\nnodes.EXTENSION_WEB_DIRS['mine'] = '/somewhere'\n" + NOTHING})
    web = (await loaded(folders)).catalogue.web_folders
    root = folders.custom_nodes / "pack"
    assert {name: str(path) for name, path in web.items() if name != "comfyserve"} == {
        "the-project": str(root / "web"),
        "pack": str(root / "js"),
        "mine": "/somewhere",
    }


@pytest.mark.parametrize(
    "declared",
    [
        "1 / 0",
        "{'required': {'x': ('FLOAT', {'max': float('inf')})}}",
        "{'required': {('a', 'b'): ('INT',)}}",
        "{'required': {'x': ('INT', cls.again)}}",
        "[]",
    ],
)
async def test_a_declaration_that_cannot_be_told_hides_only_its_class(
    folders: Folders, write: Write, declared: str
) -> None:
    circle = "Thing.again = {}\nThing.again['more'] = Thing.again\n"
    write("sly.py", f"{NODE}{circle}Thing.INPUT_TYPES = classmethod(lambda cls: {declared})\n")
    async with serving(folders) as seat:
        status, info = await seat.call("GET", "/object_info")
        assert (status, "Thing" in info, "SaveImage" in info) == (200, False, True)
        assert (await seat.call("GET", "/system_stats"))[0] == 200


async def test_the_packs_are_listed(folders: Folders, write: Write) -> None:
    write("broken", {"__init__.py": "import torch"})
    write("fine", PACKAGE)
    async with serving(folders) as seat:
        status, packs = await seat.call("GET", "/internal/node_packs")
    assert status == 200
    assert [(pack["name"], pack["error"], pack["nodes"]) for pack in packs] == [
        ("broken", "needs torch: use a real ComfyUI", []),
        ("fine", None, ["Thing"]),
    ]
    assert [pack["place"] for pack in packs] == ["broken/__init__.py:1", ""]


async def test_the_folder_is_importable_as_custom_nodes(folders: Folders, write: Write) -> None:
    write("first", {"__init__.py": NOTHING, "part.py": "answer = 42\n"})
    write("second.py", "from custom_nodes.first.part import answer\nassert answer == 42\n" + NOTHING)
    assert failures(await loaded(folders)) == {}
