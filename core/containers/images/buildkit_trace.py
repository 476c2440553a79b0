"""Decodes BuildKit's progress messages: protocol buffers, of which Podium needs a handful of fields. Forty lines
decode them because the fields of a protocol buffer never change, and every package that could do it is larger than
the rest of Podium's Docker code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from ...domain.frozen import Frozen

Value = int | bytes
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Vertex(Frozen):
    """One step of a build in its latest state."""

    digest: str
    """BuildKit's identifier of the step."""
    name: str
    """The instruction as BuildKit prints it."""
    cached: bool = False
    """True if the step was found in the cache."""
    started: float = 0.0
    """Seconds since the epoch; 0.0 before the step starts."""
    completed: float = 0.0
    """Seconds since the epoch; 0.0 before the step ends."""
    error: str = ""
    """Why the step failed; empty if it did not."""


class Output(Frozen):
    """Output of a step's command. It may be cut anywhere, also within a line."""

    digest: str
    text: bytes


class BuildProgress(Frozen):
    vertexes: list[Vertex] = field(default_factory=list[Vertex])
    outputs: list[Output] = field(default_factory=list[Output])


def decode(message: bytes) -> BuildProgress:
    """Decodes one `StatusResponse` message of BuildKit. Raises ValueError if the bytes are not one."""
    news = BuildProgress()
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            news.vertexes.append(_vertex(value))
        elif number == 3 and isinstance(value, bytes):
            found = dict(_fields(value))
            news.outputs.append(Output(_text(found.get(1)), _bytes(found.get(4))))
    return news


def _vertex(message: bytes) -> Vertex:
    found = dict(_fields(message))  # the repeated field 2, what it stands on, is of no interest
    return Vertex(
        _text(found.get(1)),
        _text(found.get(3)),
        bool(found.get(4)),
        _time(found.get(5)),
        _time(found.get(6)),
        _text(found.get(7)),
    )


def _fields(message: bytes) -> Iterator[tuple[int, Value]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of unknown kind {kind}")
        if at + length > len(message):
            raise ValueError("a field longer than its message")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a number that does not end")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _bytes(value: Value | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _text(value: Value | None) -> str:
    return _bytes(value).decode("utf-8", "replace")


def _time(value: Value | None) -> float:
    if not isinstance(value, bytes):
        return 0.0
    found = dict(_fields(value))
    seconds, nanos = found.get(1, 0), found.get(2, 0)
    return (seconds if isinstance(seconds, int) else 0) + (nanos if isinstance(nanos, int) else 0) / 1e9
