"""What the actions' availability depends on: the screen, the focused pane, and what stands under the cursor."""

from __future__ import annotations

from typing import TypeVar

from ..core.domain.frozen import Frozen

T = TypeVar("T")


class Context(Frozen):
    """A new kind of thing needs no field here: a screen puts it among the `subjects`, and who asks for its type
    finds it."""

    screen: str = ""
    pane: str = ""
    """The kind of the focused pane: `table`, `graph`, `log`, …"""
    read_only: bool = False
    subjects: tuple[object, ...] = ()
    """What is under the cursor: a run and its step; a container and its environment; …"""
    marked: int = 0
    rows: int = 0
    project: bool = True
    """Whether podium.yaml can be used."""
    model: str = ""
    """The project's own model."""

    def find(self, kind: type[T]) -> T | None:
        """Returns what is under the cursor of that kind; None when nothing is."""
        return next((each for each in self.subjects if isinstance(each, kind)), None)
