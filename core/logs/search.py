"""Search in a log, a piece at a time, so that it can be stopped and other threads get their turn.

A literal is looked for in the bytes as they are; a regular expression first in a piece as a whole, which skips
quickly over what cannot match, and in a process of its own (`matching.py`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import UsageError
from .format import PREFIX_BYTES, is_record
from .matching import Matcher

if TYPE_CHECKING:
    from .reader import LogFile

PIECE_BYTES = 256 << 10
# Of a line without an end a regular expression sees this much.
_MAX_LINE_BYTES = 1 << 20
# What may match differently in a text of several lines than in each line by itself: anchors, look-around, flags,
# possessive quantifiers.
_PER_LINE = re.compile(r"\^|\\[ABZz]|\(\?(?!:)|[*+?}]\+|\$")

Finder = Callable[[bytes, bool], Iterator[int]]


def search(
    file: LogFile,
    pattern: str,
    *,
    start: int | None,
    backwards: bool,
    regex: bool,
    ignore_case: bool,
    stop: threading.Event | None,
) -> int | None:
    if not pattern:
        return None
    if backwards:
        after = None if start is None else file.offset_of(start + 1)
        pieces = _backwards(file, file.end if after is None else after)
    else:
        begin = file.offset_of(start or 0)
        pieces = _forwards(file, begin) if begin is not None else iter(())
    with _finder(pattern, regex=regex, ignore_case=ignore_case, stop=stop) as finder:
        for offset, data in pieces:
            if stop is not None and stop.is_set():
                return None
            for at in finder(data, backwards):
                return file.line_at(offset + at)
    return None


def hits(
    file: LogFile, pattern: str, *, regex: bool, ignore_case: bool, most: int, stop: threading.Event | None
) -> list[int]:
    """Returns the numbers of the lines that have the pattern, at most `most`; those found so far if `stop` was set."""
    found: list[int] = []
    if not pattern:
        return found
    base = 0
    with _finder(pattern, regex=regex, ignore_case=ignore_case, stop=stop) as finder:
        for _, data in _forwards(file, 0):
            line, before = base, 0
            for at in finder(data, False):
                line, before = line + data.count(b"\n", before, at), at
                if found[-1:] != [line]:  # of a line that is longer than a piece each part may have it
                    found.append(line)
                if len(found) >= most:
                    return found
            base += data.count(b"\n")
            if stop is not None and stop.is_set():
                return found
    return found


def _forwards(file: LogFile, offset: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of whole lines."""
    while offset < file.end:
        size = PIECE_BYTES
        while True:
            data = file.read(offset, size)
            cut = data.rfind(b"\n") + 1
            if cut or len(data) < size or size >= _MAX_LINE_BYTES:
                break
            size *= 2
        if not data:
            return
        if not cut or offset + len(data) >= file.end:
            cut = len(data)
        yield offset, data[:cut]
        offset += cut


def _backwards(file: LogFile, end: int) -> Iterator[tuple[int, bytes]]:
    while end > 0:
        size = PIECE_BYTES
        while True:
            low = max(0, end - size)
            data = file.read(low, end - low)
            # The first line is whole when the piece begins the file; else it belongs to the piece before.
            cut = 0 if low == 0 else data.find(b"\n", 0, len(data) - 1) + 1
            if cut or low == 0 or size >= _MAX_LINE_BYTES:
                break
            size *= 2
        if not data:
            return
        yield low + cut, data[cut:]
        end = low + cut


@contextmanager
def _finder(pattern: str, *, regex: bool, ignore_case: bool, stop: threading.Event | None) -> Generator[Finder]:
    if not regex and (not ignore_case or pattern.isascii()):
        wanted = pattern.encode("utf-8", "surrogateescape")
        yield _literal(wanted.lower() if ignore_case else wanted, ignore_case=ignore_case)
        return
    source = pattern if regex else re.escape(pattern)
    try:
        re.compile(source)
    except (re.error, OverflowError, RecursionError) as error:
        hint = "Search for it as plain text, or put a backslash before what is meant as it stands."
        raise UsageError(f"{pattern!r} is not a regular expression: {error}", hint=hint) from error
    with Matcher(source, ignore_case=ignore_case) as matcher:
        yield _regex(matcher, stop, quick=not _PER_LINE.search(source))


def _literal(wanted: bytes, *, ignore_case: bool) -> Finder:
    def find(data: bytes, backwards: bool) -> Iterator[int]:
        # ASCII letters only, which is what a literal of ASCII needs; the length stays the same.
        text = data.lower() if ignore_case else data
        at = text.rfind(wanted) if backwards else text.find(wanted)
        while at >= 0:
            begin = data.rfind(b"\n", 0, at) + 1
            if at - begin >= PREFIX_BYTES or not is_record(data, begin):
                yield begin
                at = text.rfind(wanted, 0, begin) if backwards else text.find(wanted, _line_end(data, at))
            elif backwards:
                # Found in the time in front of a line: the line itself may still have it.
                at = text.rfind(wanted, 0, at + len(wanted) - 1)
            else:
                at = text.find(wanted, at + 1)

    return find


def _regex(matcher: Matcher, stop: threading.Event | None, *, quick: bool) -> Finder:
    def find(data: bytes, backwards: bool) -> Iterator[int]:
        found = matcher.lines(data, quick=quick, stop=stop) or ()
        yield from reversed(found) if backwards else found

    return find


def _line_end(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end + 1
