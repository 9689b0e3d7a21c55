"""A web server that writes exactly the bytes that a test wants, also those that no decent server writes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CONTENT = bytes(range(256)) * 4096
"""1 MiB."""
ETAG = '"v1"'


@dataclass(frozen=True)
class Asked:
    """A request as it came; header names in small letters. `rest` is what follows its head."""

    method: str
    target: str
    headers: dict[str, str]
    rest: asyncio.StreamReader

    @property
    def span(self) -> tuple[int, int] | None:
        """The range that is asked for, in CONTENT."""
        if "range" not in self.headers:
            return None
        first, _, last = self.headers["range"].removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1, len(CONTENT)) if last else len(CONTENT)


Play = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Scripted:
    """A running server: where it is, and what it was asked."""

    url: str
    port: int
    asked: list[Asked] = field(default_factory=list)

    @property
    def ranges(self) -> list[str]:
        """The Range headers, in the order in which they came; empty for a question without."""
        return [asked.headers.get("range", "") for asked in self.asked]


@asynccontextmanager
async def scripted(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """Serve on loopback; each connection gets one answer, which `play` writes, and is closed."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            asked = Asked(method, target, {name.lower(): value for name, value in pairs}, reader)
            server.asked.append(asked)
            await play(asked, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller went away, as some tests want
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server = Scripted(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port)
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answer(writer: asyncio.StreamWriter, status: int, body: bytes = b"", **headers: str) -> None:
    """Write an answer; Content-Length is that of the body unless given, and absent when given empty."""
    lines = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + body)
    await writer.drain()


async def serve_content(asked: Asked, writer: asyncio.StreamWriter, *, stop_after: int | None = None) -> None:
    """Serve CONTENT well, with ranges and an ETag; break off after so many bytes of the body."""
    span = asked.span if asked.headers.get("if-range", ETAG) == ETAG else None
    start, end = span or (0, len(CONTENT))
    headers = {"ETag": ETAG, "Accept_Ranges": "bytes", "Content_Length": str(end - start)}
    if span:
        headers["Content_Range"] = f"bytes {start}-{end - 1}/{len(CONTENT)}"
    body = CONTENT[start:end]
    await answer(writer, 206 if span else 200, body[:stop_after], **headers)
