"""The names that a person went to by the palette, newest first, across projects and sessions."""

from __future__ import annotations

from collections.abc import Sequence

from .state import Remembered

MAX_NAMES = 50


class History:
    def __init__(self, remembered: Remembered | None = None) -> None:
        self._remembered = remembered or Remembered("palette.json")

    def names(self) -> Sequence[str]:
        """Returns the names, the newest first."""
        found = self._remembered.read()
        return tuple(each for each in found if isinstance(each, str))[:MAX_NAMES] if isinstance(found, list) else ()

    def add(self, name: str) -> None:
        """Puts a name first."""
        others = [each for each in self.names() if each != name]
        self._remembered.write([name, *others][:MAX_NAMES])
