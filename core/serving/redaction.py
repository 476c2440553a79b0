"""What of a request is never kept: columns that the environment names in `redact`. And the keys of its rows, by which
labels find them.

Only forms of a request that say which value belongs to which column are kept; of any other one nothing is. Columns
are those of the table: a value that is itself an object is kept or left out as a whole.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from .forms import key_text, rows_of

_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_KEY_BYTES = 16
_LONGEST_KEY = 512


@dataclass(frozen=True, slots=True)
class Redacted:
    """A request without what is not kept; `columns` are those that were in it."""

    body: str
    columns: tuple[str, ...]


class Redaction:
    """Leaves columns out."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = frozenset(columns)
        self._quoted = tuple(json.dumps(name).encode() for name in columns)

    def request(self, body: bytes, content_type: str | None) -> Redacted | None:
        """Returns what may be kept of a request; None where it cannot be told which values are whose."""
        kind = (content_type or "").partition(";")[0].strip().lower()
        try:
            if kind == "text/csv":
                return self._csv(body.decode())
            return self._document(json.loads(body)) if kind == "application/json" else None
        except (ValueError, RecursionError, csv.Error):
            return None

    def answer(self, answer: bytes) -> bytes:
        """Returns an answer without predictions of that name."""
        if not any(name in answer for name in self._quoted):
            return answer
        try:
            return json.dumps(self._without(json.loads(answer))).encode()
        except (ValueError, RecursionError):
            return b""

    def _without(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._without(each) for each in cast("list[Any]", value)]
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {name: self._without(each) for name, each in fields.items() if name not in self.columns}
        return value

    def _document(self, document: Any) -> Redacted | None:
        if not isinstance(document, dict):
            return None
        fields = cast("dict[str, Any]", document)
        form = next((name for name in _FORMS if name in fields), None)
        if form is None:
            return None
        kept, found = self._split(fields[form]) if form == "dataframe_split" else self._named(fields[form])
        if kept is None:
            return None
        # Nothing else that a request has beside its table: it may say anything.
        return Redacted(json.dumps({form: kept}), found)

    def _split(self, given: Any) -> tuple[Any, tuple[str, ...]]:
        if not isinstance(given, dict):
            return None, ()
        fields = cast("dict[str, Any]", given)
        names: Any = fields.get("columns")
        rows: Any = fields.get("data")
        if not _are(names, str) or not _are(rows, list) or any(len(row) != len(names) for row in rows):
            return None, ()
        places = [place for place, name in enumerate(names) if name not in self.columns]
        data = [[row[place] for place in places] for row in rows]
        return {"columns": [names[place] for place in places], "data": data}, self._found(names)

    def _named(self, given: Any) -> tuple[Any, tuple[str, ...]]:
        """Takes rows that are objects, or one object of columns."""
        if isinstance(given, dict):
            return self._left(cast("dict[str, Any]", given)), self._found(cast("dict[str, Any]", given))
        if not given or not _are(given, dict):
            return None, ()
        rows = cast("list[dict[str, Any]]", given)
        return list(map(self._left, rows)), self._found([name for row in rows for name in row])

    def _left(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in self.columns}

    def _found(self, names: Any) -> tuple[str, ...]:
        return tuple(sorted(self.columns & set(names)))

    def _csv(self, text: str) -> Redacted | None:
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
        if not rows or any(len(row) != len(rows[0]) for row in rows):
            return None
        places = [place for place, name in enumerate(rows[0]) if name not in self.columns]
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([row[place] for place in places] for row in rows)
        return Redacted(out.getvalue(), self._found(rows[0]))


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
