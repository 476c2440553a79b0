"""Environments: what serves and its lineage, whether one key brings the last good version back, live signals, and
the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.app import ComposeResult
from textual.containers import Vertical

from ..core.domain.attention import who_heals
from ..core.domain.delivery import CanaryState, Deployment, EnvironmentStatus
from ..core.domain.models import Version
from ..core.domain.monitors.badges import AlertBadge, badges
from ..core.domain.text import format as fmt
from ..core.domain.watching import AgentStatus, Series
from ..tui import queries
from ..tui.context import Context
from ..tui.queries import SIGNAL_SECONDS, Query
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import TextPane
from . import canary
from .base import PodiumScreen
from .cells.common import badge_cell, badge_line, health_cell, quarantined_of, serves_cell
from .cells.deployments import deployment_text, history_columns
from .cells.environments import POINTS, signal_lines, status_lines
from .verbs.changes import ChangeKeys

_CANARY_LINES = 11  # lines at most of a canary's pane, where the signals and the ledger stand below it


class EnvironmentsScreen(PodiumScreen):
    title_id = "environments"
    DEFAULT_CSS = """
    EnvironmentsScreen #body { layout: vertical; }
    EnvironmentsScreen #list { height: 5; }
    EnvironmentsScreen #detail { height: 1fr; layout: vertical; }
    EnvironmentsScreen #status { height: 8; }
    EnvironmentsScreen #canary { height: 1fr; display: none; border: round $wait; border-title-color: $wait; }
    EnvironmentsScreen.-canary #canary { display: block; }
    EnvironmentsScreen.-canary #signals { display: none; }
    EnvironmentsScreen #history { height: 1fr; display: none; }
    EnvironmentsScreen.-tall #history { display: block; }
    EnvironmentsScreen.-tall #list { height: 6; }
    EnvironmentsScreen.-tall #status { height: 10; }
    EnvironmentsScreen #signals { height: 1fr; }
    EnvironmentsScreen.-tall #signals { height: 9; }
    EnvironmentsScreen.-zoomed #history.-zoom { display: block; }
    EnvironmentsScreen #status.-protected { border: round $protected; border-title-color: $protected;
        border-title-style: bold; }
    EnvironmentsScreen #status.-protected:focus { border: heavy $protected; border-title-style: bold reverse; }
    EnvironmentsScreen #canary:focus { border: heavy $wait; border-title-style: bold reverse; }
    EnvironmentsScreen.-history #signals { display: none; }
    EnvironmentsScreen.-history #history { display: block; }
    EnvironmentsScreen.-tall.-history #signals { display: block; }
    EnvironmentsScreen.-history #canary { display: none; }
    EnvironmentsScreen.-tall.-canary #canary { display: block; }
    EnvironmentsScreen.-tall.-canary #signals { display: block; }
    EnvironmentsScreen.-tall.-canary #status { height: 8; }
    EnvironmentsScreen.-zoomed #canary.-zoom { display: block; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = ChangeKeys(self)
        self._wanted = ""

    def body(self) -> ComposeResult:
        yield Table[EnvironmentStatus](
            "Environments",
            self._columns(),
            key=lambda status: status.name,
            text=lambda status: f"{status.name} {status.url}",
            id="list",
        )
        with Vertical(id="detail", classes="group"):
            yield TextPane("Serves", wrap=True, id="status")
            yield TextPane("Canary", id="canary")
            yield TextPane("Signals", id="signals")
            yield Table[Deployment](
                "History",
                history_columns(lambda: self.glyphs, self.podium.clock, self._quarantined),
                key=lambda row: row.id,
                text=deployment_text,
                id="history",
            )

    def _columns(self) -> tuple[Column[EnvironmentStatus], ...]:
        return (
            Column("environment", self._name_cell, width=22, flex=2, sort=lambda status: status.name),
            Column("model", lambda status: ((status.model, "text"),), width=12, flex=1, when=self.several_models),
            Column("serves", lambda status: serves_cell(status, self._quarantined()), width=7),
            Column("state", lambda status: health_cell(self.glyphs, status), width=20, flex=2),
            Column("alerts", self._alerts, width=12, when=lambda: bool(self._badges)),
            Column("back to", self._ready, width=14, flex=1),
            Column("driver", lambda status: ((status.driver, "muted"),), width=8, from_width=90),
            Column("address", lambda status: ((status.url, "muted"),), width=22, flex=1, from_width=100),
        )

    def queries(self) -> Iterable[Query]:
        yield queries.ENVIRONMENTS
        yield queries.VERSIONS
        yield queries.VERDICTS
        yield queries.ALERTS
        status = self.status
        if status is not None:
            yield queries.signals(status.name, self.podium.clock, POINTS)
            yield queries.history(status.name)

    # What is shown

    def _quarantined(self) -> frozenset[tuple[str, int]]:
        return quarantined_of(self.store.value("verdicts", {}))

    @property
    def _badges(self) -> Mapping[str, AlertBadge]:
        return badges(self.store.value("alerts", ()))

    @property
    def table(self) -> Table[EnvironmentStatus]:
        return self.query_one("#list", Table)

    @property
    def status(self) -> EnvironmentStatus | None:
        return self.table.current if self.ready else None

    def select(self, name: str) -> None:
        self._wanted = name
        if self.ready:
            self.update()

    def show(self) -> None:
        snapshot = self.store.get("environments")
        environments: tuple[EnvironmentStatus, ...] = snapshot.value or ()
        empty = (
            ("podium.yaml has no environments.", "text"),
            ("", ""),
            ("environments:", "muted"),
            ("  production: {driver: process, port: 5100, protected: true}", "muted"),
            ("", ""),
            ("is all that it takes; `podium deploy` puts a version there.", "muted"),
        )
        fresh = not self.table.rows
        self.table.set_notice(*self.notice_for(snapshot, empty))
        self.table.set_rows(environments, (self._quarantined(), self._badges))
        self.set_height(self.table, 3 + min(max(1, len(environments)), 4 if self.has_class("-low") else 8))
        if self._wanted and self.table.go_to(self._wanted):
            self._wanted = ""
        elif fresh and environments:
            # The one that matters first: the protected one.
            chosen = next((status for status in environments if status.protected), environments[0])
            self.table.go_to(chosen.name)
        self._show_detail()

    def _show_detail(self) -> None:
        status = self.status
        pane, signals, history = (
            self.query_one("#status", TextPane),
            self.query_one("#signals", TextPane),
            self.query_one("#history", Table),
        )
        pane.set_class(status is not None and status.protected, "-protected")
        self._show_canary(status)
        if status is None:
            for each in (pane, signals):
                each.set_lines(())
            pane.set_notice(("What serves stands here.", "faint"))
            history.set_rows(())
            return
        pane.title(f"{status.name} · PROTECTED" if status.protected else status.name, status.url)
        versions: tuple[Version, ...] = self.store.value("versions", ())
        wanted = (status.model, status.serving)
        serving = next((version for version in versions if (version.model, version.version) == wanted), None)
        agent: AgentStatus | None = self.store.value("agent")
        healer = "" if agent is None else who_heals(agent)
        alerts = badge_line(self.glyphs, self._badges.get(status.name))
        lines = status_lines(status, serving, self.glyphs, self.podium.clock(), healer=healer, alerts=alerts)
        pane.set_lines(lines)
        series: Mapping[str, Series] = self.store.value(f"signals:{status.name}", {})
        signals.set_notice(("reading …", "faint"))
        width = max(10, min(POINTS, signals.size.width - 37))
        signals.set_lines(signal_lines(series, width, self.glyphs, answers=bool(status.answers)))
        signals.title("Signals", f"last {SIGNAL_SECONDS // 60} minutes")
        snapshot = self.store.get(f"history:{status.name}")
        history.set_notice(*self.notice_for(snapshot, (("Nothing was deployed here yet: podium deploy.", "muted"),)))
        history.set_rows(snapshot.value or (), status.name)
        if not history.filter_text:
            history.title(f"History of {status.name}")

    def _show_canary(self, status: EnvironmentStatus | None) -> None:
        now = status.canary if status is not None else None
        self.set_class(now is not None, "-canary")
        pane = self.query_one("#canary", TextPane)
        if now is None:
            pane.set_lines(())
            return
        beside = f" beside v{now.from_version}" if now.from_version is not None else ""
        pane.title(f"Canary v{now.version}{beside}", now.headline(self.podium.clock()))
        tall = self.has_class("-tall")
        height, width = (
            _CANARY_LINES if tall else (pane.size.height or _CANARY_LINES),
            (pane.size.width or self.size.width - 2),
        )
        lines = canary.lines(now, self.podium.clock(), self.glyphs, height=height, width=width)
        pane.set_lines(lines)
        self.set_height(pane, 2 + min(_CANARY_LINES, len(lines)) if tall else None)

    def pass_time(self) -> None:
        """The canary's clock goes on."""
        self._show_canary(self.status)

    # Cells

    def _name_cell(self, status: EnvironmentStatus) -> Cell:
        return ((status.name, "text!"), ("  PROTECTED" if status.protected else "", "protected!"))

    def _alerts(self, status: EnvironmentStatus) -> Cell:
        return badge_cell(self.glyphs, self._badges.get(status.name))

    def _ready(self, status: EnvironmentStatus) -> Cell:
        if status.rollback_to is None:
            return ((self.glyphs["dash"], "faint"),)
        expected = f" {fmt.duration(status.rollback_seconds)}" if status.rollback_seconds is not None else ""
        return ((f"{self.glyphs['ok']} ", "ok"), (f"v{status.rollback_to}{expected}", ""))

    # Actions

    @property
    def ticking(self) -> bool:
        status = self.status
        return status is not None and status.canary is not None and status.canary.state is CanaryState.RUNNING

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="environments")
        return self.make_context(self.status)

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        if message.table.id == "list":
            self.update()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_plot(self) -> None:
        from .live import LiveScreen

        if self.status is not None:
            self.app.push_screen(LiveScreen(self.status.name))

    def do_pause(self) -> None:
        self.changes.pause()

    def do_resume(self) -> None:
        self.changes.resume()

    def do_full(self) -> None:
        self.changes.full()

    def do_cancel(self) -> None:
        self.changes.abort()

    def do_promote(self) -> None:
        self.changes.promote()

    def do_deploy(self) -> None:
        self.changes.deploy()

    def do_rollback(self) -> None:
        self.changes.rollback()

    def do_stop(self) -> None:
        self.changes.stop()

    def do_start(self) -> None:
        self.changes.start()

    def do_repair(self) -> None:
        self.changes.repair()

    def do_open(self) -> None:
        """From the list to the history; from a row of the history to its run."""
        pane = self.pane
        if pane is not None and pane.id == "history":
            row: Deployment | None = self.query_one("#history", Table).current
            if row is not None and row.run_id is not None:
                self.podium.go_to_run(row.run_id)
            return
        self.add_class("-history")
        self.query_one("#history").focus()

    def leave(self, *, quit_at_root: bool) -> None:
        if self.pane is not None and self.pane.id != "list":
            self.remove_class("-history")
            self.table.focus()
        else:
            super().leave(quit_at_root=quit_at_root)

    def address(self) -> str:
        status = self.status
        return "" if status is None else status.url
