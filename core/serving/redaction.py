"""What of a request is never kept: columns that the environment names in `redact`. And the keys of its rows, by which
labels find them.

Only forms of a request that say which value belongs to which column are kept; of any other one nothing is. A column is
left out however the request writes its name (`folded`), and so is what has such a name inside of a value, at every
depth: a model may take none of them for the column, and the value is the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from .forms import key_text, rows_of

_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_KEY_BYTES = 16
_LONGEST_KEY = 512
_AROUND = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\ufeff\0\"'`"
_LONGEST = 1000
# What stands between the columns of a CSV, for other programs or inside of quotation marks: for pandas the whole head
# is then the name of one column, and all values are that one's.
_DELIMITERS = re.compile(r"[,;\t|\r\n]")
_NESTED = frozenset((dict, list))


def folded(name: str) -> str:
    """Returns what all ways to write a column's name have in common: as core/domain/column_names.py, which a replica
    does not have."""
    name = name.strip(_AROUND)
    if len(name) > _LONGEST:
        return name
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip(_AROUND)


@dataclass(frozen=True, slots=True)
class Redacted:
    """A request without what is not kept; `columns` are those that were in it, as the environment names them."""

    body: str
    columns: tuple[str, ...]


class _Hidden(dict[str, bool]):
    """Tells of each name in one request whether it is never kept, and collects which were found. Of one request: names
    come from clients, and are remembered no longer."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        super().__init__()
        self._columns = columns
        self._found: set[str] = set()

    def __missing__(self, name: str) -> bool:
        column = self._columns.get(name) or self._columns.get(folded(name))
        if column is not None:
            self._found.add(column)
        self[name] = column is not None
        return column is not None

    @property
    def found(self) -> tuple[str, ...]:
        return tuple(sorted(self._found))

    def without(self, value: Any) -> Any:
        """Returns a value of JSON without what it has under these names."""
        if isinstance(value, list):
            values = cast("list[Any]", value)
            return [self.without(each) if type(each) in _NESTED else each for each in values]
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {
                name: self.without(each) if type(each) in _NESTED else each
                for name, each in fields.items()
                if not self[name]
            }
        return value


class Redaction:
    """Leaves columns out."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = {**{folded(name): name for name in columns}, **{name: name for name in columns}}
        self._sought = tuple({name.encode() for name in map(folded, columns) if name.isascii()})

    def request(self, body: bytes, content_type: str | None) -> Redacted | None:
        """Returns what may be kept of a request; None where it cannot be told which values are whose."""
        kind = (content_type or "").partition(";")[0].strip().lower()
        try:
            if kind == "text/csv":
                return self._csv(body.decode("utf-8-sig"))  # pandas knows the mark, too
            return self._document(json.loads(body)) if kind == "application/json" else None
        except (ValueError, RecursionError, csv.Error):
            return None

    def answer(self, answer: bytes) -> bytes:
        """Returns an answer without predictions of that name."""
        return self._without(answer) if self._may_name(answer) else answer

    def label(self, truth: Any) -> Any:
        """Returns what a client says is true, without what has such a name in it; None, which is no label, for what is
        too deep."""
        try:
            return _Hidden(self._columns).without(truth)
        except RecursionError:
            return None

    def _may_name(self, answer: bytes) -> bool:
        """Tells whether one of the names can be in an answer. Most have none, and are long: they are not parsed."""
        if not answer.isascii() or b"\\" in answer:
            return True
        small = answer.lower()
        return any(name in small for name in self._sought)

    def _without(self, answer: bytes) -> bytes:
        hidden = _Hidden(self._columns)
        try:
            kept = hidden.without(json.loads(answer))
            return json.dumps(kept).encode() if hidden.found else answer
        except (ValueError, RecursionError):
            return b""

    def _document(self, document: Any) -> Redacted | None:
        if not isinstance(document, dict):
            return None
        fields = cast("dict[str, Any]", document)
        form = next((name for name in _FORMS if name in fields), None)
        if form is None:
            return None
        hidden = _Hidden(self._columns)
        kept = _split(fields[form], hidden) if form == "dataframe_split" else _named(fields[form], hidden)
        # Nothing else that a request has beside its table: it may say anything.
        return None if kept is None else Redacted(json.dumps({form: kept}), hidden.found)

    def _csv(self, text: str) -> Redacted | None:
        # A line of spaces is none for pandas: the head comes after it.
        lines = csv.reader(io.StringIO(text), strict=True)
        rows = [row for row in lines if len(row) > 1 or (row and row[0].strip())]
        if not rows or any(len(row) != len(rows[0]) for row in rows) or "\0" in text:
            return None
        hidden = _Hidden(self._columns)
        places = [place for place, name in enumerate(rows[0]) if not hidden[name]]
        if any(hidden[part] for place in places for part in _DELIMITERS.split(rows[0][place])):
            return None
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([row[place] for place in places] for row in rows)
        return Redacted(out.getvalue(), hidden.found)


def _split(given: Any, hidden: _Hidden) -> Any:
    if not isinstance(given, dict):
        return None
    fields = cast("dict[str, Any]", given)
    names: Any = fields.get("columns")
    rows: Any = fields.get("data")
    if not _are(names, str) or not _are(rows, list) or any(len(row) != len(names) for row in rows):
        return None
    places = [place for place, name in enumerate(names) if not hidden[name]]
    data = [hidden.without([row[place] for place in places]) for row in rows]
    return {"columns": [names[place] for place in places], "data": data}


def _named(given: Any, hidden: _Hidden) -> Any:
    """Takes rows that are objects, or one object of columns."""
    if not isinstance(given, dict) and (not given or not _are(given, dict)):
        return None
    return hidden.without(given)


def _are(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(each, kind) for each in cast("list[Any]", values))


class Keys:
    """Reads the key of each row of a request. With a salt, what is kept is a digest of it instead."""

    def __init__(self, column: str, salt: str = "") -> None:
        self.column = column
        self._salt = salt

    def of(self, body: bytes, content_type: str | None) -> bytes:
        """Returns the keys as a list of JSON, one for each row; nothing where the request has no such column."""
        table = rows_of(body, content_type or "")
        if table is None or self.column not in table.columns:
            return b""
        place = table.columns.index(self.column)
        return json.dumps([self.kept(key_text(row[place])) for row in table.rows]).encode()

    def kept(self, key: str) -> str:
        return kept_key(key, self._salt)


def kept_key(key: str, salt: str) -> str:
    """Returns what is kept of a key: with a salt 32 hexadecimal digits of it, else itself; empty for one that is none.
    BLAKE2b with a key is made for that (RFC 7693); whoever has the salt can try keys one by one."""
    if not key or len(key) > _LONGEST_KEY:
        return ""
    if not salt:
        return key
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=_KEY_BYTES, key=salt.encode()[:64]).hexdigest()
