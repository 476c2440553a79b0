"""When charts are painted again that all have a new value at once: a few at a time, so that a key need not wait until
all of them have been."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from textual.screen import Screen
from textual.widget import Widget

_AT_ONCE = 5
_PAUSE = 1 / 60  # seconds: Textual paints that often


class Turns:
    """Those of one screen. Belongs to the thread of the app."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._waiting: dict[Widget, None] = {}
        self._going_on = False

    def refresh(self, widget: Widget) -> None:
        """Has it painted as soon as it is its turn, at once where nobody waits."""
        self._waiting[widget] = None
        if not self._going_on:
            self._going_on = True
            self._screen.call_later(self._next)

    def _next(self) -> None:
        now = list(self._waiting)[:_AT_ONCE]
        for widget in now:
            del self._waiting[widget]
            widget.refresh()
        self._going_on = bool(self._waiting)
        if self._going_on:
            self._screen.set_timer(_PAUSE, self._next)


_of_screens: WeakKeyDictionary[Screen[Any], Turns] = WeakKeyDictionary()


def turns_of(screen: Screen[Any]) -> Turns:
    found = _of_screens.get(screen)
    if found is None:
        found = _of_screens[screen] = Turns(screen)
    return found
