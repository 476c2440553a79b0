"""Two values of a resource beside each other, as a plan's JSON has them: what differs, and nothing of what the plan
itself calls sensitive.

Every value comes with a tree of what is sensitive in it: `true` for the whole, or a mapping or list with such trees. A
value is masked where its own leaf is, so that one secret in a block does not hide the rest of that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from ...domain.frozen import Frozen
from ...domain.infra.plan import NONE, SENSITIVE, UNKNOWN, AttributeChange
from ...domain.text import one_line

MAX_TEXT = 200
_ABSENT: Final = object()
_NOTHING: tuple[Any, ...] = (None, "", [], {})


class Side(Frozen):
    """One of the two values, with its trees."""

    value: Any
    sensitive: Any = False
    unknown: Any = False

    def part(self, key: str | int) -> Side:
        """Returns one part of it."""
        return Side(_part(self.value, key), _mark(self.sensitive, key), _mark(self.unknown, key))


def differences(before: Side, after: Side, forcing: Sequence[Sequence[str | int]] = ()) -> list[AttributeChange]:
    """Returns the values that differ, each with its path; `forcing` are the paths because of which a resource is
    replaced."""
    paths = [tuple(path) for path in forcing]
    return [_change(path, old, new, paths) for path, old, new in _walk((), before, after)]


def is_noise(change: AttributeChange) -> bool:
    """Tells whether a value differs only in how nothing is written: null, an empty text, list or mapping."""
    return {change.before, change.after} <= {NONE, '""', "[]", "{}"}


def secrets_in(value: Any, sensitive: Any) -> Iterator[str]:
    """Yields the texts below what is marked as sensitive."""
    if sensitive is True:
        yield from _texts(value)
    elif isinstance(sensitive, Mapping):
        for key, mark in cast("Mapping[str, Any]", sensitive).items():
            yield from secrets_in(_part(value, key), mark)
    elif isinstance(sensitive, list):
        for index, mark in enumerate(cast("list[Any]", sensitive)):
            yield from secrets_in(_part(value, index), mark)


def shown(value: Any) -> str:
    """Returns a value as a person reads it, in one line of bounded length."""
    if value is None or value is _ABSENT:
        return NONE
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, sort_keys=True)
    line = one_line(text[: MAX_TEXT * 4])
    return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}…"


def path_words(path: Sequence[str | int]) -> str:
    """Returns a path as it is written in a configuration: `ingress[0].port`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return one_line(text) or "value"


_Path = tuple[str | int, ...]


def _walk(path: _Path, before: Side, after: Side) -> Iterator[tuple[_Path, Side, Side]]:
    if before.sensitive is True or after.sensitive is True or after.unknown is True:
        if after.unknown is True or _plain(before.value) != _plain(after.value):
            yield path, before, after
        return
    keys = _keys(before, after)
    if keys is None:
        if _plain(before.value) != _plain(after.value):
            yield path, before, after
        return
    for key in keys:
        yield from _walk((*path, key), before.part(key), after.part(key))


def _keys(before: Side, after: Side) -> Sequence[str | int] | None:
    """Returns the parts that two values are compared by; None where they are compared as wholes."""
    sides: list[Any] = [each.value for each in (before, after) if each.value is not None and each.value is not _ABSENT]
    marked = _unknown_keys(after)
    if not sides and marked:
        return marked
    if sides and all(isinstance(each, dict) for each in sides):
        found = dict.fromkeys(key for each in cast("list[dict[str, Any]]", sides) for key in each)
        return [*found, *(key for key in marked if key not in found)]
    if sides and all(isinstance(each, list) for each in sides):
        secret = any(map(_marked, (before.sensitive, after.sensitive, after.unknown)))
        return range(max(map(len, cast("list[list[Any]]", sides)))) if len(sides) == 2 or secret else None
    return None


def _unknown_keys(side: Side) -> list[str]:
    unknown: Any = side.unknown
    if not isinstance(unknown, dict):
        return []
    return [key for key, mark in cast("dict[str, Any]", unknown).items() if mark]


def _change(path: _Path, before: Side, after: Side, forcing: Sequence[_Path]) -> AttributeChange:
    hidden = _marked(before.sensitive) or _marked(after.sensitive)
    forces = any(path[: len(each)] == each or each[: len(path)] == path for each in forcing)
    old, new = shown(before.value), UNKNOWN if after.unknown is True else shown(after.value)
    if hidden:
        old = SENSITIVE if old != NONE else old
        new = SENSITIVE if new not in (NONE, UNKNOWN) else new
    return AttributeChange(path_words(path), old, new, forces)


def _marked(tree: Any) -> bool:
    """Tells whether a tree marks anything: of a value that is shown as a whole, one secret hides all."""
    if isinstance(tree, Mapping):
        return any(map(_marked, cast("Mapping[str, Any]", tree).values()))
    if isinstance(tree, list):
        return any(map(_marked, cast("list[Any]", tree)))
    return tree is True


def _part(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return cast("dict[Any, Any]", value).get(key, _ABSENT)
    if isinstance(value, list) and isinstance(key, int) and key < len(cast("list[Any]", value)):
        return cast("list[Any]", value)[key]
    return _ABSENT


def _mark(tree: Any, key: str | int) -> Any:
    """Returns the tree of a part; what is marked as a whole is marked in every part."""
    if tree is True:
        return True
    found = _part(tree, key)
    return False if found is _ABSENT else found


def _plain(value: Any) -> Any:
    return None if value is _ABSENT else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in cast("dict[str, Any]", value).values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _texts(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
