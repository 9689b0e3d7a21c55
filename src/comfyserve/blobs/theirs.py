"""Whose failure it was, when a stream is handed to a storage: the giver's or the taker's."""

from comfyserve.ports import ByteStream


class Theirs:
    """A stream that remembers what it raised, to tell it from what the storage raises."""

    def __init__(self, content: ByteStream) -> None:
        self._content = content
        self.raised: BaseException | None = None

    async def pieces(self) -> ByteStream:
        """The stream, once."""
        try:
            async for chunk in self._content:
                yield chunk
        except BaseException as error:
            self.raised = error
            raise
