"""`python -m comfyserve` is the same as `comfyserve`."""

from comfyserve.cli.main import main

main()
