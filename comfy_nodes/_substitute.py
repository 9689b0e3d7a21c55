"""A program, not a module of the package: one `re.sub` in a process of its own, since `re` cannot be stopped.

Reads JSON {pattern, other, text, longest} from stdin, writes {"result": ...} or {"error": a reason} to stdout.
"""

import json
import re
import sys


def substituted(pattern: str, other: str, text: str, longest: int) -> str:
    """The text with every match replaced. Raises ValueError for a result that gets longer than `longest`."""
    length = len(text)

    def replacement(match: re.Match[str]) -> str:
        nonlocal length
        written = match.expand(other) if "\\" in other else other
        length += len(written) - len(match[0])
        if length > longest:
            raise ValueError(f"the result is longer than {longest} characters")
        return written

    return re.sub(pattern, replacement, text)


def main() -> None:
    try:
        answer = {"result": substituted(**json.load(sys.stdin))}
    except (re.error, ValueError, IndexError, OverflowError, RecursionError) as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
