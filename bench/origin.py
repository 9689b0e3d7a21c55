"""A static origin: `python -m bench.origin FILE` serves the file with sendfile, ranges and an ETag; prints its port."""

import os
import re
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

RANGE = re.compile(rb"(?im)^range: bytes=(\d+)-(\d*)")


def answer(caller: socket.socket, file: int, size: int) -> None:
    """One request, one answer."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (data := caller.recv(65_536)):
            return
        head += data
    start, end, status, extra = 0, size, "200 OK", ""
    if asked := RANGE.search(head):
        start, end = int(asked[1]), int(asked[2]) + 1 if asked[2] else size
        status, extra = "206 Partial Content", f"Content-Range: bytes {start}-{end - 1}/{size}\r\n"
    fixed = 'Connection: close\r\nAccept-Ranges: bytes\r\nETag: "bench"\r\n'
    caller.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\n{fixed}{extra}\r\n".encode())
    while start < end:
        start += os.sendfile(caller.fileno(), file, start, end - start)


def serve(path: Path) -> None:
    """Serve until the process is ended."""
    with path.open("rb") as file, socket.create_server(("127.0.0.1", 0)) as listening:
        size = path.stat().st_size
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()

        def one(caller: socket.socket) -> None:
            with caller, suppress(ConnectionError):
                answer(caller, file.fileno(), size)

        while True:
            caller, _ = listening.accept()
            threading.Thread(target=one, args=(caller,), daemon=True).start()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
