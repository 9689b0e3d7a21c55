"""Packs of the V3 API: comfy_entrypoint, schemas, class methods, NodeOutput."""

from typing import Any

from comfyserve.embedded.files.folders import Folders

from .conftest import Write, loaded, serving

PACK = """
from comfy_api.latest import ComfyExtension, io, ui

class Doubled(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Doubled", display_name="Twice", category="maths", description="Doubles.",
            inputs=[
                io.Int.Input("value", default=1, min=0, max=10, step=1, control_after_generate=True, tooltip="what"),
                io.Combo.Input("how", options=["plus", "times"], default="plus"),
                io.MultiType.Input(io.Float.Input("bonus", default=0.5), types=[io.Int], optional=True),
                io.String.Input("prompt", multiline=True, optional=True, lazy=True),
                io.Custom("MINE").Input("mine", optional=True),
            ],
            outputs=[io.Int.Output(display_name="twice"), io.Image.Output(tooltip="none", is_output_list=True)],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt], is_experimental=True)

    @classmethod
    def execute(cls, value, how, bonus=0, prompt="", mine=None):
        text = f"{cls.hidden.unique_id} {prompt} {len(cls.hidden.prompt)} {cls.hidden.extra_pnginfo}"
        return io.NodeOutput(value * 2, [], ui=ui.PreviewText(text))

    @classmethod
    def validate_inputs(cls, value):
        return True if value != 7 else "not seven"

    @classmethod
    def fingerprint_inputs(cls, value, **rest):
        return value

class Shown(io.ComfyNode):
    calls = 0

    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Shown", inputs=[io.AnyType.Input("value")], outputs=[], is_output_node=True)

    @classmethod
    async def execute(cls, value):
        return {"ui": {"seen": [value, bool(cls.hidden.prompt)]}}

class Blocking(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema("Blocking", outputs=[io.Int.Output(), io.Int.Output()])

    @classmethod
    def execute(cls):
        return io.NodeOutput(block_execution="stop here")

class Grown(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        template = io.Autogrow.TemplatePrefix(io.Int.Input("number"), prefix="number", min=1, max=5)
        return io.Schema("Grown", inputs=[
            io.Autogrow.Input("numbers", template=template),
            io.DynamicCombo.Input("how", options=[
                io.DynamicCombo.Option("sum", []),
                io.DynamicCombo.Option("scaled", [io.Float.Input("factor", default=2.0)]),
            ]),
        ], outputs=[io.AnyType.Output()])

    @classmethod
    def execute(cls, numbers, how):
        total = sum(numbers.values())
        return io.NodeOutput(total * how["factor"] if how["how"] == "scaled" else total)

class Pack(ComfyExtension):
    async def on_load(self):
        Shown.ready = True

    async def get_node_list(self):
        return [Doubled, Shown, Blocking, Grown]

async def comfy_entrypoint():
    return Pack()
"""


async def test_a_schema_is_published_as_comfyui_does(folders: Folders, write: Write) -> None:
    write("modern", {"__init__.py": PACK})
    assert (await loaded(folders)).catalogue.info("Doubled") == {
        "input": {
            "required": {
                "value": [
                    "INT",
                    {"tooltip": "what", "default": 1, "min": 0, "max": 10, "step": 1, "control_after_generate": True},
                ],
                "how": ["COMBO", {"default": "plus", "multiselect": False, "options": ["plus", "times"]}],
            },
            "optional": {
                "bonus": ["FLOAT,INT", {"default": 0.5, "widgetType": "FLOAT"}],
                "prompt": ["STRING", {"lazy": True, "multiline": True}],
                "mine": ["MINE", {}],
            },
            "hidden": {"unique_id": ["UNIQUE_ID"], "prompt": ["PROMPT"]},
        },
        "input_order": {
            "required": ["value", "how"],
            "optional": ["bonus", "prompt", "mine"],
            "hidden": ["unique_id", "prompt"],
        },
        "output": ["INT", "IMAGE"],
        "output_is_list": [False, True],
        "output_name": ["twice", "IMAGE"],
        "output_tooltips": [None, "none"],
        "name": "Doubled",
        "display_name": "Twice",
        "description": "Doubles.",
        "python_module": "custom_nodes.modern",
        "category": "maths",
        "output_node": False,
        "deprecated": False,
        "experimental": True,
        "api_node": False,
    }


async def test_output_nodes_ask_for_the_prompt(folders: Folders, write: Write) -> None:
    write("modern", {"__init__.py": PACK})
    info = (await loaded(folders)).catalogue.info("Shown")
    assert info["input"]["hidden"] == {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]}
    assert (info["display_name"], info["output_node"]) == (None, True)


def graph(value: int, source: list[Any] | None = None) -> dict[str, Any]:
    return {
        "1": {"class_type": "Doubled", "inputs": {"value": value, "how": "plus", "prompt": "hello"}},
        "2": {"class_type": "Shown", "inputs": {"value": source or ["1", 0]}},
    }


async def test_nodes_run_with_their_hidden_values(folders: Folders, write: Write) -> None:
    write("modern", {"__init__.py": PACK})
    async with serving(folders) as seat:
        _, record = await seat.run(graph(4))
    assert record["outputs"] == {"1": {"text": ["1 hello 2 None"]}, "2": {"seen": [8, True]}}


async def test_a_validator_speaks(folders: Folders, write: Write) -> None:
    write("modern", {"__init__.py": PACK})
    async with serving(folders) as seat:
        status, answer = await seat.submit(graph(7))
    (error,) = answer["node_errors"]["1"]["errors"]
    assert (status, error["details"]) == (400, "value - not seven")


async def test_blocking_by_a_node_output(folders: Folders, write: Write) -> None:
    write("modern", {"__init__.py": PACK})
    async with serving(folders) as seat:
        events, record = await seat.run(
            {
                "1": {"class_type": "Blocking", "inputs": {}},
                "2": {"class_type": "Shown", "inputs": {"value": ["1", 1]}},
            }
        )
    errors = [data["exception_message"] for kind, data in events if kind == "execution_error"]
    assert (errors, record["outputs"]) == (["Execution Blocked: stop here"], {})


async def test_dynamic_inputs_reach_the_node_as_dictionaries(folders: Folders, write: Write) -> None:
    write("modern", {"__init__.py": PACK})
    inputs = {"numbers.number0": 1, "numbers.number1": 2, "how": "scaled", "how.factor": 10.0}
    async with serving(folders) as seat:
        _, record = await seat.run(
            {
                "1": {"class_type": "Grown", "inputs": inputs},
                "2": {"class_type": "Shown", "inputs": {"value": ["1", 0]}},
            }
        )
    assert record["outputs"]["2"]["seen"][0] == 30, record["status"]
