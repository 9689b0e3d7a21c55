"""The dialect of SaladTechnologies/comfyui-api: one engine behind a stateless HTTP API."""
