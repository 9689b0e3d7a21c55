"""What a browser shall do with a file that it is given (the Content-Disposition header, RFC 6266)."""

from urllib.parse import quote

INLINE_PREFIXES = ("image/", "video/", "audio/")
INLINE = frozenset({"text/plain"})
NEVER_INLINE = frozenset({"image/svg+xml"})


def disposition(filename: str, mime: str, *, download: bool = False) -> str:
    """The header's value: media and plain text are shown, everything else is a download."""
    kind = "inline" if shown_inline(mime) and not download else "attachment"
    return f"{kind}; filename*=utf-8''{quote(filename, safe='')}"


def shown_inline(mime: str) -> bool:
    """Whether a file of this type may be shown: it can hold no script that would run at our address."""
    return (mime.startswith(INLINE_PREFIXES) or mime in INLINE) and mime not in NEVER_INLINE
