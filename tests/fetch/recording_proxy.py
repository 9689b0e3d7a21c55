"""proxy.py as a program that prints its port, then what passed, a JSON value a line, and ends with its stdin.

Names below `.test`, and 1.1.1.1, lead to this machine.
"""

import json
import sys
from typing import Any

from proxy import Proxy
from proxy.http.parser import HttpParser
from proxy.http.proxy import HttpProxyBasePlugin


def tell(value: Any) -> None:
    """One line."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class Recording(HttpProxyBasePlugin):
    """A plugin, loaded by name."""

    def resolve_dns(self, host: str, port: int) -> tuple[str | None, Any]:
        """Where a host is."""
        return ("127.0.0.1" if host.endswith(".test") or host == "1.1.1.1" else None), None

    def handle_client_request(self, request: HttpParser) -> HttpParser | None:
        """Tell of the request."""
        host, port = (request.host or b"").decode(), request.port
        tell([(request.method or b"").decode(), f"{host}:{port}"])
        return request


def main(login: str) -> None:
    """Serve until stdin ends."""
    options = ["--hostname", "127.0.0.1", "--port", "0", "--num-workers", "1", "--num-acceptors", "1"]
    options += ["--basic-auth", login, "--plugins", "tests.fetch.recording_proxy.Recording", "--log-level", "ERROR"]
    with Proxy(options) as running:
        tell(running.flags.port)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
