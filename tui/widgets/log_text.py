"""Turns a stored line into what a person reads: colours that the step wrote, JSON as words, nothing that could steer
the terminal."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from ...core.domain.text import one_line, parse_sgr

MOST_SPANS = 200  # places that are marked in one line
_MOST_MATCHED = 20_000  # characters of a line that a regular expression is looked for in
# Looked for only where a name begins: a line of 60,000 letters would be read again from each of them.
_LOGFMT = re.compile(r'(?<![\w.-])([A-Za-z_][\w.-]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_LEAST_PAIRS = 3  # from which a line counts as logfmt
_DEEPEST = 6

StyledText = list[tuple[str, Style | str]]

_MESSAGE_KEYS = ("message", "msg", "event", "text")
_LEVEL_KEYS = ("level", "levelname", "severity", "lvl")
_SKIPPED = frozenset({"time", "timestamp", "ts", "@timestamp", "asctime", *_MESSAGE_KEYS, *_LEVEL_KEYS})
_LEVELS = {
    "debug": "muted", "info": "run", "notice": "run", "warn": "warn!", "warning": "warn!",
    "error": "bad!", "critical": "bad!", "fatal": "bad!",
}  # fmt: skip


def readable(text: str) -> StyledText:
    """Spans of plain text with a role of the palette or a style of their own."""
    if text.startswith("{") and text.rstrip().endswith("}") and len(text) < 65_536:
        spans = _json_line(text)
        if spans is not None:
            return spans
    plain, found = parse_sgr(text)
    if "\t" in plain:  # spans count characters, so where there are any a tab stays one cell
        plain = plain.replace("\t", " ") if found else plain.expandtabs(4)
    if not found:
        return [(plain, "")]
    result: StyledText = []
    at = 0
    for start, end, attributes in found:
        if start > at:
            result.append((plain[at:start], ""))
        result.append((plain[start:end], _style(attributes)))
        at = end
    if at < len(plain):
        result.append((plain[at:], ""))
    return result


def _json_line(text: str) -> StyledText | None:
    """`LEVEL message key=value …` of a JSON object; None when it is none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not data:
        return None
    spans: StyledText = []
    level = next((str(data[key]) for key in _LEVEL_KEYS if key in data), "")
    if level:
        spans.append((f"{one_line(level).upper():<7} ", _LEVELS.get(level.lower(), "muted")))
    message = next((data[key] for key in _MESSAGE_KEYS if key in data), None)
    if message is not None:
        spans.append((one_line(message if isinstance(message, str) else json.dumps(message)) + " ", ""))
    for key, value in data.items():
        if key not in _SKIPPED:
            spans += [
                (f" {one_line(str(key))}=", "muted"),
                (one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)), "accent"),
            ]
    return spans


@lru_cache(maxsize=256)
def _style(attributes: Any) -> Style:
    """What `parse_sgr` found, as a style."""
    return Style(
        color=None if attributes.foreground is None else _colour(attributes.foreground),
        bgcolor=None if attributes.background is None else _colour(attributes.background),
        bold=attributes.bold or None,
        dim=attributes.dim or None,
        italic=attributes.italic or None,
        underline=attributes.underline or None,
        reverse=attributes.reverse or None,
        strike=attributes.strike or None,
    )


def _colour(value: int | tuple[int, int, int]) -> Color:
    return Color.from_ansi(value) if isinstance(value, int) else Color.from_rgb(*value)


def highlight(
    segments: list[Segment],
    pattern: str,
    style: Style,
    *,
    current: bool,
    matched: Callable[[str], Sequence[tuple[int, int]]] | None = None,
) -> list[Segment]:
    """Show the pattern wherever it stands, even across pieces of different colour; of a regular expression `matched`
    says where that is."""
    text = "".join(segment.text for segment in segments)
    spans = _spans(text, pattern) if matched is None else matched(text[:_MOST_MATCHED])
    if not spans:
        return segments
    if current:
        style = style + Style(reverse=True)
    result: list[Segment] = []
    position = 0
    for segment in segments:
        end = position + len(segment.text)
        cuts = sorted({position, end, *(point for span in spans for point in span if position < point < end)})
        for low, high in itertools.pairwise(cuts):
            inside = any(start <= low < stop for start, stop in spans)
            base = segment.style or Style.null()
            result.append(Segment(text[low:high], base + style if inside else base))
        position = end
    return result


def _spans(text: str, pattern: str) -> list[tuple[int, int]]:
    ignore = pattern.lower() == pattern
    haystack = text.lower() if ignore else text
    if ignore and len(haystack) != len(text):
        return []
    spans: list[tuple[int, int]] = []
    at = haystack.find(pattern)
    while at >= 0 and len(spans) < MOST_SPANS:
        spans.append((at, at + len(pattern)))
        at = haystack.find(pattern, at + len(pattern))
    return spans


def opened(text: str) -> list[tuple[str, str]]:
    """Returns a line as (name, value): the fields of JSON, nested ones with their path, or those of logfmt; else the
    text alone, without a name."""
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        return [field for key, value in data.items() for field in _fields(str(key), value, 0)]
    pairs = _LOGFMT.findall(text)
    if len(pairs) >= _LEAST_PAIRS:
        return [(name, quoted or plain) for name, quoted, plain in pairs]
    return [("", "".join(piece for piece, _ in readable(text)))]


def _fields(name: str, value: Any, depth: int) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < _DEEPEST:
        return [field for key, each in value.items() for field in _fields(f"{name}.{key}", each, depth + 1)]
    return [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]
