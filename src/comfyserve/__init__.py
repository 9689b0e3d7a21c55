"""comfyserve: any ComfyUI workflow as a production API on machines you own."""

__version__ = "0.1.0"
