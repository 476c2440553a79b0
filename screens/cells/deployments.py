"""The columns of an environment's history: a row for each deployment in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ...core.domain.delivery import Deployment
from ...core.domain.text import format as fmt
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell
from ...tui.widgets.table import Column
from .common import number_span


def history_columns(
    glyphs: Callable[[], Glyphs], clock: Callable[[], float], quarantined: Callable[[], Collection[tuple[str, int]]]
) -> tuple[Column[Deployment], ...]:
    """Returns the columns; the functions are called when a cell is drawn."""

    def when(row: Deployment) -> Cell:
        return ((fmt.when(row.at, clock()), "muted"),)

    def origin(row: Deployment) -> Cell:
        return ((glyphs()["dash"] if row.from_version is None else f"v{row.from_version}", "muted"),)

    def state(row: Deployment) -> Cell:
        glyph, role = glyphs().state(row.state)
        return ((f"{glyph} {row.state}", role),)

    def version(row: Deployment) -> Cell:
        bad = {number for model, number in quarantined() if model == row.model}
        return (number_span(row.to_version, bad, "accent!"),)

    return (
        Column("when", when, width=16, sort=lambda row: row.at),
        Column("how", _how, width=9, sort=lambda row: row.how),
        Column("from", origin, width=5, align="right"),
        Column("to", version, width=5, align="right", sort=lambda row: row.to_version),
        Column("state", state, width=12, sort=lambda row: row.state),
        Column("took", _took, width=6, align="right"),
        Column("run", lambda row: ((str(row.run_id or ""), "muted"),), width=4, align="right", from_width=80),
        Column("who", lambda row: ((row.who.split(" from ")[0], "muted"),), width=9, from_width=80),
        Column("why", lambda row: ((row.message or row.why, "muted"),), width=8, flex=1, from_width=72),
    )


def deployment_text(row: Deployment) -> str:
    """Returns what search and filter look at."""
    return f"{row.how} v{row.to_version} {row.state} {row.who} {row.why} {row.message} {row.commit}"


def _how(row: Deployment) -> str:
    return str(row.how) + (" forced" if row.forced else "")


def _took(row: Deployment) -> Cell:
    return ((fmt.duration(row.ended - row.at) if row.ended else "", "muted"),)
