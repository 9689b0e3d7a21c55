"""Nodes for measurements: one works for a while and notes when, one saves bytes that nothing shrinks."""

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

CLOCK = "clock.jsonl"


class BenchWork:
    """Works for so many milliseconds and notes when it began and ended (seconds of the monotonic clock)."""

    RETURN_TYPES = ()
    FUNCTION = "work"
    OUTPUT_NODE = True
    CATEGORY = "bench"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802, the name is ComfyUI's
        """An image that must be there first, the time, and a number that makes the call new."""
        return {"required": {"image": ("IMAGE",), "milliseconds": ("INT", {"default": 50}), "number": ("INT", {})}}

    def work(self, image: Any, milliseconds: int, number: int) -> dict[str, Any]:
        """Work, and say when."""
        import folder_paths  # type: ignore[import-not-found]  # the engine has it

        began = time.monotonic()
        time.sleep(milliseconds / 1000)
        with Path(folder_paths.get_output_directory(), "..", CLOCK).open("a") as file:
            file.write(json.dumps([number, began, time.monotonic()]) + "\n")
        return {"ui": {"text": [str(number)]}}


class BenchFiles:
    """Saves files of random bytes."""

    RETURN_TYPES = ()
    FUNCTION = "save"
    OUTPUT_NODE = True
    CATEGORY = "bench"
    BLOCK: ClassVar[bytes] = os.urandom(1 << 20)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802, the name is ComfyUI's
        """How many files, and how large."""
        return {
            "required": {"files": ("INT", {}), "size": ("INT", {"max": 1 << 30}), "filename_prefix": ("STRING", {})}
        }

    def save(self, files: int, size: int, filename_prefix: str) -> dict[str, Any]:
        """Write them below the output folder."""
        import folder_paths

        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory()
        )
        saved = []
        for number in range(files):
            filename = f"{name}_{counter + number:05}_.bin"
            with (Path(folder) / filename).open("wb") as file:
                for start in range(0, size, len(self.BLOCK)):
                    file.write(self.BLOCK[: size - start])
            saved.append({"filename": filename, "subfolder": subfolder, "type": "output"})
        return {"ui": {"files": saved}}


NODE_CLASS_MAPPINGS = {"BenchWork": BenchWork, "BenchFiles": BenchFiles}
