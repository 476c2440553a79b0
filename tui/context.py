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
    chosen: tuple[object, ...] = ()
    """What is marked to be done something with at once; the rest of the context is about the cursor."""
    rows: int = 0
    project: bool = True
    """Whether podium.yaml can be used."""
    models: tuple[str, ...] = ()
    """The models that environments of podium.yaml serve."""

    def all(self, kind: type[T]) -> tuple[T, ...]:
        """Returns everything of that kind that is marked; without marks what is under the cursor."""
        marked = tuple(each for each in self.chosen if isinstance(each, kind))
        found = self.find(kind)
        return marked or (() if found is None else (found,))

    def find(self, kind: type[T]) -> T | None:
        """Returns what is under the cursor of that kind; None when nothing is."""
        return next((each for each in self.subjects if isinstance(each, kind)), None)
