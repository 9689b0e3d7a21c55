"""ComfyUI's public API for nodes."""
