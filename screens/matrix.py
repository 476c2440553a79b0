"""Matrix: the cells of a matrix step as a table: their values, how they ended, and what training has logged of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from textual.app import ComposeResult

from ..core.domain.curves import Trained
from ..core.domain.runs import RunDetail, Step
from ..core.domain.text import format as fmt
from ..tui import queries
from ..tui.context import Context
from ..tui.pool import SLOW
from ..tui.queries import LOOKED_AT, Query
from ..tui.widgets.graph import elapsed
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from .base import PodiumScreen

_LIVE_SECONDS, _KEPT_SECONDS = 2.0, 3600.0
_MOST_METRICS = 40
# The width of the table in cells from which the first metrics are shown; wide mode shows all.
_METRICS_FROM = (0, 0, 92, 106, 120, 134, 148, 162)
_HIDDEN_BELOW = 10_000


class MatrixScreen(PodiumScreen):
    title_id = "matrix"
    first_pane = "cells"
    DEFAULT_CSS = "MatrixScreen #body { layout: vertical; }"

    def __init__(self, run_id: int, step: str) -> None:
        """`step` is the name of the matrix step, without a cell's values."""
        super().__init__()
        self._run_id, self._step = run_id, step
        self._drawn: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def body(self) -> ComposeResult:
        yield Table[Step](
            "Matrix", self._columns((), ()), key=lambda step: step.name, text=lambda step: step.name, id="cells"
        )

    # What is read

    def queries(self) -> Iterable[Query]:
        yield queries.run(self._run_id)
        yield LOOKED_AT
        run_id = self._run_id
        every = _LIVE_SECONDS if self.live else _KEPT_SECONDS
        yield Query(f"trained:{run_id}", lambda cockpit: cockpit.training.of_run(run_id), every=every, lane=SLOW)

    @property
    def detail(self) -> RunDetail | None:
        value: RunDetail | None = self.store.value(f"run:{self._run_id}")
        return value

    @property
    def live(self) -> bool:
        return self.detail is not None and not self.detail.run.state.finished

    @property
    def cells(self) -> tuple[Step, ...]:
        steps = self.detail.steps if self.detail is not None else ()
        return tuple(step for step in steps if step.name.startswith(f"{self._step}["))

    def _metrics(self) -> Mapping[str, Mapping[str, float]]:
        """The last value of each metric, by step."""
        trained: Sequence[Trained] = self.store.value(f"trained:{self._run_id}", ())
        return {each.label: each.metrics for each in trained}

    # What is shown

    def _columns(self, axes: tuple[str, ...], metrics: tuple[str, ...]) -> tuple[Column[Step], ...]:
        def state(step: Step) -> Cell:
            glyph, role = self.glyphs.state(step.state)
            return ((f"{glyph} ", role), ("cached" if step.cached else str(step.state), role))

        def took(step: Step) -> Cell:
            return ((fmt.duration(elapsed(step, self.podium.clock())), "muted"),)

        return (
            *(_axis_column(axis) for axis in axes),
            Column("state", state, width=12, sort=lambda step: step.state),
            Column("time", took, width=6, align="right", sort=lambda step: elapsed(step, self.podium.clock())),
            *(self._metric_column(name, place) for place, name in enumerate(metrics)),
        )

    def _metric_column(self, name: str, place: int) -> Column[Step]:
        def value(step: Step) -> float | None:
            return self._metrics().get(step.name, {}).get(name)

        from_width = _METRICS_FROM[place] if place < len(_METRICS_FROM) else _HIDDEN_BELOW
        width = max(8, min(12, len(name)))
        return Column(
            name,
            lambda step: fmt.number(value(step)) if value(step) is not None else "",
            width=width,
            align="right",
            sort=value,
            from_width=from_width,
            both_ends=True,
        )

    @property
    def table(self) -> Table[Step]:
        return self.query_one("#cells", Table)

    def show(self) -> None:
        cells, known = self.cells, self._metrics()
        names = {name for step in cells for name in known.get(step.name, {})}
        chosen = tuple(
            dict.fromkeys((*(each for each in self.store.value("looked_at", {}) if each in names), *sorted(names)))
        )
        axes = tuple(dict.fromkeys(axis for step in cells for axis in values_of(step.name)))
        if (axes, chosen) != self._drawn:
            self._drawn = (axes, chosen)
            self.table.set_columns(self._columns(axes, chosen[:_MOST_METRICS]))
        found = self.store.get(f"trained:{self._run_id}")
        self.table.set_notice(*self.notice_for(self.store.get(f"run:{self._run_id}"), (("No cell.", "muted"),)))
        self.table.set_rows(cells, (found.version, int(self.podium.clock()) if self.live else 0))
        if not self.table.filter_text:
            without = found.error.message if found.error is not None else "" if names else "no metric was logged"
            self.table.title(
                f"Cells of {self._step}, run {self._run_id}: {len(cells)}", without or "s sorts  enter its log"
            )

    @property
    def ticking(self) -> bool:
        return self.live

    def pass_time(self) -> None:
        self.podium.read(list(self.queries()))
        self.show()

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="matrix")
        run = self.detail.run if self.detail is not None else None
        return self.make_context(run, self.table.current)

    def do_open(self) -> None:
        """Goes to the cell's step on Runs, and its log."""
        step = self.table.current
        if step is not None:
            self.podium.go("runs").select(self._run_id, step.name)

    def do_plot(self) -> None:
        from .curves import CurvesScreen

        self.app.push_screen(CurvesScreen(f"run {self._run_id}", run_id=self._run_id))

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self.show_footer()


def matrix_of(steps: Sequence[Step], chosen: Step | None) -> str:
    """Returns the matrix step that is meant: that of the chosen cell, else the only or first one; empty for none."""
    names = ((chosen.name,) if chosen is not None else ()) + tuple(step.name for step in steps)
    return next((name.partition("[")[0] for name in names if name.endswith("]") and "[" in name), "")


def values_of(name: str) -> Mapping[str, str]:
    """Returns the values of a cell by the name of its step: `train[depth=4,rate=0.1]`."""
    inside = name.partition("[")[2].removesuffix("]")
    return {axis: value for axis, _, value in (part.partition("=") for part in inside.split(",")) if axis}


def _axis_column(axis: str) -> Column[Step]:
    def text(step: Step) -> str:
        return values_of(step.name).get(axis, "")

    return Column(
        axis,
        lambda step: ((text(step), "accent"),),
        width=max(6, min(14, len(axis))),
        sort=lambda step: _sortable(text(step)),
    )


def _sortable(text: str) -> Any:
    """Numbers by their size, before words."""
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text)
