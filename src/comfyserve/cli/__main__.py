"""`python -m comfyserve.cli` is the same as `comfyserve`."""

from comfyserve.cli.main import main

main()
