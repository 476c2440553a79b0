"""The process in which a person's regular expression is matched (`matching.py`): `python -m` this module, a request in
and an answer out, by `marshal`."""

from __future__ import annotations

import marshal
import re
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from .format import PREFIX_BYTES, is_record


def matching_lines(data: bytes, pattern: re.Pattern[str], quick: bool) -> list[int]:
    """Returns where the lines begin whose text has the pattern. `quick`: the whole may be asked first."""
    if quick and pattern.search(data.decode("utf-8", "replace")) is None:
        return []
    found: list[int] = []
    at = 0
    for line in data.split(b"\n"):
        # What follows the last line feed is no line.
        if at < len(data):
            text = line[PREFIX_BYTES:] if is_record(line) else line
            if pattern.search(text.decode("utf-8", "replace")) is not None:
                found.append(at)
        at += len(line) + 1
    return found


def matching_texts(texts: Sequence[str], pattern: re.Pattern[str], _extra: object) -> list[bool]:
    """Returns of each text whether it has the pattern."""
    return [pattern.search(text) is not None for text in texts]


def spans_of(texts: Sequence[str], pattern: re.Pattern[str], most: int) -> list[list[tuple[int, int]]]:
    """Returns of each text where the pattern stands in it, at most `most` places."""
    return [
        [match.span() for match in islice(pattern.finditer(text), most) if match.end() > match.start()]
        for text in texts
    ]


WORK: dict[str, Callable[[Any, re.Pattern[str], Any], Any]] = {
    "lines": matching_lines,
    "texts": matching_texts,
    "spans": spans_of,
}


def main() -> None:
    """Answers until there is no further request. What takes longer than it may ends the process: an expression that
    tries every way to read a line listens to nothing else."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            expression, flags, what, seconds, given, extra = marshal.load(source)  # noqa: S302 - from whoever started this
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, seconds)
        found = WORK[what](given, re.compile(expression, flags), extra)
        signal.setitimer(signal.ITIMER_REAL, 0)
        marshal.dump(found, target)
        target.flush()


if __name__ == "__main__":
    main()
