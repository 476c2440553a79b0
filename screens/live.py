"""Live: the signals of an environment over time, with thresholds and what was deployed when."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from textual.app import ComposeResult
from textual.containers import Grid

from ..core.cockpit import Cockpit
from ..core.domain.frozen import Frozen
from ..core.domain.text import format as fmt
from ..core.domain.watching import LiveView, Series
from ..tui.context import Context
from ..tui.queries import Query
from ..tui.widgets.charts.chart import Chart
from ..tui.widgets.charts.chart_draw import ChartData, Mark, Plotted, Threshold
from .base import PodiumScreen

WINDOWS = (60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 86_400, 30 * 86_400)
_FIRST = 2
_MOST_POINTS = 400
_CHART_WIDTH, _CHART_HEIGHT = 64, 9
_GAP = 15.0  # seconds


class Panel(Frozen):
    """One chart: its title and the signals in it. `floor` and `ceiling` are what its y axis reaches at least."""

    title: str
    signals: tuple[str, ...]
    floor: float | None = 0.0
    ceiling: float | None = None


_PANELS = (
    Panel("Requests", ("requests",)),
    Panel("Errors", ("error_rate",), ceiling=0.01),
    Panel("Latency", ("latency_p50", "latency_p95", "latency_p99")),
    Panel("Traffic by version", (), ceiling=1.0),
    Panel("CPU", ("cpu",), ceiling=0.1),
    Panel("Memory", ("memory",), floor=None),
)
_NAMES = {"error_rate": "errors", "latency_p50": "p50", "latency_p95": "p95", "latency_p99": "p99"}


class LiveScreen(PodiumScreen):
    title_id = "live"
    first_pane = "chart-0"
    DEFAULT_CSS = """
    LiveScreen #charts { height: 1fr; width: 1fr; }
    LiveScreen Chart { display: none; }
    LiveScreen Chart.-shown { display: block; }
    LiveScreen.-zoomed #charts { grid-size: 1; }
    """

    def __init__(self, environment: str) -> None:
        super().__init__()
        self._environment = environment
        self._window = _FIRST
        self._first = 0
        self._held: LiveView | None = None

    def body(self) -> ComposeResult:
        with Grid(id="charts", classes="group"):
            for number, panel in enumerate(_PANELS):
                yield Chart(panel.title, id=f"chart-{number}")

    # What is read

    @property
    def seconds(self) -> int:
        return WINDOWS[self._window]

    @property
    def paused(self) -> bool:
        return self._held is not None

    def _query(self) -> Query:
        environment, seconds, clock = self._environment, self.seconds, self.podium.clock
        points = min(_MOST_POINTS, seconds)

        def read(cockpit: Cockpit) -> LiveView:
            end = clock()
            return cockpit.environments.live(environment, start=end - seconds, end=end, points=points)

        step = max(1.0, seconds / points)
        return Query(f"live:{environment}:{seconds}", read, every=max(0.9, seconds / 900), holds=step)

    def queries(self) -> Iterable[Query]:
        if not self.paused:
            yield self._query()

    @property
    def charts(self) -> list[Chart]:
        return list(self.query(Chart))

    @property
    def view(self) -> LiveView | None:
        return self._held if self._held is not None else self.store.value(self._query().key)

    # What is shown

    def show(self) -> None:
        view = self.view
        self._arrange()
        for chart, panel in zip(self.charts, _PANELS, strict=True):
            self._show_panel(chart, panel, view)

    def _arrange(self) -> None:
        """Shows as many charts as have room, from the one chosen by j and k on."""
        area = self.query_one("#charts").size
        across = max(1, min(3, area.width // _CHART_WIDTH))
        count = min(len(_PANELS), across * max(1, area.height // _CHART_HEIGHT))
        if count < len(_PANELS):
            across = min(across, count)
        self._first = max(0, min(self._first, len(_PANELS) - count))
        grid = self.query_one("#charts", Grid)
        if grid.styles.grid_size_columns != across:
            grid.styles.grid_size_columns = across
        zoomed = self.has_class("-zoomed")
        for place, chart in enumerate(self.charts):
            here = chart.has_class("-zoom") if zoomed else self._first <= place < self._first + count
            chart.set_class(here, "-shown")

    def _show_panel(self, chart: Chart, panel: Panel, view: LiveView | None) -> None:
        snapshot = self.store.get(self._query().key)
        chart.set_notice(*(self.notice_for(snapshot, ()) if view is None else ()))
        state = f"last {fmt.duration(self.seconds)}" + ("  paused: space goes on" if self.paused else "")
        chart.title(f"{panel.title} of {self._environment}", state)
        if view is None:
            return
        curves = tuple(_plotted(name, each) for name, each in _series(panel, view))
        signal = panel.signals[0] if panel.signals else "error_rate"
        limits = tuple(
            Threshold(value, label) for name in panel.signals for value, label in view.thresholds.get(name, ())
        )
        end = view.end
        chart.set_data(
            ChartData(
                curves,
                tuple(Mark(each.ended or each.at, f"v{each.to_version}") for each in view.deployments),
                limits,
                low=view.start,
                high=end,
                floor=panel.floor,
                ceiling=panel.ceiling,
                x_text=_time_text(self.seconds),
                y_text=_Text(signal),
            )
        )

    # Actions

    @property
    def ticking(self) -> bool:
        return not self.paused

    def pass_time(self) -> None:
        if not self.paused:
            self.podium.read(list(self.queries()))
            self.show()

    def context(self) -> Context:
        return self.make_context() if self.ready else Context(screen="live")

    def on_resize(self) -> None:
        if self.ready:
            self.call_after_refresh(self.update)

    def on_chart_moved(self, message: Chart.Moved) -> None:
        """All charts have their cursor at the same time; while one looks, nothing moves on."""
        message.stop()
        if message.x is not None and not self.paused:
            self._held = self.view
        for chart in self.charts:
            chart.set_cursor(message.x)
        self.show()

    def do_mark(self) -> None:
        """Pauses, or goes on."""
        self._held = None if self.paused else self.view
        if not self.paused:
            for chart in self.charts:
                chart.set_cursor(None)
            self.ask(force=True)
        self.show()

    def do_narrower(self) -> None:
        self._choose(-1)

    def do_wider(self) -> None:
        self._choose(1)

    def _choose(self, by: int) -> None:
        self._held = None
        self._window = max(0, min(len(WINDOWS) - 1, self._window + by))
        for chart in self.charts:
            chart.set_cursor(None)
        self.update()

    def do_down(self) -> None:
        self._first += 1
        self.show()

    def do_up(self) -> None:
        self._first -= 1
        self.show()

    def do_zoom(self) -> None:
        super().do_zoom()
        self.call_after_refresh(self.update)


def _series(panel: Panel, view: LiveView) -> list[tuple[str, Series]]:
    if not panel.signals:
        return [(f"v{version}", each) for version, each in view.shares.items()]
    return [(_NAMES.get(name, name), view.signals[name]) for name in panel.signals if name in view.signals]


def _plotted(name: str, series: Series) -> Plotted:
    """Returns the points of a series. What was not measured is a gap from _GAP seconds on: where an agent measures less
    often than there are columns, its values still make a line."""
    points: list[tuple[float, float]] = []
    for place, value in enumerate(series.values):
        at = series.start + place * series.step
        if value is None:
            continue
        if points and at - points[-1][0] > max(_GAP, 2 * series.step):
            points.append((points[-1][0] + series.step, math.nan))
        points.append((at, value))
    return Plotted(name, tuple(points))


class _Text:
    """Writes a signal's values in its unit. Equal for the same signal, so that a chart knows that nothing changed."""

    def __init__(self, signal: str) -> None:
        self._signal = signal

    def __call__(self, value: float) -> str:
        return fmt.signal(self._signal, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and other._signal == self._signal

    def __hash__(self) -> int:
        return hash(self._signal)


def _clock_text(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _hour_text(at: float) -> str:
    return time.strftime("%H:%M", time.localtime(at))


def _day_text(at: float) -> str:
    return time.strftime("%m-%d %H:%M", time.localtime(at))


def _time_text(seconds: int) -> Callable[[float], str]:
    return _clock_text if seconds <= 3600 else _hour_text if seconds <= 24 * 3600 else _day_text
