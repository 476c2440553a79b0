"""The columns of the Containers screen."""

from __future__ import annotations

from collections.abc import Callable

from ...core.domain.containers import REPLICA
from ...core.domain.text import format as fmt
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell
from ...tui.widgets.sparkline import sparkline
from ...tui.widgets.table import Column
from .container_rows import Row, natural, short_image, words

# What is below this must not fill the curve: an idle container's noise, a quiet line's few packets.
_FLOORS = {"cpu": 0.2, "memory": 0.0}
_FLOOR = 4_000.0  # bytes a second


class ContainerCells:
    """Draws the cells that depend on the glyphs, the time, or on how many environments are listed."""

    def __init__(self, glyphs: Callable[[], Glyphs], clock: Callable[[], float], several: Callable[[], bool]) -> None:
        self._glyphs, self._clock, self._several = glyphs, clock, several

    def name(self, row: Row) -> Cell:
        role = "text!" if row.container.role == REPLICA else "muted"
        return ((f"{row.container.environment} ", "muted") if self._several() else ("", ""), (row.short, role))

    def state(self, row: Row) -> Cell:
        glyph, said, role = words(row.container, row.replica)
        if row.stale:
            glyph, role = "idle", "muted"
        return ((f"{self._glyphs()[glyph]} ", role), (said, role))

    def weight(self, row: Row) -> Cell:
        if row.replica is None:
            return ""
        return ((str(row.replica.weight), "ok!"),) if row.replica.weight else ((self._glyphs()["dash"], "faint"),)

    def age(self, row: Row) -> Cell:
        at = row.container.started if row.container.state == "running" else row.container.created
        return ((fmt.age(at or None, self._clock()), "muted"),)

    def curve(self, signal: str, role: str) -> Callable[[Row, int], Cell]:
        """Returns what draws the curve of a signal in as many cells as there are."""

        def cell(row: Row, cells: int) -> Cell:
            series = row.usage.get(signal)
            if series is None:
                return ""
            known = [value for value in series.values if value is not None]
            ceiling = max(_FLOORS.get(signal, _FLOOR), max(known, default=0.0))
            return ((sparkline(series.values, cells, self._glyphs(), ceiling=ceiling), role),)

        return cell


def columns(
    glyphs: Callable[[], Glyphs], clock: Callable[[], float], several: Callable[[], bool]
) -> tuple[Column[Row], ...]:
    """Returns the columns; `several` says whether more than one environment is listed."""
    cells = ContainerCells(glyphs, clock, several)
    return (
        Column("container", cells.name, width=15, flex=3, sort=_place),
        Column("v", _version, width=4, sort=lambda row: row.version, from_width=90),
        Column("state", cells.state, width=12, sort=lambda row: words(row.container, row.replica)[1]),
        Column("wt", cells.weight, width=3, align="right", sort=_weight),
        Column("rst", _restarts, width=3, align="right", sort=lambda row: -row.container.restarts),
        *_measured("cpu", "cpu", cells.curve("cpu", "run"), fmt.narrow_share, width=5, flex=3),
        *_measured("mem", "memory", cells.curve("memory", "wait"), fmt.narrow_size, width=5, flex=1),
        *_measured(
            "in/s", "received", cells.curve("received", "accent"), fmt.narrow_size, width=8, flex=1, from_width=96
        ),
        *_measured("out/s", "sent", cells.curve("sent", "accent"), fmt.narrow_size, width=8, flex=1, from_width=96),
        Column("image", lambda row: ((short_image(row.container), "muted"),), width=12, from_width=130),
        Column(
            "age", cells.age, width=4, align="right", sort=lambda row: -(row.container.started or 0.0), from_width=90
        ),
    )


def _measured(
    title: str,
    signal: str,
    curve: Callable[[Row, int], Cell],
    shown: Callable[[float], str],
    *,
    width: int,
    flex: int,
    from_width: int = 0,
) -> tuple[Column[Row], Column[Row]]:
    """Returns the column of a signal's latest value and, beside it, that of its curve."""

    def value(row: Row) -> Cell:
        last = row.last(signal)
        return (("" if last is None else shown(last), ""),)

    return (
        Column(title, value, width=5, align="right", sort=lambda row: -(row.last(signal) or 0.0)),
        Column("", lambda _row: "", width=width, flex=flex, draw=curve, from_width=from_width),
    )


def _place(row: Row) -> tuple[object, ...]:
    return row.container.environment, natural(row.short)


def _weight(row: Row) -> int:
    return -(row.replica.weight if row.replica else 0)


def _version(row: Row) -> Cell:
    return ((f"v{row.version}" if row.version is not None else "", "accent"),)


def _restarts(row: Row) -> Cell:
    return ((str(row.container.restarts), "warn!"),) if row.container.restarts else ""
