"""The command line. Each command is a module; what they share is `console` and `connection`."""

from comfyserve.cli.main import main

__all__ = ["main"]
