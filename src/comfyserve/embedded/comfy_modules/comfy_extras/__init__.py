"""ComfyUI's extra nodes: `comfy_extras.nodes_*` has the classes that this engine has of it (see `packs.finder`)."""
