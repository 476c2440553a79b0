"""Overview: what needs a person, what serves, and what ran. The first screen, and the one that answers "is all
well?"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from ..core.domain.attention import Need, Reason, needs
from ..core.domain.containers import EngineSnapshot
from ..core.domain.delivery import EnvironmentStatus
from ..core.domain.monitors.badges import AlertBadge, badges
from ..core.domain.runs import Run, RunState
from ..core.domain.text import format as fmt
from ..core.domain.watching import Series
from ..core.errors import ConfigError
from ..tui import queries
from ..tui.actions import BY_ID, Action
from ..tui.context import Context
from ..tui.queries import Query, RunsView
from ..tui.widgets.pane import Cell
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.sparkline import sparkline
from ..tui.widgets.table import Column, Table
from .base import PodiumScreen, error_lines
from .cells.common import badge_cell, health_cell, quarantined_of, run_columns, run_text, serves_cell
from .cells.container_rows import counts, is_stale, newest
from .verbs.changes import ChangeKeys
from .verbs.launch import LaunchKeys

_POINTS = 30


# What stands before a need, and its colour.
_MARKS = {
    Reason.DOWN: ("bad", "bad"),
    Reason.ENGINE: ("bad", "bad"),
    Reason.CONFIG: ("bad", "bad"),
    Reason.REMOVED: ("warn", "warn"),
    Reason.DIFFERENCE: ("warn", "warn"),
    Reason.ALERT: ("warn", "bad"),
    Reason.CANARY: ("stop", "warn"),
    Reason.APPROVAL: ("wait", "wait"),
    Reason.PROPOSAL: ("wait", "wait"),
    Reason.AGENT: ("warn", "warn"),
    Reason.TROUBLE: ("warn", "warn"),
    Reason.FAILED: ("bad", "bad"),
    Reason.INTERRUPTED: ("cut", "warn"),
    Reason.CHALLENGER: ("point", "run"),
}
# The action that deals with it, and what that does.
_ACTIONS = {
    Reason.DIFFERENCE: ("repair", "plans the repair"),
    Reason.CANARY: ("open", "goes there"),
    Reason.APPROVAL: ("approve", "approves"),
    Reason.INTERRUPTED: ("resume", "resumes"),
    Reason.CHALLENGER: ("promote", "plans its promotion"),
}
# The screen that shows it.
_TARGETS = {
    Reason.DOWN: "environments",
    Reason.ENGINE: "containers",
    Reason.DIFFERENCE: "environments",
    Reason.ALERT: "monitors",
    Reason.PROPOSAL: "monitors",
    Reason.CANARY: "environments",
    Reason.APPROVAL: "runs",
    Reason.FAILED: "runs",
    Reason.INTERRUPTED: "runs",
    Reason.CHALLENGER: "models",
}


class OverviewScreen(PodiumScreen):
    title_id = "overview"
    first_pane = "recent"
    has_crumbs = False
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
        self.launch = LaunchKeys(self)
        self._untouched = True

    def body(self) -> ComposeResult:
        with Vertical(id="top", classes="group"):
            yield Table[Need](
                "Needs you",
                (Column("", self._need_subject, width=18), Column("", self._need_words, width=20, flex=1)),
                key=lambda need: (need.subject, need.words),
                text=lambda need: f"{need.subject} {need.words}",
                header=False,
                id="needs",
            )
            yield Table[EnvironmentStatus](
                "Environments",
                self._environment_columns(),
                key=lambda status: status.name,
                text=lambda status: f"{status.name} {status.health.words}",
                id="serving",
            )
        columns = run_columns(lambda: self.glyphs, self.podium.clock)
        yield Table[Run]("Runs", columns, key=lambda run: run.id, text=run_text, id="recent")

    def _environment_columns(self) -> tuple[Column[EnvironmentStatus], ...]:
        def last(name: str, role: str) -> Callable[[EnvironmentStatus], Cell]:
            return lambda status: ((self._last(status, name), role),)

        return (
            Column("environment", self._env_name, width=21, flex=1),
            Column("model", lambda status: ((status.model, "text"),), width=10, flex=1, when=self.several_models),
            Column("serves", self._serves, width=7),
            Column("state", lambda status: health_cell(self.glyphs, status), width=18, flex=3),
            Column("alerts", self._alerts, width=10, flex=1, when=lambda: bool(self._badges)),
            Column("requests", self._requests, width=9, flex=3, when=lambda: not self._badges or self.size.width > 90),
            Column("", last("requests", ""), width=7, align="right"),
            Column("errors", self._errors, width=7, align="right"),
            Column("p95", last("latency_p95", "muted"), width=8, align="right", from_width=90),
            Column("containers", self._containers, width=10, from_width=104, when=lambda: bool(self._snapshots)),
            Column("since", self._since, width=5, align="right", from_width=90),
            Column("back to", self._ready, width=9, from_width=90),
        )

    def queries(self) -> Iterable[Query]:
        yield queries.runs()
        yield queries.ENVIRONMENTS
        yield queries.VERSIONS
        yield queries.VERDICTS
        yield queries.ALERTS
        yield queries.PROPOSALS
        if self.project is not None and self.project.with_containers:
            yield queries.SNAPSHOTS
        for status in self._environments:
            yield queries.signals(
                status.name, self.podium.clock, _POINTS, ("requests", "error_rate", "latency_p95"), key="glance"
            )

    @property
    def _environments(self) -> tuple[EnvironmentStatus, ...]:
        value: tuple[EnvironmentStatus, ...] = self.store.value("environments", ())
        return value

    @property
    def _badges(self) -> Mapping[str, AlertBadge]:
        return badges(self.store.value("alerts", ()))

    @property
    def _snapshots(self) -> dict[str, EngineSnapshot]:
        found = newest(self.store.value("snapshots", ()), self.store.value("looks", ()))
        return {snapshot.environment: snapshot for snapshot in found}

    @property
    def _unseen(self) -> frozenset[str]:
        """The environments of which nobody sees now what their engines run."""
        agent, now = self.store.value("agent"), self.podium.clock()
        return frozenset(name for name, each in self._snapshots.items() if is_stale(each, agent, now))

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
            self._environments,
            (
                quarantined_of(self.store.value("verdicts", {})),
                signals,
                self.store.get("snapshots").version,
                self.store.get("looks").version,
                self._unseen,
                int(self.podium.clock() // 15),
                self._badges,
            ),
        )
        serving.title("Environments", self._counted())
        if self._environments and len(self._environments) != before:
            self.podium.read(self.queries())
            if not self.has_class("-huge"):
                self.set_height(serving, 3 + min(5, len(self._environments)))

    def _counted(self) -> str:
        """How many containers run, in all that are seen."""
        statuses, unseen = {status.name: status for status in self._environments}, self._unseen
        known = [
            counts(snapshot, statuses.get(name)) for name, snapshot in self._snapshots.items() if name not in unseen
        ]
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
            proposals=self.store.value("proposals", ()),
            agent=self.store.value("agent"),
            versions=self.store.value("versions", ()),
            verdicts=self.store.value("verdicts", {}),
            now=self.podium.clock(),
            snapshots=self._snapshots.values(),
            problems=self.project.problems if self.project else (),
            removed=self.project.removed if self.project else None,
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
        if self._untouched and not any(self.store.get(query.key).loading for query in self.all_queries()):
            self._untouched = False
            if found:
                self.focus_pane(pane)

    @property
    def loading(self) -> bool:
        """Also until it is known whether something needs a person: that is where the keys begin."""
        unknown = self._untouched and any(self.store.get(query.key).loading for query in self.all_queries())
        return super().loading or unknown

    def touched(self) -> None:
        self._untouched = False

    def _do(self, action: Action) -> None:
        self.touched()
        super()._do(action)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.touched()

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
        glyph, role = _MARKS[need.reason]
        if need.reason is Reason.CANARY and need.urgency == 1:  # it waits for a decision
            glyph, role = "wait", "wait"
        return ((f"{self.glyphs[glyph]} ", role), (need.subject, f"{role}!"))

    def _need_words(self, need: Need) -> str:
        if need.reason in (Reason.AGENT, Reason.PROPOSAL):
            return f"{need.words}; {need.command}"
        action, does = _ACTIONS.get(need.reason, ("", ""))
        return f"{need.words}: {self.podium.keymap.shown(BY_ID[action])} {does}" if action else need.words

    def _env_name(self, status: EnvironmentStatus) -> Cell:
        return ((status.name, "text!"), (" protected" if status.protected else "", "protected"))

    def _alerts(self, status: EnvironmentStatus) -> Cell:
        return badge_cell(self.glyphs, self._badges.get(status.name))

    def _serves(self, status: EnvironmentStatus) -> Cell:
        return serves_cell(status, quarantined_of(self.store.value("verdicts", {})))

    def _series(self, status: EnvironmentStatus, name: str):
        found: dict[str, Series] = self.store.value(f"glance:{status.name}", {})
        return found.get(name)

    def _latest(self, status: EnvironmentStatus, name: str) -> float | None:
        """What is measured now: nothing where nothing answers, whatever it was a minute ago."""
        series = self._series(status, name)
        return series.latest if series is not None and status.answers else None

    def _last(self, status: EnvironmentStatus, name: str) -> str:
        return self.glyphs.text(fmt.signal(name, self._latest(status, name)))

    def _requests(self, status: EnvironmentStatus) -> Cell:
        series = self._series(status, "requests")
        width = self.query_one("#serving", Table).width_of("requests") or 9
        return ((sparkline(series.values, min(width, _POINTS), self.glyphs).rjust(width), "run"),) if series else ""

    def _errors(self, status: EnvironmentStatus) -> Cell:
        latest = self._latest(status, "error_rate")
        return ((self._last(status, "error_rate"), "bad" if latest is not None and latest > 0.01 else "muted"),)

    def _containers(self, status: EnvironmentStatus) -> Cell:
        snapshot = self._snapshots.get(status.name)
        if snapshot is None:
            return ""
        if status.name in self._unseen:
            return (("not seen", "warn"),)
        running, bad = counts(snapshot, status)
        return ((f"{running} up", "muted"), (f" {bad} bad" if bad else "", "bad"))

    def _since(self, status: EnvironmentStatus) -> Cell:
        since = status.deployment.at if status.deployment is not None and status.answers else None
        return ((fmt.age(since, self.podium.clock()), "muted"),)

    def _ready(self, status: EnvironmentStatus) -> Cell:
        return (
            (("", ""),) if status.rollback_to is None else ((f"{self.glyphs['ok']} v{status.rollback_to}", "accent"),)
        )

    # Actions

    @property
    def _current(self) -> Run | EnvironmentStatus | Need | None:
        """What is under the cursor of the focused list."""
        return self.pane.current if isinstance(self.pane, Table) else None

    def context(self) -> Context:
        return self.make_context(self._chosen_run(), self._chosen_environment())

    def _chosen_run(self) -> Run | None:
        current = self._current
        if isinstance(current, Run):
            return current
        view: RunsView | None = self.store.value("runs")
        if not isinstance(current, Need) or current.run_id is None or view is None:
            return None
        return next((run for run in view.runs if run.id == current.run_id), None)

    def _chosen_environment(self) -> EnvironmentStatus | None:
        """The one under the cursor, or that a need is about; else the one that matters first."""
        current = self._current
        if isinstance(current, EnvironmentStatus):
            return current
        about = current.environment if isinstance(current, Need) else ""
        named = [status for status in self._environments if status.name == about]
        carrying = [status for status in self._environments if status.carries]
        protected = [] if isinstance(current, Run) else [status for status in self._environments if status.protected]
        return next(iter((*named, *carrying, *protected)), None)

    def do_promote(self) -> None:
        self.changes.promote()

    def do_rollback(self) -> None:
        self.changes.rollback()

    def do_launch(self) -> None:
        self.launch.begin()

    def answered(self, message: Prompt.Answered) -> None:
        if message.purpose != LaunchKeys.PURPOSE:
            super().answered(message)
            return
        self.query_one(Prompt).close()
        self.focus_pane(self.query_one("#recent", Table))
        self.launch.answered(message.text)

    def do_resume(self) -> None:
        self.changes.resume_run()

    def do_approve(self) -> None:
        self.changes.approve()

    def do_stop(self) -> None:
        self.changes.stop()

    def do_start(self) -> None:
        self.changes.start()

    def do_repair(self) -> None:
        self.changes.repair()

    def do_open(self) -> None:
        current = self._current
        if isinstance(current, Run):
            self.show_run(current)
        elif isinstance(current, EnvironmentStatus):
            self.podium.go("environments").select(current.name)
        elif isinstance(current, Need):
            if current.run_id is not None:
                self.podium.go_to_run(current.run_id)
            elif current.reason in (Reason.TROUBLE, Reason.AGENT):
                self.do_agent()
            elif current.reason in _TARGETS:
                target = _TARGETS[current.reason]
                screen = self.podium.go(target)
                if current.environment and target in ("environments", "containers"):
                    screen.select(current.environment)
                elif current.reason is Reason.ALERT:
                    screen.select(current.subject)
            else:  # no screen says more: all of it is said here
                said = f"{current.subject}: {current.words}"
                self.podium.say(f"{said}; {current.command}" if current.command else said)

    def do_logs(self) -> None:
        run = self.context().find(Run)
        if run is not None:
            self.podium.go_to_run(run.id)
            self.podium.podium_screen.do_logs()

    def on_table_opened(self, message: Table.Opened) -> None:
        self.do_open()

    def on_table_moved(self, message: Table.Moved) -> None:
        self.show_footer()
