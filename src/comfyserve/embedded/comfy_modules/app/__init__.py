"""The parts of ComfyUI's `app` that packs import."""
