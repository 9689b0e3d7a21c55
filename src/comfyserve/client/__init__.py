"""The Python client of the native API: async, typed, no more than HTTP needs.

async with Client("http://127.0.0.1:3011", key) as client:
    run = await client.create_run("pod", {"input_text": "a red cap"})
    async for event in client.events(run["id"]):
        ...
"""

from comfyserve.client.client import Client
from comfyserve.client.errors import ApiError, ServerUnreachable
from comfyserve.client.events import Event

__all__ = ["ApiError", "Client", "Event", "ServerUnreachable"]
