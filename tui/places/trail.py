"""The way that a person took through the screens, to go back and forward on."""

from __future__ import annotations

from collections.abc import Hashable

from ...core.domain.frozen import Frozen

MAX_PLACES = 100


class Place(Frozen):
    """A screen with its cursors."""

    screen: str
    words: str
    """Such as `Runs › run 41 › gate`."""
    pane: str = ""
    """The id of the pane that had the focus."""
    cursors: tuple[tuple[str, Hashable], ...] = ()
    """The key of the row under the cursor, by table."""


class Trail:
    """The places behind and ahead of where a person is."""

    def __init__(self) -> None:
        self._behind: list[Place] = []
        self._ahead: list[Place] = []

    @property
    def behind(self) -> int:
        return len(self._behind)

    @property
    def ahead(self) -> int:
        return len(self._ahead)

    def leave(self, place: Place) -> None:
        """Notes a place that is left for a new one."""
        self._ahead.clear()
        if not self._behind or self._behind[-1] != place:
            self._behind.append(place)
            del self._behind[:-MAX_PLACES]

    def back(self, here: Place) -> Place | None:
        """Returns the place before this one; None at the first."""
        return _step(self._behind, self._ahead, here)

    def forward(self, here: Place) -> Place | None:
        """Returns the place that was left by going back; None at the last."""
        return _step(self._ahead, self._behind, here)


def _step(source: list[Place], target: list[Place], here: Place) -> Place | None:
    while source:
        place = source.pop()
        if place != here:
            target.append(here)
            return place
    return None
