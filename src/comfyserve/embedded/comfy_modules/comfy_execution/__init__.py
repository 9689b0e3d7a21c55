"""The parts of ComfyUI's `comfy_execution` that nodes use."""
