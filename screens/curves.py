"""Curves: what training has logged of its metrics, of several versions in one plot, or of a run while it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Grid

from ..core.cockpit import Cockpit
from ..core.domain.curves import Curve, Trained
from ..core.domain.text import format as fmt
from ..tui.context import Context
from ..tui.pool import SLOW
from ..tui.queries import Query
from ..tui.widgets.charts.chart import Chart
from ..tui.widgets.charts.chart_draw import ChartData, Plotted
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from .base import PodiumScreen

_MOST_CHARTS = 6
_CHART_WIDTH, _CHART_HEIGHT = 70, 13  # cells that a chart takes at least where there are several
_SMOOTHING = (0.0, 0.6, 0.9, 0.97)
_LIVE_SECONDS = 2.0
_KEPT = 3600.0


class CurvesScreen(PodiumScreen):
    title_id = "curves"
    first_pane = "metrics"
    DEFAULT_CSS = """
    CurvesScreen #body { layout: vertical; }
    CurvesScreen #metrics { height: 7; }
    CurvesScreen #charts { height: 1fr; width: 1fr; }
    CurvesScreen Chart { display: none; }
    CurvesScreen Chart.-shown { display: block; }
    CurvesScreen.-wide #body { layout: horizontal; }
    CurvesScreen.-wide #metrics { width: 34; height: 1fr; }
    CurvesScreen.-huge #body { layout: horizontal; }
    CurvesScreen.-huge #metrics { width: 44; height: 1fr; }
    CurvesScreen.-zoomed #charts { grid-size: 1; grid-rows: 1fr; }
    """

    def __init__(self, name: str, runs: Sequence[Trained] = (), run_id: int | None = None) -> None:
        """`name` says whose curves they are. `runs` are known already, or those of the run `run_id` are asked for."""
        super().__init__()
        self._name, self._given, self._run_id = name, tuple(runs), run_id
        self._log = self._by_time = self._paused = False
        self._smooth = 0
        self._range: tuple[float, float] | None = None

    def body(self) -> ComposeResult:
        yield Table[str]("Metrics", self._columns(()), key=lambda name: name, text=lambda name: name, id="metrics")
        with Grid(id="charts", classes="group"):
            for number in range(_MOST_CHARTS):
                yield Chart(id=f"chart-{number}")

    def _columns(self, runs: Sequence[Trained]) -> tuple[Column[str], ...]:
        def last(run: Trained) -> Callable[[str], Cell]:
            return lambda name: fmt.number(run.metrics.get(name)) if name in run.metrics else ""

        shown = runs if self.has_class("-narrow") else runs[:2]
        return (
            Column("metric", lambda name: ((name, "text"),), width=16, flex=1, both_ends=True),
            *(Column(run.label, last(run), width=9, align="right", both_ends=True) for run in shown),
        )

    # What is read

    @property
    def runs(self) -> tuple[Trained, ...]:
        return self._given if self._run_id is None else self.store.value(f"trained:{self._run_id}", ())

    @property
    def live(self) -> bool:
        return any(run.running for run in self.runs)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics of all runs: those that the project looks at, then the others by name."""
        found = {name for run in self.runs for name in run.metrics}
        looked_at = self.store.value("looked_at", {})
        return tuple(dict.fromkeys((*(name for name in looked_at if name in found), *sorted(found))))

    @property
    def table(self) -> Table[str]:
        return self.query_one("#metrics", Table)

    @property
    def charts(self) -> list[Chart]:
        return list(self.query(Chart))

    def queries(self) -> Iterable[Query]:
        from ..tui.queries import LOOKED_AT

        yield LOOKED_AT
        number = self._run_id
        wanted = [self._curves(name) for name in self._shown()]
        if number is not None:
            wanted.insert(0, Query(f"trained:{number}", _trained(number), every=_LIVE_SECONDS, lane=SLOW))
        # While it is paused what was read stays as it is; a metric that was not yet is read.
        yield from (query for query in wanted if not self._paused or self.store.get(query.key).loading)

    def _curves(self, metric: str) -> Query:
        runs = self.runs
        which = ",".join(f"{run.mlflow_run}{'+' if run.running else ''}" for run in runs)
        every = _LIVE_SECONDS if self.live else _KEPT
        return Query(f"curves:{which}:{metric}", lambda cockpit: cockpit.training.curves(runs, metric), every, SLOW)

    def _shown(self) -> tuple[str, ...]:
        """The metrics that have a chart: that of the cursor and those after it."""
        names = [self.table._rows[index] for index in self.table._order] if self.ready else []
        if not names:
            return ()
        count = min(self._room(), len(names))
        start = min(self.table.cursor, len(names) - count)
        return tuple(names[start : start + count])

    def _room(self) -> int:
        """How many charts have room."""
        if self.has_class("-zoomed"):
            return 1
        area = self.query_one("#charts").size
        across, down = max(1, area.width // _CHART_WIDTH), max(1, area.height // _CHART_HEIGHT)
        return min(_MOST_CHARTS, across * down)

    # What is shown

    def show(self) -> None:
        runs, names = self.runs, self.names
        source = self.store.get(f"trained:{self._run_id}") if self._run_id is not None else self.store.get("project")
        nothing = "These runs have logged no metric." if self._run_id is None else "Nothing was logged to MLflow here."
        empty = (
            (nothing, "muted"),
            ("mlflow.log_metric(name, value, step=…) draws a curve, also while training goes on.", "faint"),
        )
        self.table.set_notice(*self.notice_for(source, empty))
        if [run.label for run in runs] != [column.title for column in self.table.columns[1:]]:
            self.table.set_columns(self._columns(runs))
        self.table.set_rows(names, (runs,))
        if not self.table.filter_text:
            state = "paused" if self._paused else "live" if self.live else ""
            self.table.title(f"Metrics of {self._name}", state)
        self._show_charts()

    def _show_charts(self) -> None:
        shown = self._shown()
        area = self.query_one("#charts").size
        across = 1 if len(shown) < 2 else max(1, min(len(shown), area.width // _CHART_WIDTH))
        grid = self.query_one("#charts", Grid)
        if grid.styles.grid_size_columns != across:
            grid.styles.grid_size_columns = across
        for place, chart in enumerate(self.charts):
            chart.set_class(place < len(shown), "-shown")
            if place < len(shown):
                self._show_chart(chart, shown[place])

    def _show_chart(self, chart: Chart, metric: str) -> None:
        found = self.store.get(self._curves(metric).key)
        curves: tuple[Curve, ...] = found.value or ()
        chart.set_notice(*(self.notice_for(found, ()) if not curves else ()))
        by_time = self._by_time or (bool(curves) and all(_one_step(curve) for curve in curves))
        said = [
            "log axis" if self._log else "",
            f"smoothed {_SMOOTHING[self._smooth]:g}" if self._smooth else "",
            "zoomed" if self._range is not None else "",
            "by time" if by_time else "by step",
        ]
        chart.title(metric, "  ".join(part for part in said if part))
        low, high = self._range or (None, None)
        chart.set_data(
            ChartData(
                tuple(_plotted(curve, by_time) for curve in curves),
                low=low,
                high=high,
                log=self._log,
                smooth=_SMOOTHING[self._smooth],
                x_text=_seconds if by_time else _step,
                y_text=fmt.number,
            )
        )

    # What changes with time

    @property
    def ticking(self) -> bool:
        return self.live and not self._paused

    def pass_time(self) -> None:
        if self.ticking:
            self.podium.read(list(self.queries()))
        self.show()

    # Actions

    def context(self) -> Context:
        return self.make_context() if self.ready else Context(screen="curves")

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self.update()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def on_resize(self) -> None:
        if self.ready:
            self.call_after_refresh(self.update)

    def on_chart_moved(self, message: Chart.Moved) -> None:
        """All charts have their cursor at the same place."""
        message.stop()
        for chart in self.charts:
            chart.set_cursor(message.x)

    def do_open(self) -> None:
        if self.pane is self.table and self._shown():
            self.focus_pane(self.charts[0])

    def do_zoom(self) -> None:
        super().do_zoom()
        self.call_after_refresh(self.update)

    def do_log_axis(self) -> None:
        self._log = not self._log
        self.show()

    def do_smooth(self) -> None:
        self._smooth = (self._smooth + 1) % len(_SMOOTHING)
        self.show()

    def do_timestamps(self) -> None:
        self._by_time, self._range = not self._by_time, None
        for chart in self.charts:
            chart.set_cursor(None)
        self.show()

    def do_narrower(self) -> None:
        self._zoom(0.5)

    def do_wider(self) -> None:
        self._zoom(2.0)

    def _zoom(self, factor: float) -> None:
        """Shows another part of the x axis, round the cursor, or its end where there is none."""
        chart = self.charts[0]
        whole = [x for curve in chart.data.curves for x in (curve.points[0][0], curve.points[-1][0])]
        if not whole:
            return
        low, high = self._range or (min(whole), max(whole))
        centre = chart.cursor if chart.cursor is not None else high
        half = (high - low) * factor / 2
        low, high = centre - half, centre + half
        if high > max(whole):
            low, high = max(whole) - 2 * half, max(whole)
        low = max(low, min(whole))
        high = min(max(whole), low + 2 * half)
        self._range = None if (low, high) == (min(whole), max(whole)) else (low, high)
        self.show()

    def do_mark(self) -> None:
        self._paused = not self._paused
        self.show()

    def do_files(self) -> None:
        from .artifacts import ArtifactsScreen

        runs = self.runs
        if runs:
            self.app.push_screen(ArtifactsScreen(runs))

    def leave(self, *, quit_at_root: bool) -> None:
        if self.pane is not None and self.pane is not self.table:
            self.focus_pane(self.table)
        else:
            super().leave(quit_at_root=quit_at_root)


def _trained(run_id: int) -> Callable[[Cockpit], Sequence[Trained]]:
    return lambda cockpit: cockpit.training.of_run(run_id)


def _one_step(curve: Curve) -> bool:
    return len({point.step for point in curve.points}) < 2


def _plotted(curve: Curve, by_time: bool) -> Plotted:
    start = min((point.at for point in curve.points), default=0.0)
    points = [((point.at - start) if by_time else float(point.step), point.value) for point in curve.points]
    if by_time:
        points.sort(key=lambda point: point[0])
    label = f"{curve.label}{' …' if curve.running else ''}"
    return Plotted(label, tuple((x, y if math.isfinite(y) else math.nan) for x, y in points))


def _step(x: float) -> str:
    return f"{x:,.0f}"


def _seconds(x: float) -> str:
    return fmt.duration(x) or "0s"
