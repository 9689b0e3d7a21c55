"""ComfyUI's protocol as facts: messages, routes, error types, file naming (specs/comfyui-protocol.md).

Standard library only. The embedded engine and the client in `engines/` read the same tables.
"""
