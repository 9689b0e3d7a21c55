"""Whether ComfyUI reads its command line; here the engine has read its own."""

args_parsing = True


def enable_args_parsing(enable: bool = True) -> None:
    """Nothing to do: the engine parses its own options."""
