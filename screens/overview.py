"""Overview: what needs a person, what serves, and what ran. The first screen, and the one that answers "is all
well?"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical

from ..core.domain import format as fmt
from ..core.domain.containers import EngineSnapshot
from ..core.domain.delivery import CanaryState, EnvironmentStatus
from ..core.domain.models import CHALLENGER, CHAMPION, Version
from ..core.domain.runs import Run, RunState
from ..core.domain.watching import AgentStatus, Alert, Series
from ..core.errors import ConfigError
from ..tui import queries
from ..tui.actions import Context
from ..tui.queries import Query, RunsView
from ..tui.widgets.pane import Cell
from ..tui.widgets.sparkline import sparkline
from ..tui.widgets.table import Column, Table
from . import canary
from .base import PodiumScreen, error_lines
from .cells import UNSEEN, health, health_cell, run_columns, run_name, run_text
from .changes import ChangeKeys, RunKeys
from .container_rows import counts

_POINTS = 30
_RECENT = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person, and where Enter goes. Worst first by `rank`."""

    rank: int
    glyph: str
    role: str
    subject: str
    words: str
    target: str = ""
    run_id: int | None = None


def needs(  # noqa: C901 - a table of cases: each thing that needs a person is one branch
    *,
    runs: Iterable[Run],
    environments: Iterable[EnvironmentStatus],
    alerts: Iterable[Alert],
    agent: AgentStatus | None,
    versions: Iterable[Version],
    now: float,
    snapshots: Iterable[EngineSnapshot] = (),
) -> list[Need]:
    """What a person should know or do, worst first."""
    found: list[Need] = []
    for status in environments:
        words, role = health(status)
        if role == "bad":
            mends = "" if words == UNSEEN else "; the agent brings it back"
            if mends and (agent is None or not agent.alive):
                mends += " (podium watch --daemon)"
            found.append(Need(0, "bad", "bad", status.name, f"{words}{mends}", "environments"))
        found += [
            Need(1, "warn", "warn", status.name, f"{difference.words}: M plans the repair", "environments")
            for difference in status.differences
        ]
        if status.canary is not None and status.canary.state is not CanaryState.RUNNING:
            rank, glyph = (1, "wait") if status.canary.state is CanaryState.INCONCLUSIVE else (2, "stop")
            found.append(
                Need(
                    rank,
                    glyph,
                    canary.role(status.canary),
                    status.name,
                    f"{canary.headline(status.canary, now)}: enter goes there",
                    "environments",
                )
            )
    found += [
        Need(0, "bad", "bad", picture.environment, picture.message, "containers")
        for picture in snapshots
        if picture.message
    ]
    latest: dict[str, Run] = {}
    for run in runs:
        name = run_name(run)
        if run.state is RunState.WAITING:
            found.append(
                Need(2, "wait", "wait", f"run {run.id}", f"{name} waits for approval: A approves", "runs", run.id)
            )
        first = latest.setdefault(f"{run.kind} {run.name}", run)
        if first is run and now - run.created < _RECENT and run.state in (RunState.FAILED, RunState.INTERRUPTED):
            verb = "failed" if run.state is RunState.FAILED else "was interrupted: U resumes"
            glyph, role = ("bad", "bad") if run.state is RunState.FAILED else ("cut", "warn")
            found.append(
                Need(
                    3,
                    glyph,
                    role,
                    f"run {run.id}",
                    f"{name} {verb}" + (f": {run.message}" if run.message else ""),
                    "runs",
                    run.id,
                )
            )
    for alert in alerts:
        if alert.state == "firing":
            found.append(
                Need(1, "warn", "bad", alert.name, alert.message or f"fires on {alert.environment}", "environments")
            )
    if agent is not None and not agent.alive and agent.pid:
        seen = f", last seen {fmt.age(agent.heartbeat, now)} ago" if agent.heartbeat else ""
        found.append(
            Need(
                2, "warn", "warn", "agent", f"is gone{seen}: nothing is healed or triggered; podium watch --daemon", ""
            )
        )
    ready = [
        version
        for version in versions
        if CHALLENGER in version.aliases and CHAMPION not in version.aliases and version.verdict == "pass"
    ]
    found += [
        Need(4, "point", "run", f"v{version.version}", "challenger passed its gate: P plans its promotion", "models")
        for version in ready[:1]
    ]
    return sorted(found, key=lambda need: need.rank)


class OverviewScreen(PodiumScreen):
    title_id = "overview"
    first_pane = "recent"
    DEFAULT_CSS = """
    OverviewScreen #body { layout: vertical; }
    OverviewScreen #top { height: auto; max-height: 60%; layout: vertical; }
    OverviewScreen #needs { height: 5; }
    OverviewScreen #serving { height: 5; }
    OverviewScreen #recent { height: 1fr; }
    OverviewScreen.-tall #needs { height: 7; }
    OverviewScreen.-huge #top { layout: horizontal; height: 12; }
    OverviewScreen.-huge #needs { height: 12; width: 2fr; }
    OverviewScreen.-huge #serving { height: 12; width: 3fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = ChangeKeys(self)
        self.run_keys = RunKeys(self)

    def body(self) -> ComposeResult:
        clock = self.podium.clock
        with Vertical(id="top", classes="group"):
            yield Table[Need](
                "Needs you",
                (
                    Column("", self._need_subject, width=18),
                    Column("", lambda need: need.words, width=20, flex=1),
                ),
                key=lambda need: (need.subject, need.words),
                text=lambda need: f"{need.subject} {need.words}",
                header=False,
                id="needs",
            )
            yield Table[EnvironmentStatus](
                "Environments",
                (
                    Column("environment", self._env_name, width=21, flex=1),
                    Column("serves", self._serves, width=8),
                    Column("state", lambda status: health_cell(self.glyphs, status), width=18, flex=1),
                    Column("requests", self._requests, width=9, flex=3),
                    Column("", lambda status: ((self._last(status, "requests"), ""),), width=7, align="right"),
                    Column("errors", self._errors, width=7, align="right"),
                    Column(
                        "p95",
                        lambda status: ((self._last(status, "latency_p95"), "muted"),),
                        width=8,
                        align="right",
                        from_width=90,
                    ),
                    Column("containers", self._containers, width=10, from_width=104),
                    Column("since", self._since, width=5, align="right", from_width=90),
                    Column("back to", self._ready, width=9, from_width=90),
                ),
                key=lambda status: status.name,
                text=lambda status: f"{status.name} {health(status)[0]}",
                id="serving",
            )
        yield Table[Run](
            "Runs", run_columns(lambda: self.glyphs, clock), key=lambda run: run.id, text=run_text, id="recent"
        )

    def queries(self) -> Iterable[Query]:
        yield queries.runs()
        yield queries.ENVIRONMENTS
        yield queries.VERSIONS
        yield queries.ALERTS
        if self.project is not None and self.project.with_containers:
            yield queries.PICTURES
        for status in self._environments:
            yield queries.signals(
                status.name, self.podium.clock, _POINTS, ("requests", "error_rate", "latency_p95"), key="glance"
            )

    @property
    def _environments(self) -> tuple[EnvironmentStatus, ...]:
        value: tuple[EnvironmentStatus, ...] = self.store.value("environments", ())
        return value

    @property
    def _pictures(self) -> dict[str, EngineSnapshot]:
        return {picture.environment: picture for picture in self.store.value("pictures", ())}

    def show(self) -> None:
        view: RunsView | None = self.store.value("runs")
        recent = self.query_one("#recent", Table)
        project = self.project
        first = project.pipelines[0] if project and project.pipelines else "NAME"
        empty = (
            ("No runs yet.", "text"),
            ("", ""),
            (f"podium run {first}    starts the first one", "muted"),
            ("podium watch --daemon    lets pushes start them", "muted"),
        )
        recent.set_notice(*self.notice_for(self.store.get("runs"), empty))
        if view is not None:
            recent.set_rows(view.runs, self.second(view.runs))
            active = sum(not run.state.finished for run in view.runs)
            recent.title("Runs", f"{active} active, {view.total:,} in all" if active else f"{view.total:,} in all")
        self._show_environments()
        self._show_needs(view)

    def _show_environments(self) -> None:
        serving = self.query_one("#serving", Table)
        snapshot = self.store.get("environments")
        empty = (("podium.yaml has no environments: nothing is served.", "muted"),)
        broken = isinstance(snapshot.error, ConfigError) and not snapshot.value
        serving.set_notice(
            *(
                (("Not known while podium.yaml cannot be used.", "muted"),)
                if broken
                else self.notice_for(snapshot, empty)
            )
        )
        before = len(serving.rows)
        signals = tuple(self.store.get(f"glance:{status.name}").version for status in self._environments)
        serving.set_rows(
            self._environments, (signals, self.store.get("pictures").version, int(self.podium.clock() // 15))
        )
        serving.title("Environments", self._counted())
        if self._environments and len(self._environments) != before:
            self.podium.read(self.queries())
            if not self.has_class("-huge"):
                self.set_height(serving, 3 + min(5, len(self._environments)))

    def _counted(self) -> str:
        """How many containers run, in all."""
        statuses = {status.name: status for status in self._environments}
        known = [counts(picture, statuses.get(name)) for name, picture in self._pictures.items() if not picture.message]
        running, bad = sum(each for each, _ in known), sum(each for _, each in known)
        return fmt.count(running, "container") + (f", {bad} in trouble" if bad else "") if known else ""

    def _show_needs(self, view: RunsView | None) -> None:
        pane = self.query_one("#needs", Table)
        project = self.store.get("project")
        if isinstance(project.error, ConfigError):
            pane.set_rows(())
            pane.set_notice(*error_lines(project.error))
            pane.title("Needs you", "podium.yaml")
            return
        found = needs(
            runs=view.runs if view else (),
            environments=self._environments,
            alerts=self.store.value("alerts", ()),
            agent=self.store.value("agent"),
            versions=self.store.value("versions", ()),
            now=self.podium.clock(),
            snapshots=self._pictures.values(),
        )
        loading = view is None and self.store.get("runs").loading
        pane.set_notice(
            ("reading …", "faint")
            if loading
            else (
                "Nothing. All is well." if view and view.runs else "Nothing yet.",
                "ok" if view and view.runs else "muted",
            )
        )
        pane.set_rows(tuple(found))
        pane.title("Needs you", fmt.count(len(found), "thing") if found else "")

    def pass_time(self) -> None:
        view: RunsView | None = self.store.value("runs")
        if view is not None:
            self.query_one("#recent", Table).set_rows(view.runs, self.second(view.runs))

    @property
    def ticking(self) -> bool:
        view: RunsView | None = self.store.value("runs")
        return view is not None and any(run.state is RunState.RUNNING for run in view.runs)

    # Cells

    def _need_subject(self, need: Need) -> Cell:
        return ((f"{self.glyphs[need.glyph]} ", need.role), (need.subject, f"{need.role}!"))

    def _env_name(self, status: EnvironmentStatus) -> Cell:
        return ((status.name, "text!"), (" protected" if status.protected else "", "protected"))

    def _serves(self, status: EnvironmentStatus) -> Cell:
        return (("nothing", "faint"),) if status.serving is None else ((f"v{status.serving}", "ok!"),)

    def _series(self, status: EnvironmentStatus, name: str):
        found: dict[str, Series] = self.store.value(f"glance:{status.name}", {})
        return found.get(name)

    def _last(self, status: EnvironmentStatus, name: str) -> str:
        series = self._series(status, name)
        known = [value for value in series.values[-3:] if value is not None] if series else []
        return self.glyphs.text(fmt.signal(name, known[-1] if known else None))

    def _requests(self, status: EnvironmentStatus) -> Cell:
        series = self._series(status, "requests")
        table = self.query_one("#serving", Table)
        width = next((cells for column, cells in table._columns(table.size.width) if column.title == "requests"), 9)
        return ((sparkline(series.values, min(width, _POINTS), self.glyphs).rjust(width), "run"),) if series else ""

    def _errors(self, status: EnvironmentStatus) -> Cell:
        series = self._series(status, "error_rate")
        known = [value for value in series.values[-3:] if value is not None] if series else []
        return ((self._last(status, "error_rate"), "bad" if known and known[-1] > 0.01 else "muted"),)

    def _containers(self, status: EnvironmentStatus) -> Cell:
        picture = self._pictures.get(status.name)
        if picture is None:
            return ""
        if picture.message:
            return (("not seen", "warn"),)
        running, bad = counts(picture, status)
        return ((f"{running} up", "muted"), (f" {bad} bad" if bad else "", "bad"))

    def _since(self, status: EnvironmentStatus) -> Cell:
        return ((fmt.age(status.deployment.at, self.podium.clock()) if status.deployment else "", "muted"),)

    def _ready(self, status: EnvironmentStatus) -> Cell:
        return (
            (("", ""),) if status.rollback_to is None else ((f"{self.glyphs['ok']} v{status.rollback_to}", "accent"),)
        )

    # Actions

    def context(self) -> Context:
        run: Run | None = None
        environment: EnvironmentStatus | None = None
        pane = self.pane
        current = pane.current if isinstance(pane, Table) else None
        if isinstance(current, Run):
            run = current
        elif isinstance(current, EnvironmentStatus):
            environment = current
        elif isinstance(current, Need) and current.run_id is not None:
            view: RunsView | None = self.store.value("runs")
            run = next((run for run in view.runs if run.id == current.run_id), None) if view else None
        if environment is None and pane is not None and pane.id == "needs":
            environment = next(
                (
                    status
                    for status in self._environments
                    if isinstance(current, Need) and status.name == current.subject
                ),
                None,
            )
        if environment is None and not isinstance(current, Run):
            environment = next((status for status in self._environments if status.protected), None)
        if environment is None:
            environment = next((status for status in self._environments if status.carries), None)
        return self.make_context(run=run, environment=environment)

    def do_cancel(self) -> None:
        self.run_keys.cancel()

    def do_again(self) -> None:
        self.run_keys.again()

    def do_resume(self) -> None:
        self.run_keys.resume()

    def do_approve(self) -> None:
        self.run_keys.approve()

    def do_promote(self) -> None:
        self.changes.promote()

    def do_rollback(self) -> None:
        self.changes.rollback()

    def do_repair(self) -> None:
        self.changes.repair()

    def do_open(self) -> None:
        current = self.pane.current if isinstance(self.pane, Table) else None
        if isinstance(current, Run):
            self.show_run(current)
        elif isinstance(current, EnvironmentStatus):
            self.podium.go("environments").select(current.name)
        elif isinstance(current, Need):
            if current.run_id is not None:
                self.podium.go_to_run(current.run_id)
            elif current.target:
                screen = self.podium.go(current.target)
                if current.target in ("environments", "containers"):
                    screen.select(current.subject)

    def do_logs(self) -> None:
        run = self.context().run
        if run is not None:
            self.podium.go_to_run(run.id)
            self.podium.podium_screen.do_logs()

    def on_table_opened(self, message: Table.Opened) -> None:
        self.do_open()

    def on_table_moved(self, message: Table.Moved) -> None:
        self.show_footer()
