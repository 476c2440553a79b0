"""Monitors: what is measured of what serves, the alerts over it, and what the feedback loop did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal

from ..core.domain.monitoring import (
    WORST_FIRST,
    AlertState,
    AlertStatus,
    ColumnMeasurement,
    LoopEntry,
    Measurement,
    MonitorStatus,
)
from ..core.domain.text import format as fmt
from ..core.domain.text import measures
from ..core.domain.text.durations import parse_duration
from ..tui import confirmations
from ..tui.context import Context
from ..tui.queries import ALERTS, LOOPS, MonitorView, Query, monitors
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table
from ..tui.widgets.text_pane import Line, TextPane
from .base import PodiumScreen
from .cells.monitors import (
    alert_columns,
    alert_lines,
    course_lines,
    drift_columns,
    histogram_lines,
    loop_columns,
    loop_lines,
    monitor_columns,
    monitor_lines,
    monitor_text,
)

_COURSE_LINES, _MOST_COURSE_LINES = 6, 14


class MonitorsScreen(PodiumScreen):
    title_id = "monitors"
    first_pane = "monitors"
    DEFAULT_CSS = """
    MonitorsScreen #body { layout: vertical; }
    MonitorsScreen #monitors { height: 2fr; }
    MonitorsScreen #detail { height: 2fr; layout: horizontal; }
    MonitorsScreen #facts { width: 1fr; height: 1fr; }
    MonitorsScreen #columns { width: 1fr; height: 1fr; display: none; }
    MonitorsScreen.-drift #columns { display: block; }
    MonitorsScreen.-drift.-narrow #facts { display: none; }
    MonitorsScreen.-drift.-narrow.-bins #facts { display: block; }
    MonitorsScreen.-drift.-narrow.-bins #columns { display: none; }
    MonitorsScreen #alerts { height: 1fr; }
    MonitorsScreen #loop { height: 1fr; display: none; }
    MonitorsScreen.-loop #loop { display: block; }
    MonitorsScreen.-loop.-low #alerts, MonitorsScreen.-loop.-low #loop { height: 5; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""
        self._marks: frozenset[str] = frozenset()
        self._opened: Table[AlertStatus] | Table[LoopEntry] | None = None

    def body(self) -> ComposeResult:
        yield Table[MonitorView](
            "Monitors",
            monitor_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda row: row.status.name,
            text=monitor_text,
            id="monitors",
        )
        with Horizontal(id="detail", classes="group"):
            yield Table[ColumnMeasurement](
                "Columns", drift_columns(), key=lambda each: each.column, text=lambda each: each.column, id="columns"
            )
            yield TextPane("Measurement", wrap=True, id="facts")
        yield Table[AlertStatus](
            "Alerts",
            alert_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda each: each.name,
            text=lambda each: f"{each.name} {each.environment} {each.state} {each.severity} {each.message}",
            id="alerts",
        )
        yield Table[LoopEntry](
            "Feedback loop",
            loop_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda each: each.id,
            text=lambda each: f"{each.alert} {each.pipeline} {each.state} {each.why}",
            id="loop",
        )

    def queries(self) -> Iterable[Query]:
        yield monitors(self.podium.clock)
        yield ALERTS
        yield LOOPS

    # What is shown

    def select(self, alert: str) -> None:
        """Moves the cursor to the monitor of an alert."""
        self._wanted = alert
        if self.ready:
            self.update()

    def _go_to_wanted(self) -> None:
        for row in self.store.value("monitors", ()):
            if self._wanted in row.status.alerts and self.monitors.go_to(row.status.name):
                self._wanted = ""
                return

    @property
    def monitors(self) -> Table[MonitorView]:
        return self.query_one("#monitors", Table)

    @property
    def columns(self) -> Table[ColumnMeasurement]:
        return self.query_one("#columns", Table)

    @property
    def alerts(self) -> Table[AlertStatus]:
        return self.query_one("#alerts", Table)

    @property
    def loop(self) -> Table[LoopEntry]:
        return self.query_one("#loop", Table)

    def show(self) -> None:
        minute = int(self.podium.clock() // 15)
        found = self.store.get("monitors")
        empty = (
            ("No monitor is in podium.yaml.", "muted"),
            ("monitors: {errors: {environment: production, signal: error_rate}}    measures one", "muted"),
        )
        self.monitors.set_notice(*self.notice_for(found, empty))
        self.monitors.set_rows(found.value or (), minute)
        if self._wanted:
            self._go_to_wanted()
        if not self.monitors.filter_text:
            self.monitors.title("Monitors", self._summary())
        alerts = self.store.get("alerts")
        self.alerts.set_notice(*self.notice_for(alerts, (("No alert is in podium.yaml.", "muted"),)))
        self.alerts.marks = self._marks
        self.alerts.set_rows(alerts.value or (), (minute, self._marks))
        loops = self.store.value("loops", ())
        self.set_class(bool(loops), "-loop")
        self.loop.set_rows(loops, minute)
        self._show_detail()

    def _summary(self) -> str:
        alerts: tuple[AlertStatus, ...] = self.store.value("alerts", ())
        firing = sum(each.state is AlertState.FIRING for each in alerts)
        return fmt.count(firing, "alert") + " firing" if firing else ""

    def _show_detail(self) -> None:
        row = self.monitors.current
        measured = row.status.last.columns if row is not None and row.status.last is not None else ()
        if bool(measured) != self.has_class("-drift"):
            self.set_class(bool(measured), "-drift")
            self.call_after_refresh(self._show_detail)  # the bars are as long as their pane will then be wide
        self.columns.set_rows(measures.by_weight(measured))
        if not self.columns.filter_text:
            self.columns.title(f"Columns of {row.status.name}" if row is not None else "Columns", "")
        facts = self.query_one("#facts", TextPane)
        told = self._told()
        facts.title(*((told[0], "") if told else (row.status.name if row is not None else "Measurement", "")))
        facts.set_notice(("What was measured stands here.", "faint"))
        facts.set_lines(told[1] if told else self._lines(row) if row is not None else ())

    def _told(self) -> tuple[str, list[Line]] | None:
        """Returns title and words of what was opened: an alert, or what the feedback loop did."""
        found, now = self._opened.current if self._opened is not None else None, self.podium.clock()
        if isinstance(found, AlertStatus):
            return found.name, alert_lines(found, now, self.glyphs)
        return None if found is None else (found.pipeline, loop_lines(found, now, self.glyphs))

    def _lines(self, row: MonitorView) -> list[Line]:
        lines = monitor_lines(row.status, self.podium.clock(), self.glyphs)
        size = self.query_one("#facts", TextPane).size
        opened, width = self.has_class("-bins"), size.width - 2
        height = max(_COURSE_LINES, size.height) if opened else _COURSE_LINES
        course = course_lines(row.status, row.course, width, min(height, _MOST_COURSE_LINES), self.glyphs)
        column = self.columns.current
        drawn = [] if column is None else [column.histogram] if column.histogram is not None else []
        bins = [line for each in drawn for line in histogram_lines(column.column, each, width, self.glyphs)]
        # Where a column or a monitor was opened, what is drawn of it comes first: a low screen has room for that alone.
        parts = [lines, course, bins] if not opened else [bins, lines, course] if bins else [course, lines]
        return [line for part in parts if part for line in (*part, (("", ""),))][:-1]

    def pass_time(self) -> None:
        self.show()

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="monitors")
        alerts = self.pane is self.alerts
        chosen = tuple(each for each in self.alerts.rows if each.name in self._marks) if alerts else ()
        return self.make_context(self._monitor(), self._alert(), self._entry(), chosen=chosen)

    def _monitor(self) -> MonitorStatus | None:
        row = self.monitors.current
        return row.status if row is not None else None

    def _alert(self) -> AlertStatus | None:
        """Returns the alert under the cursor, or whose words are read; on a monitor, the worst of its own."""
        if self._list() is self.alerts:
            return self.alerts.current
        status = self._monitor()
        if status is None or self._entry() is not None:
            return None
        mine = [each for each in self.store.value("alerts", ()) if each.name in status.alerts]
        return min(mine, key=lambda each: WORST_FIRST.index(each.state), default=None)

    def _entry(self) -> LoopEntry | None:
        return self.loop.current if self._list() is self.loop else None

    def _list(self) -> object:
        """Returns the pane with the cursor, or from which what is read was opened."""
        return self._opened or self.pane

    def do_open(self) -> None:
        """From a monitor to its columns, from a column to its distributions; from an alert, or what the loop did, to
        all its words, or its run."""
        entry = self._entry()
        if entry is not None and entry.run is not None:
            self.podium.go_to_run(entry.run)
        elif self.pane is self.monitors and self.has_class("-drift"):
            self.focus_pane(self.columns)
        elif self.pane in (self.monitors, self.columns, self.alerts, self.loop):
            self._opened = self.pane if self.pane in (self.alerts, self.loop) else None
            self.add_class("-bins")
            self._show_detail()
            self.call_after_refresh(self._show_detail)
            self.focus_pane(self.query_one("#facts", TextPane))
        else:
            self.podium.say("nothing to open here")

    def leave(self, *, quit_at_root: bool) -> None:
        pane = self.pane
        if pane is not None and pane.id == "facts" and self.has_class("-bins"):
            self.remove_class("-bins")
            self.focus_pane(self._opened or (self.columns if self.has_class("-drift") else self.monitors))
            self._opened = None
            self._show_detail()
        elif pane is not None and pane.id != "monitors":
            self.focus_pane(self.monitors)
        else:
            super().leave(quit_at_root=quit_at_root)

    def do_mark(self) -> None:
        alert = self.alerts.current
        if self.pane is not self.alerts:
            self.podium.say("alerts are marked in their own list; tab goes there", "warn")
        elif alert is not None:
            self._marks ^= {alert.name}
            self.update()
            self.alerts.move("down")

    def do_escape(self) -> None:
        if self._marks and self.pane is self.alerts and not self.alerts.filter_text:
            self._marks = frozenset()
            self.update()
        else:
            super().do_escape()

    def do_approve(self) -> None:
        entry, alert = self._entry(), self._alert()
        marked = self.context().all(AlertStatus)
        if len(marked) > 1:
            self.confirm(confirmations.acknowledge_several(marked))
        elif entry is not None:
            self.confirm(confirmations.loop_approve(entry))
        elif alert is not None:
            self.confirm(confirmations.acknowledge(alert))

    def do_silence(self) -> None:
        alert = self._alert()
        if alert is not None:
            self.podium.say("for how long: 30m, 2h, 3d")
            self._silenced, self._silenced_from = self.context().all(AlertStatus), self.pane or self.alerts
            self.query_one(Prompt).ask("silence", "2h")

    def answered(self, message: Prompt.Answered) -> None:
        if message.purpose != "silence":
            super().answered(message)
            return
        self.query_one(Prompt).close()
        self.focus_pane(self._silenced_from)
        length = (message.text or "").strip()
        seconds = parse_duration(length)
        if seconds:
            several = len(self._silenced) > 1
            asked = confirmations.silence_several(self._silenced, length, seconds) if several else None
            self.confirm(asked or confirmations.silence(self._silenced[0], length, seconds))
        elif length:
            self.podium.say(f"{length}: say it as 30m, 2h or 3d", "warn")

    def do_again(self) -> None:
        status = self._monitor()
        if status is not None:
            self.carry_out(
                f"measure {status.name}", lambda cockpit: cockpit.monitors.evaluate_now(status.name), self._measured
            )

    def _measured(self, found: Sequence[Measurement]) -> None:
        self.podium.read([monitors(self.podium.clock), ALERTS], force=True)
        without = next((each for each in found if each.value is None), None)
        if without is None:
            self.podium.say("measured just now", "ok")
        else:
            self.podium.say(f"no value: {without.message}", "warn")

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        if self.pane is not None and self.pane.id != "facts":
            self._opened = None  # left by tab, and what is under the cursor counts again
        self._show_detail()
        self.show_footer()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()
