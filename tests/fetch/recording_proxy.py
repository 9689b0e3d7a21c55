"""proxy.py as a program that prints its port, then what passed, a JSON value a line, and ends with its stdin.

Names below `.test` lead to this machine.
"""

import json
import sys
from typing import Any

from proxy import Proxy
from proxy.http.parser import HttpParser
from proxy.http.proxy import HttpProxyBasePlugin


class Recording(HttpProxyBasePlugin):  # type: ignore[misc]  # proxy.py tells its types to nobody
    """A plugin, loaded by name."""

    def resolve_dns(self, host: str, port: int) -> tuple[str | None, Any]:
        """Where a host is."""
        return ("127.0.0.1" if host.endswith(".test") else None), None

    def handle_client_request(self, request: HttpParser) -> HttpParser | None:
        """Tell of the request."""
        host, port = (request.host or b"").decode(), request.port
        print(json.dumps([(request.method or b"").decode(), f"{host}:{port}"]), flush=True)
        return request


def main(login: str) -> None:
    """Serve until stdin ends."""
    options = ["--hostname", "127.0.0.1", "--port", "0", "--num-workers", "1", "--num-acceptors", "1"]
    options += ["--basic-auth", login, "--plugins", "tests.fetch.recording_proxy.Recording", "--log-level", "ERROR"]
    with Proxy(options) as running:
        print(json.dumps(running.flags.port), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
