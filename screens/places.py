"""Where a thing is shown that was found by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.domain.find.found import Found, Kind
from ..tui.places.sought import Sought

if TYPE_CHECKING:
    from ..tui.protocol import CockpitApp


def show(podium: CockpitApp, found: Found) -> None:
    """Goes to the screen that shows the thing, with the cursor on it."""
    if found.kind in (Kind.RUN, Kind.STEP):
        podium.go("runs").select(found.run, found.step)
    elif found.kind is Kind.PIPELINE:
        podium.go("runs").show_pipeline(found.id)
    elif found.kind is Kind.ENVIRONMENT:
        podium.go("environments").select(found.environment)
    elif found.kind is Kind.HOST:
        podium.go("containers").select(found.environment)
    elif found.kind in (Kind.COMMIT, Kind.BRANCH):
        podium.go("repository").show_commit(found.id)
    else:
        screen, *sought = _sought(found)
        podium.go(screen).seek(*sought)


def _sought(found: Found) -> tuple[str, *tuple[Sought, ...]]:
    """Returns the screen, and the rows that the cursors of its tables go to."""
    if found.kind is Kind.VERSION:
        model = Sought("models", lambda row: row.name == found.model, needed=False)
        return ("models", model, Sought("versions", lambda row: row.version == found.version, found.name))
    if found.kind is Kind.MONITOR:
        return ("monitors", Sought("monitors", lambda row: row.status.name == found.id, found.name))
    if found.kind is Kind.CONTAINER:
        return ("containers", Sought("list", lambda row: row.container.id == found.id, found.name))
    return ("ci", Sought("inbox", lambda row: row.run.id == found.id, found.name))
