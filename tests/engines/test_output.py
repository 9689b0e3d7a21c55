"""What a process prints is drained, bounded and remembered."""

import asyncio

from comfyserve.engines.output import LAST_LINES, MAX_LINE_BYTES, Output


async def drained(*chunks: bytes) -> Output:
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    output = Output("engine")
    await output.drain(stream)
    return output


async def test_lines_end_with_newlines_and_returns() -> None:
    output = await drained(b"one\ntw", b"o\r 50%\r100%\r\n\n", b"last \xff")
    assert output.last.split("\n") == ["one", "two", "50%", "100%", "last \ufffd"]


async def test_only_the_last_lines_are_kept() -> None:
    output = await drained(b"".join(b"%d\n" % number for number in range(1000)))
    assert output.last.split("\n") == [str(number) for number in range(1000 - LAST_LINES, 1000)]


async def test_a_line_without_end_is_cut() -> None:
    output = await drained(*[b"x" * 50_000] * 4)
    assert max(len(line) for line in output.last.split("\n")) == MAX_LINE_BYTES
