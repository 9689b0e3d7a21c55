"""What the editor does to texts when it queues: choices in braces, comments, names of widgets in file names."""

import re
from collections.abc import Callable

COMMENT_START = re.compile(r"/\*|//")
LINE_END = re.compile(r"[\n\r\u2028\u2029]")
ESCAPED = re.compile(r"\\([{}|])")
PLACEHOLDER = re.compile(r"%([^%]+)%")
DATE = "date:"
DATE_PARTS = {"yyyy": "year", "MM": "month", "dd": "day", "hh": "hour", "HH": "hour", "mm": "minute", "ss": "second"}
"""Parts of a date in a file name as the editor knows them -> as the engine fills them in when it saves."""
DATE_PART = re.compile("|".join(DATE_PARTS))
UNSAFE = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')

Lookup = Callable[[str, str], str | None]


def plain_prompt(text: str) -> str:
    """A prompt without comments; of choices like `{a|b}` the first one is taken, where the editor draws one."""
    text = _without_comments(text)
    kept: list[str] = []
    # For each open brace: whether the text is inside its first choice, which alone is kept.
    first: list[bool] = []
    left = at = 0
    while at < len(text):
        char = text[at]
        size = 2 if char == "\\" else 1
        if char == "{":
            first.append(True)
        elif char == "}" and first:
            left -= not first.pop()
        elif char == "|" and first:
            left += first[-1]
            first[-1] = False
        elif not left:
            kept.append(text[at : at + size])
        at += size
    return ESCAPED.sub(r"\1", "".join(kept))


def _without_comments(text: str) -> str:
    kept: list[str] = []
    at = 0
    closed = text.rfind("*/")
    while (start := COMMENT_START.search(text, at)) is not None:
        kept.append(text[at : start.start()])
        if start.group() == "//":
            ending = LINE_END.search(text, start.end())
            at = len(text) if ending is None else ending.start()
        elif closed >= start.end():
            at = text.index("*/", start.end()) + 2
        else:
            kept.append(start.group())
            at = start.end()
    return "".join([*kept, text[at:]])


def file_prefix(text: str, look_up: Lookup) -> str:
    """A file name with `%Node.widget%` filled in, and dates in the engine's own words, so that each run has its own."""
    return PLACEHOLDER.sub(lambda match: _filled(match.group(0), match.group(1), look_up), text)


def _filled(whole: str, inner: str, look_up: Lookup) -> str:
    parts = inner.split(".")
    if len(parts) == 2:
        value = look_up(parts[0], parts[1])
        return whole if value is None else UNSAFE.sub("_", value)
    if inner.startswith(DATE):
        return DATE_PART.sub(lambda match: f"%{DATE_PARTS[match.group(0)]}%", inner.removeprefix(DATE))
    return whole
