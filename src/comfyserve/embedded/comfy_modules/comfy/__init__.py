"""The parts of ComfyUI's `comfy` package that work without torch."""
