"""The query that chooses versions by metrics and parameters: `roc_auc > 0.8 and depth = 4`.

A condition is a name, an operator (`=` `!=` `>` `>=` `<` `<=`, `~` for "contains") and a value; conditions are joined
by `and`, `or` and `not`, and grouped by parentheses. A name is a metric, a parameter, a tag, or one of a version's own
(`version`, `alias`, `verdict`, `commit`, `run`, `status`); `metric.NAME`, `param.NAME` and `tag.NAME` say which. Names
and values with spaces stand in quotes or backticks.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ..domain.frozen import Frozen
from ..domain.models import Version
from ..errors import UsageError

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*"|`[^`]*`)|(?P<sign>>=|<=|!=|==|[=<>~()])|(?P<word>[^\s()=<>~!'"`]+))"""
)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_OPERATORS = frozenset({"=", "==", "!=", "~", *_ORDER})
_MOST_DEPTH = 50
HINT = "for example: roc_auc > 0.8 and depth = 4"

Condition = Callable[[Version, str], bool]
"""Whether a version, with the last word about it, is wanted."""


class _Token(Frozen):
    kind: str
    text: str
    at: int


def parse(query: str) -> Condition:
    """Returns the condition. Raises UsageError, naming the place, for a query that is none."""
    return _Parser(query).whole()


def looks_like_one(text: str) -> bool:
    """Tells whether a filter's text is a query rather than a word to look for."""
    return any(token.kind == "sign" and token.text in _OPERATORS for token in _tokens(text))


def names(query: str) -> tuple[str, ...]:
    """Returns the names that a query asks about, in its order."""
    tokens = _tokens(query)
    found = [
        one.text.removeprefix("metric.").removeprefix("param.").removeprefix("tag.")
        for one, following in pairwise(tokens)
        if one.kind == "name" and following.kind == "sign" and following.text in _OPERATORS
    ]
    return tuple(dict.fromkeys(found))


def _tokens(query: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            if query[at:].strip():
                found.append(_Token("broken", query[at:].strip(), at))
            break
        kind = str(match.lastgroup)
        text = match[kind]
        found.append(
            _Token("name", text[1:-1], match.start(kind))
            if kind == "quoted"
            else _Token("name" if kind == "word" else kind, text, match.start(kind))
        )
        at = match.end()
    return found


class _Parser:
    """Reads `or` of `and` of `not` of conditions."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = _tokens(query)
        self._at = 0
        self._depth = 0

    def whole(self) -> Condition:
        found = self._either()
        if self._at < len(self._tokens):
            raise self._wrong("`and` or `or`")
        return found

    def _either(self) -> Condition:
        parts = [self._all()]
        while self._word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda version, word: any(each(version, word) for each in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._word("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda version, word: all(each(version, word) for each in parts)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise UsageError("the query is nested too deeply", hint=HINT)
        try:
            if self._word("not"):
                other = self._one()
                return lambda version, word: not other(version, word)
            if self._sign("("):
                found = self._either()
                if not self._sign(")"):
                    raise self._wrong("`)`")
                return found
            return self._condition()
        finally:
            self._depth -= 1

    def _condition(self) -> Condition:
        name = self._take("name", "a name")
        sign = self._take("sign", "one of = != > >= < <= ~")
        if sign not in _OPERATORS:
            self._at -= 1
            raise self._wrong("one of = != > >= < <= ~")
        wanted = self._take("name", "a value")
        return lambda version, word: _holds(_values(version, name, word), sign, wanted)

    def _word(self, word: str) -> bool:
        return self._accept(lambda token: token.kind == "name" and token.text.lower() == word)

    def _sign(self, sign: str) -> bool:
        return self._accept(lambda token: token.kind == "sign" and token.text == sign)

    def _accept(self, wanted: Callable[[_Token], bool]) -> bool:
        if self._at < len(self._tokens) and wanted(self._tokens[self._at]):
            self._at += 1
            return True
        return False

    def _take(self, kind: str, what: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at].kind != kind:
            raise self._wrong(what)
        self._at += 1
        return self._tokens[self._at - 1].text

    def _wrong(self, expected: str) -> UsageError:
        found = self._tokens[self._at] if self._at < len(self._tokens) else None
        where = f"at {found.text!r}, character {found.at + 1}" if found is not None else "at its end"
        return UsageError(f"the query {self._query!r} cannot be read {where}: {expected} is expected", hint=HINT)


def _values(version: Version, name: str, word: str) -> Sequence[str | float]:
    """Returns what a version has under a name; nothing if it has none."""
    kind, dot, rest = name.partition(".")
    tables: Mapping[str, Mapping[str, str] | Mapping[str, float]] = {
        "metric": version.metrics,
        "param": version.params,
        "tag": version.tags,
    }
    if dot and kind in tables and rest in tables[kind]:
        return (tables[kind][rest],)
    for table in tables.values():
        if name in table:
            return (table[name],)
    return _own(version, name, word)


def _own(version: Version, name: str, word: str) -> Sequence[str | float]:
    if name == "alias":
        return version.aliases
    if name == "run":
        return (float(version.run_id),) if version.run_id is not None else ()
    own = {
        "version": float(version.version),
        "verdict": word or (version.verdict.value if version.verdict is not None else ""),
        "commit": version.commit,
        "status": version.status.lower(),
    }
    return (own[name],) if name in own else ()


def _holds(values: Sequence[str | float], sign: str, wanted: str) -> bool:
    """Tells whether one of the values is as wanted; `!=` asks it of all. What is not there is neither more nor less."""
    if sign == "!=":
        return not any(_equal(value, wanted) for value in values)
    return any(_one_holds(value, sign, wanted) for value in values)


def _one_holds(value: str | float, sign: str, wanted: str) -> bool:
    if sign in ("=", "=="):
        return _equal(value, wanted)
    if sign == "~":
        return wanted.lower() in str(value).lower()
    one, other = _number(value), _number(wanted)
    if one is not None and other is not None:
        return _ORDER[sign](one, other)
    return isinstance(value, str) and other is None and _ORDER[sign](value, wanted)


def _equal(value: str | float, wanted: str) -> bool:
    one, other = _number(value), _number(wanted)
    if one is not None and other is not None:
        return one == other or (one != one and other != other)
    return str(value).lower() == wanted.lower() or _begins(value, wanted)


def _begins(value: str | float, wanted: str) -> bool:
    """Tells whether a commit is meant by its beginning."""
    return isinstance(value, str) and len(value) == 40 and len(wanted) >= 7 and value.startswith(wanted)


def _number(value: str | float) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
