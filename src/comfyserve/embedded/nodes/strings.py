"""Text operations (catalogue of the protocol spec: Strings, primitives, display)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_

from comfyserve.embedded.nodes.declare import LINES, Family, boolean, choice, integer, text
from comfyserve.embedded.nodes.patterns import TimeLimitedPattern
from comfyserve.embedded.nodes.texts import check_text

family = Family()

MODULE = "comfy_extras.nodes_string"
CATEGORY = "utils/string"

CASES: dict[str, Callable[[str], str]] = {
    "UPPERCASE": str.upper,
    "lowercase": str.lower,
    "Capitalize": str.capitalize,
    "Title Case": str.title,
}
TRIMS: dict[str, Callable[[str], str]] = {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}
COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "Starts With": str.startswith,
    "Ends With": str.endswith,
    "Equal": str.__eq__,
}
EXTRACTS: dict[str, Callable[[TimeLimitedPattern, str, int], str]] = {
    "First Match": lambda pattern, string, _: _whole(pattern.search(string)),
    "All Matches": lambda pattern, string, _: _lines(
        (match[1] or "") if match.re.groups else match[0] for match in pattern.finditer(string)
    ),
    "First Group": lambda pattern, string, index: _group(pattern.search(string), index) or "",
    "All Groups": lambda pattern, string, index: _lines(
        found for match in pattern.finditer(string) if match.re.groups and (found := _group(match, index)) is not None
    ),
}
PATTERN = {"string": LINES, "regex_pattern": LINES}
FLAGS = {"case_insensitive": boolean(True), "multiline": boolean(False), "dotall": boolean(False)}


@family.node(
    "StringConcatenate",
    MODULE,
    CATEGORY,
    {"string_a": LINES, "string_b": LINES, "delimiter": text("", multiline=False)},
    ("STRING",),
    title="Concatenate",
    v3=True,
)
def concatenate(string_a: str, string_b: str, delimiter: str) -> str:
    """Both with the delimiter between them."""
    check_text(len(string_a) + len(delimiter) + len(string_b))
    return delimiter.join((string_a, string_b))


@family.node(
    "StringSubstring",
    MODULE,
    CATEGORY,
    {"string": LINES, "start": ("INT", {}), "end": ("INT", {})},
    ("STRING",),
    title="Substring",
    v3=True,
)
def substring(string: str, start: int, end: int) -> str:
    """From start up to end, negative ones counted from the end."""
    return string[start:end]


@family.node("StringLength", MODULE, CATEGORY, {"string": LINES}, ("INT",), title="Length", names=("length",), v3=True)
def length(string: str) -> int:
    """Code points."""
    return len(string)


@family.node(
    "CaseConverter",
    MODULE,
    CATEGORY,
    {"string": LINES, "mode": choice(*CASES)},
    ("STRING",),
    title="Case Converter",
    v3=True,
)
def convert_case(string: str, mode: str) -> str:
    """In another case; an unknown mode leaves the text alone."""
    changed = CASES.get(mode, str)(string)
    check_text(len(changed))  # some letters become up to three
    return changed


@family.node(
    "StringTrim", MODULE, CATEGORY, {"string": LINES, "mode": choice(*TRIMS)}, ("STRING",), title="Trim", v3=True
)
def trim(string: str, mode: str) -> str:
    """Without white space at its ends; an unknown mode leaves the text alone."""
    return TRIMS.get(mode, str)(string)


@family.node(
    "StringReplace",
    MODULE,
    CATEGORY,
    {"string": LINES, "find": LINES, "replace": LINES},
    ("STRING",),
    title="Replace",
    v3=True,
)
def replace(string: str, find: str, replace: str) -> str:
    """Every occurrence replaced."""
    check_text(len(string) + string.count(find) * (len(replace) - len(find)))
    return string.replace(find, replace)


@family.node(
    "StringContains",
    MODULE,
    CATEGORY,
    {"string": LINES, "substring": LINES, "case_sensitive": boolean(True)},
    ("BOOLEAN",),
    title="Contains",
    names=("contains",),
    v3=True,
)
def contains(string: str, substring: str, case_sensitive: bool) -> bool:
    """Whether the substring is there."""
    return substring in string if case_sensitive else substring.lower() in string.lower()


@family.node(
    "StringCompare",
    MODULE,
    CATEGORY,
    {"string_a": LINES, "string_b": LINES, "mode": choice(*COMPARISONS), "case_sensitive": boolean(True)},
    ("BOOLEAN",),
    title="Compare",
    v3=True,
)
def compare(string_a: str, string_b: str, mode: str, case_sensitive: bool) -> bool:
    """string_a against string_b. ValueError for an unknown mode."""
    if mode not in COMPARISONS:
        raise ValueError(f"The mode {mode!r} is not known. Use one of: {', '.join(COMPARISONS)}.")
    a, b = (string_a, string_b) if case_sensitive else (string_a.lower(), string_b.lower())
    return COMPARISONS[mode](a, b)


@family.node(
    "RegexMatch",
    MODULE,
    CATEGORY,
    {**PATTERN, **FLAGS},
    ("BOOLEAN",),
    title="Regex Match",
    names=("matches",),
    v3=True,
)
def regex_match(string: str, regex_pattern: str, case_insensitive: bool, multiline: bool, dotall: bool) -> bool:
    """Whether the pattern is found anywhere; a bad pattern is not."""
    pattern = _pattern(regex_pattern, case_insensitive, multiline, dotall)
    return pattern is not None and pattern.search(string) is not None


@family.node(
    "RegexExtract",
    MODULE,
    CATEGORY,
    {**PATTERN, "mode": choice(*EXTRACTS), **FLAGS, "group_index": integer(1, 0, 100)},
    ("STRING",),
    title="Regex Extract",
    v3=True,
)
def regex_extract(
    string: str,
    regex_pattern: str,
    mode: str,
    case_insensitive: bool,
    multiline: bool,
    dotall: bool,
    group_index: int,
) -> str:
    """What the pattern finds, several results on lines of their own; nothing or a bad pattern gives an empty text."""
    pattern = _pattern(regex_pattern, case_insensitive, multiline, dotall)
    extract = EXTRACTS.get(mode)
    return "" if pattern is None or extract is None else extract(pattern, string, group_index)


@family.node(
    "RegexReplace",
    MODULE,
    CATEGORY,
    {**PATTERN, "replace": LINES},
    ("STRING",),
    title="Regex Replace",
    optional={**FLAGS, "count": integer(0, 0, 100)},
    v3=True,
)
def regex_replace(
    string: str,
    regex_pattern: str,
    replace: str,
    case_insensitive: bool = True,
    multiline: bool = False,
    dotall: bool = False,
    count: int = 0,
) -> str:
    """The first `count` matches (0: all) replaced, with Python's group references. re.error for a bad pattern."""
    pattern = TimeLimitedPattern(regex_pattern, _flags(case_insensitive, multiline, dotall))
    return pattern.sub(replace, string, count, check_text)


def _flags(case_insensitive: bool, multiline: bool, dotall: bool) -> re.RegexFlag:
    chosen = ((case_insensitive, re.IGNORECASE), (multiline, re.MULTILINE), (dotall, re.DOTALL))
    return reduce(or_, (flag for wanted, flag in chosen if wanted), re.NOFLAG)


def _pattern(source: str, case_insensitive: bool, multiline: bool, dotall: bool) -> TimeLimitedPattern | None:
    try:
        return TimeLimitedPattern(source, _flags(case_insensitive, multiline, dotall))
    except re.error:
        return None


def _whole(match: re.Match[str] | None) -> str:
    return "" if match is None else match[0]


def _lines(found: Iterable[str]) -> str:
    lines: list[str] = []
    length = 0
    for line in found:
        length += len(line) + 1
        check_text(length)
        lines.append(line)
    return "\n".join(lines)


def _group(match: re.Match[str] | None, index: int) -> str | None:
    if match is None or index > len(match.groups()):
        return None
    return match[index]
