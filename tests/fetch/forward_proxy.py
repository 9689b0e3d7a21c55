"""A real forward proxy (the package proxy.py), and names outside of this machine that lead to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfyserve.fetch.forward import proxies_of
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.lookup import Lookup

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
USER, PASSWORD = "proxy-user", "proxy-p@ss word"
LOGIN = "proxy-user:proxy-p%40ss%20word"


@dataclass
class ForwardProxy:
    """`passed` are the methods and places of the requests that went through it, in their order."""

    port: int = 0
    passed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, with user and password."""
        return f"http://{LOGIN}@127.0.0.1:{self.port}"

    @property
    def places(self) -> set[str]:
        """Where requests went."""
        return {place for _, place in self.passed}

    def environment(self, **more: str) -> dict[str, str]:
        """The variables that name it."""
        return {"HTTP_PROXY": self.url, **more}


@contextmanager
def forward_proxy() -> Iterator[ForwardProxy]:
    """Run it in a process of its own, which ends with the context."""
    command = [sys.executable, "-m", "tests.fetch.recording_proxy", f"{USER}:{PASSWORD}"]
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    proxy, late = ForwardProxy(), threading.Timer(START_SECONDS, os.killpg, (child.pid, signal.SIGKILL))
    late.start()
    try:
        assert child.stdout is not None
        proxy.port = int(child.stdout.readline())
        late.cancel()
        threading.Thread(target=_record, args=(child.stdout, proxy), daemon=True).start()
        yield proxy
    finally:
        late.cancel()
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _record(lines: Any, proxy: ForwardProxy) -> None:
    for line in lines:
        if line.startswith("["):
            try:
                method, place = json.loads(line)
            except ValueError:
                continue
            proxy.passed.append((method, place))


def lookup_here() -> Lookup:
    """Knows names below `.test`, which lead to this machine although none of them is its own."""

    def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
        if host.endswith(".test"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        return socket.getaddrinfo(host, port, **more)

    return Lookup(getaddrinfo)


def guard_behind(proxy: ForwardProxy, allow: str = "origin.test, hub.test, bucket.test", **more: str) -> Guard:
    """A guard whose way out is the proxy."""
    return Guard(allow, proxies=proxies_of(proxy.environment(**more)), lookup=lookup_here())
