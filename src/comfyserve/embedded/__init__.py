"""The embedded engine: a light, torch-free server that speaks ComfyUI's protocol."""

import os

# Set before NumPy is imported. Its products here are small: threads would only wait for each other, and keep buffers.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
