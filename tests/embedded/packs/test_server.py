"""What packs do with the server and the running prompt: routes, messages, progress, expansion, pictures."""

import json
from typing import Any

from PIL import Image

from comfyserve.embedded.files.folders import Folders

from .conftest import Write, serving

ROUTES = """
from aiohttp import web
from server import PromptServer

@PromptServer.instance.routes.get("/mine/{word}")
async def mine(request):
    return web.json_response({"word": request.match_info["word"], "queue": PromptServer.instance.get_queue_info()})

@PromptServer.instance.routes.post("/object_info")
async def other_method(request):
    return web.json_response("posted")

@PromptServer.instance.routes.get("/file/{name}")
async def file(request):
    users = PromptServer.instance.user_manager
    path = users.get_request_user_filepath(request, request.match_info["name"], create_dir=False)
    return web.json_response([users.get_request_user_id(request), path])

@PromptServer.instance.routes.get("/boom")
async def boom(request):
    raise RuntimeError("boom")

PromptServer.instance.app.router.add_get("/direct", other_method)

def see(body):
    if "broken" in body:
        raise RuntimeError("no")
    for node in body.get("prompt", {}).values():
        node["inputs"]["text"] = "changed by the pack"
    return body

PromptServer.instance.add_on_prompt_handler(see)
NODE_CLASS_MAPPINGS = {}
"""

NODES = """
import comfy.utils, folder_paths, nodes
from comfy.model_management import InterruptProcessingException, throw_exception_if_processing_interrupted
from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder
from comfy_execution.utils import get_executing_context
from server import PromptServer

def node(name, inputs=None, outputs=(), **traits):
    def publish(function):
        declared = classmethod(lambda cls: {"required": inputs or {}, "hidden": {"unique_id": "UNIQUE_ID"}})
        traits["INPUT_TYPES"], traits["RETURN_TYPES"], traits["FUNCTION"] = declared, outputs, "run"
        NODE_CLASS_MAPPINGS[name] = type(name, (), {**traits, "run": staticmethod(function)})
    return publish

NODE_CLASS_MAPPINGS = {}

@node("Say", {"text": ("STRING", {})}, OUTPUT_NODE=True)
def say(text, unique_id):
    return {"ui": {"said": [text]}}

@node("Steps", outputs=("STRING",))
def steps(unique_id):
    from PIL import Image
    bar = comfy.utils.ProgressBar(3)
    bar.update(1)
    bar.update_absolute(3, 3, ("JPEG", Image.new("RGB", (64, 32)), 16))
    throw_exception_if_processing_interrupted()
    server = PromptServer.instance
    server.send_sync("pack.note", {"node": unique_id}, server.client_id)
    server.send_progress_text("half way", unique_id, server.client_id)
    around = get_executing_context()
    return (f"{around.node_id} {around.list_index} {server.last_node_id} {around.prompt_id == server.last_prompt_id}",)

@node("Expands", outputs=("STRING",))
def expands(unique_id):
    graph = GraphBuilder()
    return {"expand": graph.finalize() or {graph.prefix + "1": {"class_type": "Steps", "inputs": {}}},
            "result": ([graph.prefix + "1", 0],)}

@node("Blocks", outputs=("STRING",))
def blocks(unique_id):
    return (ExecutionBlocker("not today"),)

@node("Framed", {"image": ("IMAGE",)}, OUTPUT_NODE=True)
def framed(image, unique_id):
    from PIL import Image
    import numpy
    saver = nodes.PreviewImage()
    found = saver.save_images(image, "pack", {}, {})
    target = folder_paths.get_save_image_path("sub/%width%", folder_paths.get_output_directory(), 7)
    folder, name, counter, subfolder, _ = target
    name = f"{name}_{counter:05}_.png"
    plain = 255. * image[0].cpu().numpy()
    Image.fromarray(plain.astype(numpy.uint8)).save(f"{folder}/{name}")
    mine = {"filename": name, "subfolder": subfolder, "type": "output"}
    return {"ui": {"images": [*found["ui"]["images"], mine]}}

class Bigger(nodes.ImageScale):
    FUNCTION = "grow"
    def grow(self, image, upscale_method, width, height, crop):
        return nodes.NODE_CLASS_MAPPINGS["ImageScale"]().upscale(image, upscale_method, width * 2, height * 2, crop)

NODE_CLASS_MAPPINGS["Bigger"] = Bigger
"""


def said_by(source: str) -> dict[str, Any]:
    return {
        "1": {"class_type": source, "inputs": {}},
        "2": {"class_type": "Say", "inputs": {"text": ["1", 0]}},
    }


async def test_routes_of_packs_are_served_twice(folders: Folders, write: Write) -> None:
    write("routes", {"__init__.py": ROUTES})
    async with serving(folders) as seat:
        for prefix in ("", "/api"):
            status, answer = await seat.call("GET", f"{prefix}/mine/word")
            assert (status, answer["word"], answer["queue"]) == (200, "word", {"exec_info": {"queue_remaining": 0}})
        assert await seat.call("GET", "/direct") == (200, "posted")
        assert await seat.call("POST", "/object_info") == (200, "posted")
        assert (await seat.call("GET", "/boom"))[0] == 500
        here = str(folders.user / "default" / "a.json")
        assert await seat.call("GET", "/file/a.json") == (200, ["default", here])
        assert await seat.call("GET", "/file/..%2F..%2Fa.json") == (200, ["default", None])
        assert (await seat.call("GET", "/object_info/SaveImage"))[0] == 200


async def test_a_pack_may_change_a_prompt_before_it_is_validated(folders: Folders, write: Write) -> None:
    write("routes", {"__init__.py": ROUTES})
    write("nodes", {"__init__.py": NODES})
    graph = {"1": {"class_type": "Say", "inputs": {"text": "mine"}}}
    async with serving(folders) as seat:
        _, changed = await seat.run(graph)
        _, kept = await seat.run(graph, broken=True)
    assert [record["outputs"]["1"]["said"] for record in (changed, kept)] == [["changed by the pack"], ["mine"]]


async def test_progress_and_messages_of_a_node_arrive(folders: Folders, write: Write) -> None:
    write("nodes", {"__init__.py": NODES})
    async with serving(folders) as seat:
        events, record = await seat.run(said_by("Steps"))
    assert record["outputs"]["2"]["said"] == ["1 0 1 True"]
    progress = [(data["value"], data["max"], data["node"]) for kind, data in events if kind == "progress"]
    assert progress == [(1, 3, "1"), (3, 3, "1")]
    assert ("pack.note", {"node": "1"}) in events
    frames = [data for kind, data in events if kind == "binary"]
    assert b"\x00\x00\x00\x011half way" in b"".join(frames)
    assert any(b"\xff\xd8\xff" in frame for frame in frames)


async def test_a_node_expands_with_the_graph_builder(folders: Folders, write: Write) -> None:
    write("nodes", {"__init__.py": NODES})
    async with serving(folders) as seat:
        events, record = await seat.run(said_by("Expands"))
    assert record["outputs"]["2"]["said"] == ["1.0.0.1 0 1.0.0.1 True"], record["status"]
    assert ("1.0.0.1", "1") in [(d["node"], d["display_node"]) for k, d in events if k == "executing" and d["node"]]


async def test_a_blocker_of_a_pack_blocks(folders: Folders, write: Write) -> None:
    write("nodes", {"__init__.py": NODES})
    async with serving(folders) as seat:
        events, record = await seat.run(said_by("Blocks"))
    messages = [data["exception_message"] for kind, data in events if kind == "execution_error"]
    assert (messages, record["outputs"]) == (["Execution Blocked: not today"], {})


async def test_pictures_of_packs(folders: Folders, write: Write) -> None:
    write("nodes", {"__init__.py": NODES})
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 4, "height": 3, "batch_size": 1, "color": 0xFF0000}},
        "2": {
            "class_type": "Bigger",
            "inputs": {
                "image": ["1", 0],
                "upscale_method": "bilinear",
                "width": 8,
                "height": 6,
                "crop": "disabled",
            },
        },
        "3": {"class_type": "Framed", "inputs": {"image": ["2", 0]}},
    }
    async with serving(folders) as seat:
        _, record = await seat.run(graph)
    preview, saved = record["outputs"]["3"]["images"]
    assert saved == {"filename": "7_00001_.png", "subfolder": "sub", "type": "output"}
    with Image.open(folders.output / "sub" / "7_00001_.png") as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((16, 12), (255, 0, 0))
    with Image.open(folders.temp / preview["filename"]) as picture:
        assert json.loads(str(picture.info["prompt"])) == {}


async def test_a_pack_may_queue_and_read_the_history(folders: Folders, write: Write) -> None:
    source = """
from aiohttp import web
from server import PromptServer

@PromptServer.instance.routes.post("/again")
async def again(request):
    queue = PromptServer.instance.prompt_queue
    queue.put((0, "again", {"1": {"class_type": "Say", "inputs": {"text": "x"}}}, {"client_id": "me"}, ["1"]))
    return web.json_response([queue.get_tasks_remaining(), len(queue.get_current_queue())])

@PromptServer.instance.routes.get("/seen")
async def seen(request):
    return web.json_response(list(PromptServer.instance.prompt_queue.get_history(max_items=5)))

NODE_CLASS_MAPPINGS = {}
"""
    write("nodes", {"__init__.py": NODES})
    write("queue", {"__init__.py": source})
    async with serving(folders) as seat:
        status, (_, parts) = await seat.call("POST", "/again")
        assert (status, parts) == (200, 2)
        await seat.events("again")
        assert await seat.call("GET", "/seen") == (200, ["again"])
