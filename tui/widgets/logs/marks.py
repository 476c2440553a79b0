"""Where a regular expression stands in the lines on screen: matched in another process, and drawn when it is known, so
that no expression holds up the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...pool import SLOW
from ..log_text import MOST_SPANS
from .match import Match

if TYPE_CHECKING:
    from ..log_view import LogView

_KEPT = 2_000  # texts of lines whose places are kept
_SECONDS = 2.0

Spans = Sequence[tuple[int, int]]


class Marks:
    """Asked by the UI thread while it draws; what is not known yet is looked for after the drawing, and drawn then."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self._match = Match("")
        self._known: dict[str, Spans] = {}
        self._wanted: dict[str, None] = {}

    def spans(self, text: str) -> Spans:
        """Returns where the expression stands in a text; nothing yet for a text that is new."""
        match = self._view.match
        if match != self._match:
            self._match, self._known, self._wanted = match, {}, {}
        known = self._known.get(text)
        if known is None:
            if not self._wanted:
                self._view.call_after_refresh(self._look)
            self._wanted[text] = None
        return known or ()

    def _look(self) -> None:
        texts, match = tuple(self._wanted), self._match
        self._wanted = {}
        if not texts:
            return

        def work(_job: object) -> list[list[tuple[int, int]]] | None:
            with match.matcher(_SECONDS) as matcher:
                return matcher.spans(texts, MOST_SPANS)

        def done(found: Sequence[Spans] | None, error: BaseException | None) -> None:
            # Of an expression that takes too long nothing is marked: the search says why it finds nothing.
            places = found if error is None and found is not None else [()] * len(texts)
            self._view.podium.call_soon(self._came, match, dict(zip(texts, places, strict=True)))

        self._view.podium.pool.submit("log-marks", work, done, lane=SLOW)

    def _came(self, match: Match, found: dict[str, Spans]) -> None:
        if match != self._match:
            return
        if len(self._known) + len(found) > _KEPT:
            self._known = {}
        self._known.update(found)
        self._view.redraw()
