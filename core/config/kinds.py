"""Kinds of single values: how each is read, and its JSON Schema. A kind is a small frozen object. `read` returns the
value, or INVALID with the problem noted; it never raises. Kinds that contain other kinds (lists, mappings, sections)
are in sections.py; the table that uses them all is table.py. These are dataclasses without comparison, repr and
slots, because each of those costs time at every start of every command."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .. import plugins
from ..domain.project import Hold, Scalar
from ..domain.text.durations import parse_duration, parse_percent
from .infra.outputs import others as other_placeholders
from .reader import INVALID, Reader, shorten
from .source import YamlNode

Schema = dict[str, Any]

# In the schema a value may always be a text that holds a variable: `port: "${PORT:-5100}"`.
_VARIABLE: Schema = {"type": "string", "pattern": r"\$\{[A-Za-z_]"}
_PLACEHOLDER: Schema = {"type": "string", "pattern": r"\$\{\{"}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", re.ASCII)
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_YES_NO = {
    "yes": "true",
    "on": "true",
    "y": "true",
    "1": "true",
    "no": "false",
    "off": "false",
    "n": "false",
    "0": "false",
}


class ValueKind(Protocol):
    def read(self, node: YamlNode, key: str, reader: Reader) -> Any: ...
    def schema(self) -> Schema: ...


def has_placeholder(text: str) -> bool:
    return "${{" in text


def _value(node: YamlNode, key: str, reader: Reader) -> str | Any:
    """Returns the text of a value that is not a text in the end. Quotes are allowed only around a variable."""
    if node.null:
        return reader.problem(node, key, "has no value", "give it one, or leave the key out")
    text = reader.text(node, key)
    if text is INVALID or node.plain or text != node.text:
        return text.strip() if isinstance(text, str) else text
    return reader.problem(
        node, key, f'"{shorten(node.text)}" is a text here, because it is quoted', "leave the quotes out"
    )


def _shown(node: YamlNode, text: str) -> str:
    """Returns a value as it was written. The value of a variable is not repeated, because it may be a secret."""
    return f"`{shorten(node.text)}`" + (" (with its variables filled in)" if node.text != text else "")


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A text as written."""

    variables: bool = True
    """Fills `${NAME}` in."""
    templated: bool = False
    """Allows `${{ }}`."""
    outputs: bool = False
    """Allows `${{ infra.NAME.outputs.X }}` alone."""
    empty: bool = False
    pattern: str = ""
    what: str = ""
    check: Callable[[str], str] | None = None
    """Returns what is wrong with the text, or ""."""

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        if node.null and not self.empty:
            return reader.problem(node, key, "has no value", "give it one, or leave the key out")
        text = reader.text(node, key, variables=self.variables)
        if text is INVALID:
            return INVALID
        text = "" if node.null else text
        if not text.strip() and not self.empty and node.text == text:
            return reader.problem(node, key, "is empty")
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            return reader.problem(node, key, "holds a character that no file name or command can hold")
        if has_placeholder(text):
            return (
                text
                if self.templated or (self.outputs and not other_placeholders(text))
                else reader.problem(
                    node,
                    key,
                    "`${{ }}` is not filled in here",
                    "it is in run, env, inputs, outputs and a built-in's options",
                )
            )
        if self.pattern and not re.fullmatch(self.pattern, text, re.ASCII):
            return reader.problem(node, key, f"{_shown(node, text)} is not {self.what or 'of the right form'}")
        wrong = self.check(text) if self.check else ""
        return reader.problem(node, key, f"{_shown(node, text)} {wrong}") if wrong else text

    def schema(self) -> Schema:
        if self.empty:
            return {"type": ["string", "number", "boolean", "null"]}
        if not self.pattern:
            return {"type": ["string", "number"]}
        others = [_VARIABLE, _PLACEHOLDER] if self.templated or self.outputs else [_VARIABLE]
        return {"anyOf": [{"type": ["string", "number"], "pattern": f"^(?:{self.pattern})$"}, *others]}


@dataclass(frozen=True, eq=False, repr=False)
class Integer:
    low: int | None = None
    high: int | None = None
    templated: bool = False

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        if self.templated and node.kind == "text" and has_placeholder(node.text):
            return node.text
        text = _value(node, key, reader)
        if text is INVALID:
            return INVALID
        if not _INTEGER.fullmatch(text):
            return reader.problem(node, key, f"{_shown(node, text)} is not a whole number")
        return _bounded(int(text), self.low, self.high, node, key, reader)

    def schema(self) -> Schema:
        others = [_VARIABLE, _PLACEHOLDER] if self.templated else [_VARIABLE]
        return {"anyOf": [{"type": "integer", **_bounds(self.low, self.high)}, *others]}


@dataclass(frozen=True, eq=False, repr=False)
class Number:
    low: float | None = None
    high: float | None = None

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = _value(node, key, reader)
        if text is INVALID:
            return INVALID
        if not _NUMBER.fullmatch(text):
            return reader.problem(node, key, f"{_shown(node, text)} is not a number")
        return _bounded(float(text), self.low, self.high, node, key, reader)

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "number", **_bounds(self.low, self.high)}, _VARIABLE]}


def _bounded(value: float, low: float | None, high: float | None, node: YamlNode, key: str, reader: Reader) -> Any:
    if (
        (low is not None and value < low)
        or (high is not None and value > high)
        or value in (float("inf"), float("-inf"))
    ):
        span = (
            f"from {low:g} to {high:g}"
            if low is not None and high is not None
            else f"at least {low:g}"
            if low is not None
            else "a finite number"
        )
        return reader.problem(node, key, f"`{shorten(node.text)}` is out of range", f"it has to be {span}")
    return value


def _bounds(low: float | None, high: float | None) -> Schema:
    return {name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None}


@dataclass(frozen=True, eq=False, repr=False)
class Flag:
    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = _value(node, key, reader)
        if text is INVALID:
            return INVALID
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        meant = _YES_NO.get(text.lower())
        return reader.problem(
            node, key, f"{_shown(node, text)} is neither true nor false", f"write {meant}" if meant else ""
        )

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "boolean"}, _VARIABLE]}


@dataclass(frozen=True, eq=False, repr=False)
class Duration:
    """Seconds, from `50ms`, `20m`, `1h30m`."""

    low: float = 0.0
    high: float | None = None

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID:
            return INVALID
        seconds = parse_duration(text)
        if seconds is None:
            hint = (
                f"write the unit: `{text}s`, `{text}m`, …"
                if _NUMBER.fullmatch(text)
                else "for example 50ms, 20s, 5m, 1h30m, 2d"
            )
            return reader.problem(node, key, f"{_shown(node, text)} is not a length of time", hint)
        return _bounded(seconds, self.low, self.high, node, key, reader)

    def schema(self) -> Schema:
        return {
            "anyOf": [{"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"}, {"const": 0}, _VARIABLE]
        }


@dataclass(frozen=True, eq=False, repr=False)
class Share:
    """0..1, from `0.2` or `20%`."""

    high: float = 1.0

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID:
            return INVALID
        percent = parse_percent(text)
        if percent is None and not _NUMBER.fullmatch(text):
            return reader.problem(node, key, f"{_shown(node, text)} is not a share", "write 0.2 or 20%")
        return _bounded(float(text) if percent is None else percent, 0.0, self.high, node, key, reader)

    def schema(self) -> Schema:
        return {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": self.high},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%$"},
                _VARIABLE,
            ]
        }


@dataclass(frozen=True, eq=False, repr=False)
class Amount:
    """A bound on a signal: a number, a share (`20%` is 0.2), a length of time (`50ms` is 0.05) or, with `sizes`, bytes
    (`2g`). Whether its unit is that of the signal is known once all monitors are."""

    sizes: bool = False

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        return text if text is INVALID else _amount(text, node, key, reader, sizes=self.sizes)

    def schema(self) -> Schema:
        sizes = r"|[0-9.]+ ?[kmgtKMGT]i?[bB]?" if self.sizes else ""
        pattern = rf"^([0-9.]+ ?%|([0-9.]+(ms|s|m|h|d|w))+{sizes})$"
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}, _VARIABLE]}


def _amount(
    text: str, node: YamlNode, key: str, reader: Reader, or_what: str = "", or_hint: str = "", *, sizes: bool = False
) -> Any:
    size = _SIZE.fullmatch(text) if sizes else None
    for value in (
        float(text) if _NUMBER.fullmatch(text) else None,
        parse_percent(text),
        parse_duration(text),
        float(_bytes(size)) if size is not None else None,
    ):
        if value is not None:
            return _bounded(value, None, None, node, key, reader)
    words = f"{_shown(node, text)} is not a number{or_what}"
    return reader.problem(node, key, words, f"write 0.01, 1%{', 2g' if sizes else ''} or 50ms{or_hint}")


def unit_of(text: str) -> str:
    """Returns what the text of an Amount is: `share`, `time`, `size`, or nothing for a plain number."""
    if _NUMBER.fullmatch(text):
        return ""
    if parse_percent(text) is not None:
        return "share"
    return "time" if parse_duration(text) is not None else "size"


@dataclass(frozen=True, eq=False, repr=False)
class AmountOrBand:
    """A bound on a signal, or the name of a band that a measure has (`significant`), which stays a name. Whether the
    monitor's measure has bands is known once all monitors are."""

    bands: Mapping[str, float]

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID or text in self.bands:
            return text
        bands = f"; of psi also {' or '.join(self.bands)}"
        return _amount(text, node, key, reader, " or a band", bands, sizes=True)

    def schema(self) -> Schema:
        return {"anyOf": [{"enum": list(self.bands)}, *Amount(sizes=True).schema()["anyOf"]]}


@dataclass(frozen=True, eq=False, repr=False)
class Holding:
    """How long an alert waits: a number of measurements in a row (`3`), or a length of time (`10m`)."""

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID:
            return INVALID
        if _INTEGER.fullmatch(text):
            count = _bounded(int(text), 1, 10_000, node, key, reader)
            return count if count is INVALID else Hold(count)
        seconds = parse_duration(text)
        if seconds is None:
            message = f"{_shown(node, text)} is neither a number of measurements nor a length of time"
            return reader.problem(node, key, message, "write 3, or 10m")
        return Hold(seconds=seconds)

    def schema(self) -> Schema:
        time: Schema = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"}
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10_000}, time, _VARIABLE]}


_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?/ ?(day|week|month|year)", re.ASCII)
_PERIOD_DAYS = {"day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0}


@dataclass(frozen=True, eq=False, repr=False)
class Rate:
    """How often something may happen, in times a day: `1/month` is a thirtieth, for a month has 30 days."""

    high: float = 24.0

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID:
            return INVALID
        match = _RATE.fullmatch(text)
        if match is None:
            return reader.problem(node, key, f"{_shown(node, text)} is not a rate", "write 1/month, 2/week or 1/day")
        rate = float(match[1]) / _PERIOD_DAYS[match[2]]
        if not 0 < rate <= self.high:
            return reader.problem(node, key, f"{_shown(node, text)} is out of range", f"up to {self.high:g} a day")
        return rate

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?/ ?(day|week|month|year)$"}, _VARIABLE]}


@dataclass(frozen=True, eq=False, repr=False)
class Secret:
    """A text that nobody may see: it has to come from a variable, whatever that is called, and is masked everywhere."""

    pattern: str = ""
    what: str = ""
    empty: bool = False
    plain: Callable[[str], str] | None = None
    """Returns why a text that is written out may not be, or ""; None where none may be."""
    always: bool = False
    """Whether it is masked where it is written out too."""
    templated: bool = False
    """Allows `${{ }}`."""

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        written = Text(pattern=self.pattern, what=self.what, empty=self.empty, templated=self.templated)
        text = written.read(node, key, reader)
        if text is INVALID:
            return INVALID
        if text and (self.always or node.text != text):
            reader.secrets.append(text)
            return text
        wrong = "would stand in the file" if self.plain is None else self.plain(text)
        if wrong:
            return reader.problem(node, key, f"it {wrong}", "take it from the environment: ${NAME}")
        return text

    def schema(self) -> Schema:
        if self.plain is None:
            return _VARIABLE
        return Text(pattern=self.pattern, empty=self.empty).schema()


_THROUGHPUT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?/ ?(s|m|h)", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, eq=False, repr=False)
class Throughput:
    """Requests a second, from `200/s`, `30/m`. The unit is required."""

    low: float
    high: float

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID:
            return INVALID
        match = _THROUGHPUT.fullmatch(text)
        if match is None:
            return reader.problem(node, key, f"{_shown(node, text)} is not a rate", "write 200/s or 30/m")
        return _bounded(float(match[1]) / _SECONDS[match[2]], self.low, self.high, node, key, reader)

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?/ ?(s|m|h)$"}, _VARIABLE]}


@dataclass(frozen=True, eq=False, repr=False)
class RowsOrTime:
    """What a window is measured by: a number of rows (an int), or a length of time (a float, of seconds)."""

    low: int
    high: int

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID:
            return INVALID
        if _INTEGER.fullmatch(text):
            return _bounded(int(text), self.low, self.high, node, key, reader)
        seconds = parse_duration(text)
        if seconds is None:
            message = f"{_shown(node, text)} is neither a number of rows nor a length of time"
            return reader.problem(node, key, message, "write 1000, or 24h")
        return _bounded(float(seconds), 1.0, None, node, key, reader)

    def schema(self) -> Schema:
        rows: Schema = {"type": "integer", **_bounds(self.low, self.high)}
        return {"anyOf": [rows, {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"}, _VARIABLE]}


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt])i?b?", re.ASCII | re.IGNORECASE)
_SIZE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def _bytes(size: re.Match[str]) -> int:
    return int(float(size[1]) * _SIZE_UNITS[size[2].lower()])


def _size(size: int) -> str:
    """Returns a size in the largest unit of which it is a whole number."""
    return next(
        (f"{size // unit}{word}" for word, unit in reversed(_SIZE_UNITS.items()) if size % unit == 0), f"{size}b"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Size:
    """Bytes, from `512m`, `4g` (powers of 1024, as Docker reads them). The unit is required."""

    low: int = 0
    high: int | None = None

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = reader.text(node, key)
        if text is INVALID:
            return INVALID
        match = _SIZE.fullmatch(text)
        if match is None:
            return reader.problem(node, key, f"{_shown(node, text)} is not a size", "write 512m or 4g")
        size = _bytes(match)
        if size < self.low:
            return reader.problem(node, key, f"{_shown(node, text)} is too little", f"at least {_size(self.low)}")
        if self.high is not None and size > self.high:
            return reader.problem(node, key, f"{_shown(node, text)} is too much", f"at most {_size(self.high)}")
        return size

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?[kmgtKMGT]i?[bB]?$"}, _VARIABLE]}


@dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """One of a few words."""

    words: Sequence[str]

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        return _one_of(self.words, node, key, reader)

    def schema(self) -> Schema:
        return {"anyOf": [{"enum": list(self.words)}, _VARIABLE]}


@dataclass(frozen=True, eq=False, repr=False)
class PluginName:
    """The name of a plug-in of `core/plugins.py`, Podium's own or another package's."""

    kind: plugins.PluginKind

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        return _one_of(plugins.choices(self.kind), node, key, reader, also=lambda text: plugins.known(self.kind, text))

    def schema(self) -> Schema:
        words = dict.fromkeys([*plugins.choices(self.kind), *plugins.added(self.kind)])
        return {"anyOf": [{"enum": list(words)}, _VARIABLE]}


def _one_of(
    words: Sequence[str], node: YamlNode, key: str, reader: Reader, also: Callable[[str], bool] = lambda _: False
) -> Any:
    text = Text().read(node, key, reader)
    if text is INVALID or text in words or also(text):
        return text
    return reader.problem(node, key, f"{_shown(node, text)} is not known", reader.suggest(text, words))


@dataclass(frozen=True, eq=False, repr=False)
class Value:
    """A value of a matrix: a number or true/false where writing it out again gives the same text (`0.1`, `8`), else
    the text (`3.10`, `2013-03`).

    So a step's name and command always show a value exactly as podium.yaml does.
    """

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        text = Text().read(node, key, reader)
        if text is INVALID:
            return INVALID
        if any(not char.isprintable() for char in text) or len(text) > 200:
            return reader.problem(node, key, "is too long, or more than one line, for a step's name")
        return as_written(text) if node.plain or text != node.text else text

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


def as_written(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text) and str(int(text)) == text:
        return int(text)
    if _NUMBER.fullmatch(text) and str(float(text)) == text:
        return float(text)
    return text
