"""What opens a git repository: a header that goes to its origin alone, handed to git without a command line or file."""

from collections.abc import Mapping
from urllib.parse import urlsplit


def opening(url: str, header: str) -> dict[str, str]:
    """git's configuration that sends a header line to the origin (scheme, host and port) of an address, and follows no
    redirect of that origin. Submodules that lie elsewhere never see the header."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    return {f"http.{origin}.extraHeader": header, f"http.{origin}.followRedirects": "false"}


def as_variables(config: Mapping[str, str]) -> dict[str, str]:
    """A configuration as environment variables; none for an empty one."""
    variables = {"GIT_CONFIG_COUNT": str(len(config))} if config else {}
    for index, (key, value) in enumerate(config.items()):
        variables |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return variables
