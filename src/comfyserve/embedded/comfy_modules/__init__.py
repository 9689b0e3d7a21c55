"""ComfyUI's modules as packs know them, small ones of our own over the engine's parts; found by `packs.finder`.

Each stands under ComfyUI's name: `comfy_modules/folder_paths.py` is what `import folder_paths` gives to a pack.
What needs torch is not here, or raises NeedsTorch when it is called.
"""
