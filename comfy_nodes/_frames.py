"""The binary frames of the realtime socket (ComfyUI-Deploy plugin 2.3.10): 32 bytes of header, then a picture file."""

import struct

FROM_CLIENT = struct.Struct("<II24s")
TO_CLIENT = struct.Struct(">II24s")
"""Kind, format, id. The two directions differ in their byte order."""

CLIENT_KIND, SERVER_KIND = 0, 1
FORMATS = {1: "JPEG", 2: "PNG", 3: "WEBP"}
NUMBERS = {name: number for number, name in FORMATS.items()}
MAX_ID_BYTES = 24
PADDING = " \0"


def read_frame(frame: bytes) -> tuple[str, bytes]:
    """The input id and the picture file of a client's frame. Raises ValueError that says what is wrong with it."""
    if len(frame) <= FROM_CLIENT.size:
        raise ValueError(f"A frame has {FROM_CLIENT.size} bytes of header and then a picture, not {len(frame)} in all.")
    kind, number, name = FROM_CLIENT.unpack_from(frame)
    if kind != CLIENT_KIND:
        raise ValueError(f"A frame begins with the little-endian word {CLIENT_KIND}, not {kind}.")
    if number not in FORMATS:
        raise ValueError(f"The format is 1 (JPEG), 2 (PNG) or 3 (WEBP), little-endian, not {number}.")
    try:
        return plain_id(name.decode("ascii")), frame[FROM_CLIENT.size :]
    except UnicodeDecodeError:
        raise ValueError("The input id in the header must be ASCII.") from None


def picture_frame(output_id: str, format_name: str, content: bytes) -> bytes:
    """A frame for a client."""
    return TO_CLIENT.pack(SERVER_KIND, NUMBERS[format_name], output_id.encode("ascii")) + content


def is_id(name: str) -> bool:
    """Whether an id can travel in a frame."""
    return name.isascii() and len(name) <= MAX_ID_BYTES


def plain_id(name: str) -> str:
    """An id without what pads it to 24 bytes."""
    return name.strip(PADDING)
