"""Standard output: tables for people, tab-separated lines for `cut`, JSON for programs. Nothing else in cli/ writes
there.

What is written is cleaned here; JSON is not, which writes control characters as escapes of its own.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from ...core.domain.frozen import Frozen
from ...core.domain.text import clean, one_line, unbroken
from ..streams import check_reader
from .diagnostics import line_of, paint


class Format(StrEnum):
    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"


class Column(Frozen):
    """A column of a table. A `right` one has figures, a `flexible` one is cut first if the terminal is narrow, and the
    cells of `states` have colours."""

    title: str
    right: bool = False
    flexible: bool = False
    states: bool = False


_STYLES = {
    "succeeded": "green",
    "pass": "green",
    "ready": "green",
    "ok": "green",
    "alive": "green",
    "resolved": "green",
    "failed": "red",
    "fail": "red",
    "quarantined": "red",
    "rolled": "red",
    "error": "red",
    "problem": "red",
    "firing": "red",
    "failing": "red",
    "dead": "red",
    "undone": "red",
    "running": "cyan",
    "queued": "cyan",
    "starting": "cyan",
    "waiting": "yellow",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "inconclusive": "yellow",
    "pending": "yellow",
    "proposed": "yellow",
    "refused": "yellow",
    "did": "red",  # did not help
    "helped": "green",
    "delivered": "green",
    "no": "yellow",  # no data
    "warning": "yellow",
    "draining": "yellow",
}
_C1 = re.compile("[\x7f-\x9f]")


def line(*pieces: str) -> None:
    """Writes one line."""
    _write(line_of(pieces))


def logged(text: str, before: str = "") -> None:
    """Writes a line of a log as a terminal would leave it, behind what is said of it. There are millions of them."""
    sys.stdout.write(f"{before and unbroken(before)}{clean(text)}\n")


def lines(text: str) -> None:
    """Writes a text of several lines."""
    for each in text.split("\n"):
        line(each)


def document(value: Any) -> None:
    """Writes one JSON document."""
    _write(as_text(value))


def as_text(value: Any) -> str:
    """Returns one JSON document. A list has one element per line: small differences stay small, and long lists are
    written fast."""
    if isinstance(value, list):
        rows = ",\n".join(_json(row) for row in value)
        return f"[\n{rows}\n]" if rows else "[]"
    return _json(value, indent=2)


def json_line(value: Any) -> None:
    """Writes one JSON value on one line, for streams."""
    _write(_json(value))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _json(value: Any, indent: int | None = None) -> str:
    # JSON is UTF-8: where standard output is something else, everything beyond ASCII is escaped as JSON has it.
    utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not utf8, indent=indent, default=str)
    # C1 controls are legal inside JSON strings, and steer some terminals all the same.
    return text if text.isascii() and "\x7f" not in text else _C1.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def rows(format: Format, columns: Sequence[Column], cells: Iterable[Sequence[str]], shapes: Iterable[Any]) -> None:
    """Writes rows in the format asked for: `cells` as a table or plain, `shapes` as JSON. Both may be generators, of
    which one is read."""
    if format is Format.JSON:
        document(list(shapes))
    elif format is Format.PLAIN:
        for row in cells:
            _write("\t".join(one_line(cell) for cell in row))
    else:
        table(columns, cells)


def pairs(items: Iterable[tuple[str, str]]) -> None:
    """Writes names and values in two aligned columns; empty values are left out."""
    kept = [(one_line(name), one_line(value)) for name, value in items if value]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        _write(f"{name:<{width}}  {value}")


def table(columns: Sequence[Column], cells: Iterable[Sequence[str]]) -> None:
    """Writes aligned columns under a header, or nothing if there are no rows."""
    safe = [[one_line(cell) for cell in row] for row in cells]
    if not safe:
        return
    titles = [one_line(column.title) for column in columns]
    widths = [max(len(title), *(width(row[index]) for row in safe)) for index, title in enumerate(titles)]
    _narrow(columns, widths)
    _write(paint(_aligned(columns, titles, widths), "dim", stream=sys.stdout))
    for row in safe:
        _write(_aligned(columns, row, widths))


def _aligned(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    parts: list[str] = []
    for column, cell, size in zip(columns, row, widths, strict=True):
        text = cut(cell, size)
        gap = " " * (size - width(text))
        shown = paint(text, _style(text), stream=sys.stdout) if column.states else text
        parts.append(gap + shown if column.right else shown + gap)
    return "  ".join(parts).rstrip()


def _style(state: str) -> str:
    """Returns the colour of a state: of its first word (`rolled back`), or else of its last (`replay fail`)."""
    words = state.split(" ")
    return _STYLES.get(words[0]) or _STYLES.get(words[-1], "")


def _narrow(columns: Sequence[Column], widths: list[int]) -> None:
    """Narrows the flexible columns until the table fits the terminal. A pipe has no width: nothing is cut there."""
    if not sys.stdout.isatty():
        return
    try:
        room = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return
    excess = sum(widths) + 2 * (len(widths) - 1) - room if room > 0 else 0
    for index, column in enumerate(columns):
        if excess > 0 and column.flexible:
            taken = min(excess, max(0, widths[index] - max(len(column.title), 8)))
            widths[index] -= taken
            excess -= taken


def width(text: str) -> int:
    """Returns how many cells of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, size: int) -> str:
    """Returns at most `size` cells of `text`, with a mark if something is missing."""
    if width(text) <= size:
        return text
    kept, used = "", 0
    for char in text:
        if used + width(char) > size - 1:
            break
        kept, used = kept + char, used + width(char)
    return kept + "~"


def flush() -> None:
    """Hands on what is written so far. Raises OutputLost if nobody reads it, also where nothing is written."""
    sys.stdout.flush()
    check_reader()
