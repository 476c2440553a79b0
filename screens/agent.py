"""Agent: what it cannot do, when the schedules come next, and the audit: who did what, by themselves or for others."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult

from ..core.domain.runs import Run
from ..core.domain.text import format as fmt
from ..core.domain.watching import AgentStatus, AuditEntry, ScheduleStatus
from ..tui import queries
from ..tui.context import Context
from ..tui.queries import Query
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import Line, TextPane
from .base import PodiumScreen


class AgentScreen(PodiumScreen):
    title_id = "agent"
    first_pane = "schedules"
    DEFAULT_CSS = """
    AgentScreen #body { layout: vertical; }
    AgentScreen #state { height: 5; }
    AgentScreen #schedules { height: 7; }
    AgentScreen #audit { height: 1fr; }
    AgentScreen.-tall #schedules { height: 9; }
    """

    def body(self) -> ComposeResult:
        yield TextPane("Agent", wrap=True, id="state")
        yield Table[ScheduleStatus](
            "Schedules",
            self._schedule_columns(),
            key=lambda each: each.pipeline,
            text=lambda each: f"{each.pipeline} {each.schedule} {' '.join(each.held)}",
            id="schedules",
        )
        yield Table[AuditEntry](
            "Audit",
            self._audit_columns(),
            key=lambda entry: entry.id,
            text=lambda entry: f"{entry.who} {entry.action} {entry.subject} {entry.why}",
            id="audit",
        )

    def _schedule_columns(self) -> tuple[Column[ScheduleStatus], ...]:
        def coming(each: ScheduleStatus) -> Cell:
            return ((fmt.until(each.next, self.podium.clock()), "muted"),)

        return (
            Column("pipeline", lambda each: each.pipeline, width=10, flex=1, sort=lambda each: each.pipeline),
            Column("cron (UTC)", lambda each: ((each.schedule, "muted"),), width=12, from_width=72),
            Column("next", lambda each: ((fmt.local(each.next), "text!"),), width=21, sort=lambda each: each.next),
            Column("", coming, width=7, align="right"),
            Column("last run", self._last_run, width=22),
            Column("held by", lambda each: (("; ".join(each.held), "warn"),), width=8, flex=3, from_width=90),
        )

    def _last_run(self, each: ScheduleStatus) -> Cell:
        run = each.run
        if run is None:
            return (("none yet", "faint"),)
        glyph, role = self.glyphs.state(run.state)
        age = fmt.age(run.ended or run.created, self.podium.clock())
        return ((f"{run.id} ", "accent"), (f"{glyph} {run.state}", role), (f" {age}", "muted"))

    def _audit_columns(self) -> tuple[Column[AuditEntry], ...]:
        def when(entry: AuditEntry) -> Cell:
            return ((fmt.when(entry.at, self.podium.clock()), "muted"),)

        return (
            Column("when", when, width=16, sort=lambda entry: entry.at),
            Column("who", lambda entry: entry.who, width=10, flex=1, sort=lambda entry: entry.who),
            Column("action", lambda entry: ((entry.action, "accent"),), width=12, sort=lambda entry: entry.action),
            Column("subject", lambda entry: entry.subject, width=20, flex=2, sort=lambda entry: entry.subject),
            Column("why", lambda entry: ((entry.why, "muted"),), width=8, flex=3, from_width=72),
        )

    def queries(self) -> Iterable[Query]:
        yield queries.SCHEDULES
        yield queries.AUDIT

    def show(self) -> None:
        agent: AgentStatus | None = self.store.value("agent")
        state = self.query_one("#state", TextPane)
        state.set_lines(self._agent_lines(agent) if agent is not None else ())
        troubles = len(agent.troubles) if agent is not None else 0
        state.title("Agent", fmt.count(troubles, "trouble") if troubles else "")
        schedules = self.query_one("#schedules", Table)
        empty = (
            ("No pipeline has a schedule.", "muted"),
            ('on: {schedule: "0 3 * * *"}    in a pipeline starts it at 03:00 UTC', "muted"),
        )
        schedules.set_notice(*self.notice_for(self.store.get("schedules"), empty))
        schedules.set_rows(self.store.value("schedules", ()), int(self.podium.clock() // 15))
        self._show_held()
        audit = self.query_one("#audit", Table)
        audit.set_notice(*self.notice_for(self.store.get("audit"), (("Nothing was done yet.", "muted"),)))
        audit.set_rows(self.store.value("audit", ()))
        if not audit.filter_text:
            audit.title("Audit", "podium audit --verify checks its chain")

    def _agent_lines(self, agent: AgentStatus) -> list[Line]:
        if agent.alive:
            by = f", started by {agent.who} {fmt.ago(agent.started, self.podium.clock())}"
            lines: list[Line] = [((f"running on {agent.host}, process {agent.pid}{by}", "ok"),)]
        else:
            lines = [((f"not running: {agent.message}; podium watch --daemon starts one", "warn"),)]
        if agent.trouble:
            lines.append(((f"podium.yaml cannot be used: {agent.trouble}", "bad"),))
        for each in agent.troubles:
            since = f", since {fmt.when(each.at, self.podium.clock())}" if each.at is not None else ""
            lines.append(((f"{each.subject}: ", "text!"), (each.words, "bad"), (since, "muted")))
        return lines

    def _show_held(self) -> None:
        """What keeps the schedule under the cursor, where there is no room for its column."""
        schedules: Table[ScheduleStatus] = self.query_one("#schedules", Table)
        current = schedules.current
        if not schedules.filter_text:
            schedules.title("Schedules", "; ".join(current.held) if current is not None else "")

    def pass_time(self) -> None:
        self.show()

    def context(self) -> Context:
        return self.make_context(self._run()) if self.ready else Context(screen="agent")

    def _run(self) -> Run | None:
        current = self.pane.current if isinstance(self.pane, Table) else None
        return current.run if isinstance(current, ScheduleStatus) else None

    def do_open(self) -> None:
        run = self._run()
        if run is not None:
            self.podium.go_to_run(run.id)
        else:
            self.podium.say("nothing to open here")

    def on_table_opened(self, message: Table.Opened) -> None:
        self.do_open()

    def on_table_moved(self, message: Table.Moved) -> None:
        self._show_held()
        self.show_footer()
