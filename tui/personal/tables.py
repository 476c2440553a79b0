"""How a person has arranged each table, across projects and sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..widgets.tables.arranging import Arrangement, read, written
from .state import Remembered

_MOST = 200  # tables


class Tables:
    """Tables are known by their screen and id: `runs/list`."""

    def __init__(self, remembered: Remembered | None = None) -> None:
        self._remembered = remembered or Remembered("columns.json")
        self._known: dict[str, Any] | None = None

    def of(self, table: str) -> Arrangement:
        """Returns the arrangement of a table."""
        return read(self._all().get(table))

    def keep(self, table: str, arrangement: Arrangement) -> None:
        """Remembers an arrangement; one that changes nothing is forgotten."""
        self._known = None  # another cockpit may have written meanwhile
        known = self._all()
        known.pop(table, None)
        if arrangement != Arrangement():
            known[table] = written(arrangement)
        self._remembered.write(dict(list(known.items())[-_MOST:]))

    def _all(self) -> dict[str, Any]:
        if self._known is None:
            found = self._remembered.read()
            self._known = dict(found) if isinstance(found, Mapping) else {}
        return self._known
