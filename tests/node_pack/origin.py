"""A web server in a thread that is slow, lies, redirects or never ends, by path."""

import gzip
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CONTENT = b"content" * 1000


@dataclass
class BadOrigin:
    """`files` are served by path; `asked` counts requests, `headers` keeps those of the last one by path."""

    url: str = ""
    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    tunnel_port: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving() -> Iterator[BadOrigin]:
    """Such a server on loopback."""
    origin = BadOrigin()
    with ThreadingHTTPServer(("127.0.0.1", 0), answers(origin)) as server:
        server.daemon_threads = True
        origin.port = server.server_port
        origin.url = f"http://127.0.0.1:{origin.port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield origin
        origin.stop.set()
        server.shutdown()
        thread.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


class _Answers(BaseHTTPRequestHandler):
    """By the first part of the path; anything else is a file."""

    origin: BadOrigin

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.origin.asked[path] += 1
        self.origin.headers[path] = dict(self.headers)
        kind = path.split("/")[1]
        try:
            getattr(self, f"_{kind}", self._file)(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_CONNECT(self) -> None:
        """Be a proxy: whatever is asked for, the tunnel ends at `tunnel_port`."""
        self.origin.asked[self.path] += 1
        with socket.create_connection(("127.0.0.1", self.origin.tunnel_port)) as other:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(other, self.connection))
            back.start()
            _pump(self.connection, other)
            back.join()
        self.close_connection = True

    def _file(self, path: str) -> None:
        self._reply(200 if path in self.origin.files else 404, self.origin.files.get(path, b"no"))

    def _redirect(self, _: str) -> None:
        self._reply(302, b"", Location=parse_qs(urlsplit(self.path).query)["to"][0])

    def _loop(self, path: str) -> None:
        self._reply(307, b"", Location=f"{path}x")

    def _gzip(self, _: str) -> None:
        self._reply(200, gzip.compress(CONTENT), **{"Content-Encoding": "gzip"})

    def _bomb(self, _: str) -> None:
        self._reply(200, gzip.compress(b"0" * 1_000_000), **{"Content-Encoding": "gzip"})

    def _short(self, _: str) -> None:
        self._reply(200, b"only this", **{"Content-Length": "1000"})

    def _drip(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.origin.stop.wait(0.02):
            self.wfile.write(b"x")
            self.wfile.flush()

    def _headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.origin.stop.wait(0.02):
            self.wfile.write(b"X-Slow: 1\r\n"[:1])
            self.wfile.flush()

    def _hang(self, _: str) -> None:
        self.origin.stop.wait(60)

    def _endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.origin.stop.is_set():
            self.wfile.write(b"x" * 65536)

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def answers(origin: BadOrigin) -> type[_Answers]:
    """The handler class of a server that is this origin."""
    return type("Answers", (_Answers,), {"origin": origin})
