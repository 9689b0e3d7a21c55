"""The ComfyDeploy dialect under /api: what its SDKs, plugin and scripts expect (specs: comfydeploy)."""
