"""When charts are painted again that all have a new value at once: a few at a time, so that a key need not wait until
all of them have been."""

from __future__ import annotations

from textual.app import App
from textual.widget import Widget

_AT_ONCE = 5
_PAUSE = 1 / 60  # seconds: Textual paints that often


class Turns:
    """Those of one app. Belongs to its thread."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._waiting: dict[Widget, None] = {}

    def refresh(self, widget: Widget) -> None:
        """Has it painted when it is its turn: at once where nobody waits."""
        if not self._waiting:
            self._app.call_later(self._next)
        self._waiting[widget] = None

    def _next(self) -> None:
        for widget in list(self._waiting)[:_AT_ONCE]:
            del self._waiting[widget]
            widget.refresh()
        if self._waiting:
            self._app.set_timer(_PAUSE, self._next)
