"""The classes of the node package that declare no input: outputs (external-nodes.md section 3) and string tools."""

from collections.abc import Mapping

from comfyserve.core.inputs.node_class import Field, NodeClass, choice, integer, text


def _output_class(class_type: str, title: str, *fields: Field, hidden: Mapping[str, str] | None = None) -> NodeClass:
    return NodeClass(class_type, title, fields, output_node=True, hidden=hidden or {})


METADATA = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}

OUTPUTS: Mapping[str, NodeClass] = {
    node.class_type: node
    for node in (
        _output_class(
            "ComfyDeployOutputImage",
            "Image Output (ComfyDeploy)",
            Field("images", "IMAGE", True),
            text("filename_prefix", "ComfyUI", required=True),
            choice("file_type", "png", "jpg", "webp", default="webp"),
            integer("quality", 80, 1, 100, required=True, step=1),
            text("output_id", "output_images"),
            hidden=METADATA,
        ),
        _output_class(
            "ComfyDeployOutputText",
            "Text Output (ComfyDeploy)",
            text("text", required=True, forceInput=True),
            text("filename_prefix", "ComfyUI", required=True),
            choice("file_type", "txt", "json", "md", default="txt"),
            text("output_id", "output_text"),
        ),
        _output_class(
            "ComfyDeployOutputFile",
            "File Output (ComfyDeploy)",
            text("file_path", required=True, forceInput=True),
            text("output_id", "output_file"),
        ),
        _output_class(
            "ComfyDeployOutputEXR",
            "EXR Output (ComfyDeploy)",
            Field("images", "IMAGE", True),
            text("filename_prefix", "ComfyDeploy_EXR", required=True),
            text("output_id", "output_exr"),
        ),
        _output_class(
            "ComfyDeployWebscoketImageOutput",
            "Image Websocket Output (ComfyDeploy)",
            text("output_id", "output_id", required=True),
            Field("images", "IMAGE", True),
            choice("file_type", "WEBP", "PNG", "JPEG", default="WEBP"),
            integer("quality", 80, 1, 100, required=True, step=1),
            text("client_id"),
        ),
    )
}
"""Class type -> the output class (external-nodes.md section 3)."""

_COMBINE_FIELDS = (
    choice("action", "append", "replace"),
    choice("tidy_tags", "yes", "no"),
    text("text_a", multiline=True),
    text("text_b", multiline=True),
    text("text_c", multiline=True),
)

TOOLS: Mapping[str, NodeClass] = {
    class_type: NodeClass(class_type, title, _COMBINE_FIELDS, (("STRING", "STRING"),), output_node=True)
    for class_type, title in (
        ("ComfyUIDeployStringCombine", "String Combine (ComfyUI Deploy)"),
        ("StringFunction", "String Function"),
    )
}
"""Nodes of the package that declare nothing; `StringFunction` is the second name of the first."""
