"""Compares two answers to one request: whether their predictions are the same, and how far apart they are. Pure
functions over the bodies of MLflow's protocol."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from ...domain.frozen import Frozen
from ...domain.replay import DEFAULT_TOLERANCE
from ...domain.text import one_line

# How far the sum of a row of probabilities may be from 1: float32 models round.
_SUM_TOLERANCE = 1e-3
_MAX_DEPTH = 20
_WORD = re.compile(r"\w+")
_MIN_CUT_LENGTH = 4
_MAX_READ_LENGTH, _MAX_SHOWN_LENGTH = 5000, 300  # characters of a message that are read, and that are shown
_Path = tuple[str | int, ...]


class AnswerComparison(Frozen):
    """The comparison of one request's answers: `identical` + `close` + `differing` = `rows`."""

    rows: int = 0
    """Predictions that were compared."""
    identical: int = 0
    """Rows with equal predictions."""
    close: int = 0
    """Rows that differ within the tolerance."""
    differing: int = 0
    """Rows that differ beyond the tolerance."""
    labels: int = 0
    """Rows with a class label or class probabilities."""
    changed: int = 0
    """Rows of `labels` with another class."""
    sizes: tuple[float, ...] = ()
    """The largest distance of two numbers of each row that has numbers."""


def compare(champion: bytes, candidate: bytes, *, tolerance: float | None) -> AnswerComparison:
    """Compares two good answers row by row. Answers of another shape (other length, other names) differ as a whole."""
    theirs, mine = predictions(champion), predictions(candidate)
    rows = max(len(theirs), len(mine), 1)
    if len(theirs) != len(mine) or not theirs:
        same = theirs == mine and champion == candidate
        return AnswerComparison(rows, identical=rows if same else 0, differing=0 if same else rows)
    identical = close = differing = labels = changed = 0
    sizes: list[float] = []
    for before, after in zip(theirs, mine, strict=True):
        same, size = _distance(before, after, tolerance)
        if size is not None:
            sizes.append(size)
        label_before, label_after = label(before), label(after)
        labelled = label_before is not None and label_after is not None
        other = labelled and label_before != label_after
        labels += labelled
        changed += other
        if same:
            identical += 1
        elif labelled and not other and tolerance is None:
            close += 1
        else:
            differing += 1
    return AnswerComparison(len(theirs), identical, close, differing, labels, changed, tuple(sizes))


def predictions(body: bytes) -> list[Any]:
    """Returns the rows of an answer: one row if it is not a list, none if it is not an answer of MLflow's protocol."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(answer, dict) or "predictions" not in answer:
        return []
    found: Any = cast("Mapping[str, Any]", answer)["predictions"]
    return cast("list[Any]", found) if isinstance(found, list) else [found]


def label(row: Any) -> tuple[str, Any] | None:
    """Returns the class that a row names, or the position of its greatest probability, together with which of the
    two it is; None if the row is a quantity or something else."""
    if isinstance(row, str | bool | int):
        return type(row).__name__, row
    if isinstance(row, list) and len(cast("list[Any]", row)) == 1:
        return label(row[0])
    if not isinstance(row, list) or len(cast("list[Any]", row)) < 2:
        return None
    numbers = cast("list[Any]", row)
    if not all(
        isinstance(number, float | int) and not isinstance(number, bool) and 0.0 <= number <= 1.0 for number in numbers
    ):
        return None
    if abs(math.fsum(numbers) - 1.0) > _SUM_TOLERANCE:
        return None
    return "most probable", max(range(len(numbers)), key=numbers.__getitem__)


def _distance(before: Any, after: Any, tolerance: float | None) -> tuple[bool, float | None]:
    """Returns (whether they are the same within the tolerance, the largest distance of two numbers in the same
    position, or None). Without a tolerance whole numbers, which may be labels, have to be equal."""
    theirs, mine = dict(_leaves(before)), dict(_leaves(after))
    same = theirs.keys() == mine.keys()
    size: float | None = None
    for place in theirs.keys() & mine.keys():
        one, other = theirs[place], mine[place]
        if not _number(one) or not _number(other):
            same = same and type(one) is type(other) and one == other
            continue
        first, second = _float(one), _float(other)
        if not math.isfinite(first) or not math.isfinite(second):
            same = same and (one == other or (math.isnan(first) and math.isnan(second)))
            continue
        apart = abs(first - second)
        size = apart if size is None else max(size, apart)
        whole = tolerance is None and isinstance(one, int) and isinstance(other, int)
        allowed = DEFAULT_TOLERANCE if tolerance is None else tolerance
        same = same and (one == other if whole else apart <= allowed * max(1.0, abs(first)))
    return same, size


def _float(value: Any) -> float:
    """Returns a number as a float: infinite where it is an integer too large for one, which JSON may have."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _leaves(value: Any, place: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """Yields every single value with its path; an empty list or object, and anything nested too deeply, counts as
    one value."""
    if isinstance(value, dict) and value and len(place) < _MAX_DEPTH:
        for key, inner in cast("Mapping[str, Any]", value).items():
            yield from _leaves(inner, (*place, key))
    elif isinstance(value, list) and value and len(place) < _MAX_DEPTH:
        for index, inner in enumerate(cast("Sequence[Any]", value)):
            yield from _leaves(inner, (*place, index))
    else:
        yield place, value


def words(status: int, body: bytes, request: bytes) -> str:
    """Returns how a request was refused, without any part of the request: `400 BAD_REQUEST: …`."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return str(status)
    if not isinstance(answer, dict):
        return str(status)
    fields = cast("Mapping[str, Any]", answer)
    code, message = fields.get("error_code"), fields.get("message")
    told = (
        f"{status} {code}"
        if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum()
        else str(status)
    )
    if not isinstance(message, str) or not message.strip():
        return told
    return f"{told}: {_without(' '.join(one_line(message).split())[:_MAX_READ_LENGTH], request)[:_MAX_SHOWN_LENGTH]}"


def _without(text: str, request: bytes) -> str:
    """Returns `text` without the words of the request's values and without numbers: an error message often quotes
    the value that it rejects."""
    try:
        values = [value for _, value in _leaves(json.loads(request)) if isinstance(value, str)]
    except (ValueError, RecursionError):
        return "(its message may quote the request)"
    secret = {word.lower() for value in values for word in _WORD.findall(value)}
    beginnings = {
        word[:length] for word in secret for length in range(_MIN_CUT_LENGTH, len(word))
    }  # a message may quote a value cut short

    def shown(found: re.Match[str]) -> str:
        word = found[0].lower()
        return "…" if word in secret or word in beginnings or any(map(str.isdigit, word)) else found[0]

    return re.sub(r"(…[\s.,+-]*)+…", "…", _WORD.sub(shown, text))
