"""From the editor's form of a workflow to the API form, with the help of a node catalogue (spec sections 5 and 7).

The result is what the ComfyUI editor itself sends when it queues the workflow. Choices like `{a|b}` in prompts become
their first one, where the editor draws one; nothing else is left to chance.
"""

from comfyserve.core.convert.build import MAX_CONVERTED_BYTES, convert_workflow
from comfyserve.core.convert.read import is_editor_form

__all__ = ["MAX_CONVERTED_BYTES", "convert_workflow", "is_editor_form"]
