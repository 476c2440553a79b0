"""One request and its answer, as the dialects see them: HTTP without sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, unquote


class ApiError(Exception):
    """An answer that says no. The dialect chooses its form."""

    def __init__(
        self, status: int, message: str = "", *, errors: Sequence[Any] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.errors, self.headers = status, message, list(errors), dict(headers or {})


@dataclass(slots=True, eq=False)
class Request:
    """What was asked. `path` is as it was sent, without the query: a name in it may contain `%2F`."""

    method: str
    path: str
    query_text: str
    headers: Mapping[str, str]
    """With names in lower case."""
    body: bytes = b""
    _fields: dict[str, Any] | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query's values; of a name that stands there twice the last one."""
        return {name: values[-1] for name, values in self.query_all.items()}

    @property
    def query_all(self) -> dict[str, list[str]]:
        return parse_qs(self.query_text, keep_blank_values=True)

    def fields(self) -> dict[str, Any]:
        """Returns what the body says, as JSON or as a form. Raises ApiError (400) if it cannot be read."""
        if self._fields is None:
            self._fields = self._read()
        return self._fields

    def _read(self) -> dict[str, Any]:
        if not self.body.strip():
            return {}
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            found = parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)
            return {name: values[-1] for name, values in found.items()}
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            raise ApiError(400, "Problems parsing JSON") from None
        if not isinstance(document, dict):
            raise ApiError(400, "Body should be a JSON object")
        return cast("dict[str, Any]", document)


@dataclass(slots=True, eq=False)
class Answer:
    """`body` becomes JSON, unless `content` is given."""

    status: int = 200
    body: Any = None
    content: bytes | None = None
    kind: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    files: Any = None
    """What the content is read from in pieces, if it is not in memory (answers of git)."""

    def payload(self) -> bytes:
        if self.content is None:
            empty = self.body is None or self.status in (204, 304)
            self.content = b"" if empty else json.dumps(self.body, ensure_ascii=False).encode()
        return self.content


@dataclass(slots=True, eq=False)
class Page:
    """A list of which a part is answered. `render` makes a part of `items` into JSON."""

    items: Sequence[Any]
    render: Callable[[Sequence[Any]], list[Any]]
    wrap: str = ""
    """The name of the list in an object that also has `total_count`."""


def each(render: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    return lambda items: [render(item) for item in items]


def text_answer(text: str | bytes, status: int = 200, **headers: str) -> Answer:
    content = text.encode() if isinstance(text, str) else text
    return Answer(status, content=content, kind="text/plain; charset=utf-8", headers=headers)


def decoded(segment: str) -> str:
    return unquote(segment)
