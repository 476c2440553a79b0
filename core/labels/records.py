"""Lines that replicas write, as values. Whatever is in a line, it becomes a value or None: a container may have written
anything."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

from ..domain import finite
from ..domain.frozen import Frozen
from ..domain.labels import NewLabel
from ..serving.forms import predictions_of

MAX_ID_CHARACTERS = 200
MAX_LABEL_BYTES = 16 * 1024
MAX_DEPTH = 20
_OK = 200
_LARGEST_EXACT = 2**53
_LARGEST_NUMBER = 2**31  # of rows of a request, and of labels that were refused in a moment


class RequestLine(Frozen):
    """A request as it is kept."""

    id: str
    at: float
    version: int | None
    status: int
    predictions: str
    """JSON, a list with one for each row; empty for none."""
    rows: int
    keys: tuple[str, ...] = ()


class CaptureLine(Frozen):
    """A captured request: its inputs, and the rest where its line is missing."""

    request: RequestLine
    content_type: str
    body: str


class FeedbackLine(Frozen):
    """A label that a client sent; without one, how many of the client's were refused."""

    client: str
    received: float
    label: NewLabel | None = None
    refused: int = 0


def request_line(line: bytes) -> RequestLine | None:
    """Reads a line of `requests-*` (core/serving/requests.py)."""
    parts = line.rstrip(b"\n").split(b"\t", 5)
    if len(parts) != 6:
        return None
    at, name, version, status, keys, answer = (part.decode("utf-8", "replace") for part in parts)
    return _request(name, _number(at), version, _number(status), answer, _keys(keys))


def _request(
    name: Any, at: Any, version: Any, status: Any, answer: str, keys: tuple[str, ...] = ()
) -> RequestLine | None:
    moment = time_of(at)
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID_CHARACTERS or moment is None:
        return None
    if not isinstance(status, int | float) or not 100 <= status <= 999:
        return None
    found = predictions_of(answer) if status == _OK else []
    number = int(version) if isinstance(version, str) and version.isdecimal() and len(version) < 10 else None
    text = json.dumps(found, separators=(",", ":")) if found else ""
    return RequestLine(plain(name), moment, number, int(status), text, len(found), keys)


def capture_line(line: bytes) -> CaptureLine | None:
    fields = _object(line)
    body, kind = fields.get("input"), fields.get("content_type")
    output = fields.get("output")
    found = _request(
        fields.get("request_id"),
        fields.get("at"),
        fields.get("version"),
        fields.get("status"),
        output if isinstance(output, str) else "",
    )
    if found is None or not isinstance(body, str) or not isinstance(kind, str):
        return None
    return CaptureLine(found, plain(kind), plain(body))


def feedback_line(line: bytes) -> FeedbackLine | None:
    fields = _object(line)
    received, client, refused = time_of(fields.get("received")), fields.get("client", ""), fields.get("refused")
    if received is None or not isinstance(client, str):
        return None
    if isinstance(refused, int) and not isinstance(refused, bool):
        return FeedbackLine(plain(client), received, refused=min(max(refused, 0), _LARGEST_NUMBER))
    name, row = fields.get("request_id"), fields.get("row")
    if not isinstance(name, str):
        return None
    label = NewLabel(fields.get("truth"), id=plain(name), row=row_of(row), at=time_of(fields.get("at")))
    return FeedbackLine(plain(client), received, label)


def row_of(value: Any) -> int | None:
    """Returns the number of a row, also where it is written as 1.0, or None for none; -1, which no request has, for
    what is no number of a row."""
    if value is None:
        return None
    found = finite.finite(value)
    return int(found) if found is not None and 0 <= found < _LARGEST_NUMBER and found.is_integer() else -1


def time_of(value: Any) -> float | None:
    """Returns a moment in seconds since the epoch; None for what cannot be one."""
    return finite.time_of(value) or None


def plain(text: str) -> str:
    """Returns the text without what no database keeps: half a character, and the character zero."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def written(value: Any) -> str | None:
    """Returns a label as JSON; None if it is none: nothing, a number that is none, something too large or too deep.
    Equal labels are written alike: a whole number without its `.0`, the keys of an object in their order."""
    try:
        value = _settled(value, 0)
        text = None if value is None else json.dumps(value, allow_nan=False, sort_keys=True, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return None
    if text is None or len(text.encode("utf-8", "replace")) > MAX_LABEL_BYTES:
        return None
    return plain(text)


def _settled(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return int(value)
    if isinstance(value, list):
        return [_settled(each, depth + 1) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {str(key): _settled(each, depth + 1) for key, each in cast("dict[Any, Any]", value).items()}
    return value


def same(one: str, other: str) -> bool:
    """Tells whether two written labels say the same: of numbers their value, so that true is 1."""
    return one == other or json.loads(one) == json.loads(other)


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _number(text: str) -> float | None:
    with suppress(ValueError):
        value = float(text)
        return value if math.isfinite(value) else None
    return None


def _keys(text: str) -> tuple[str, ...]:
    try:
        found: Any = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return ()
    return tuple(_strings(cast("list[Any]", found))) if isinstance(found, list) else ()


def _strings(values: Any) -> Iterator[str]:
    for value in values:
        yield plain(value) if isinstance(value, str) else ""
