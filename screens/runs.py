"""Runs: the list, the graph of the run under the cursor, and the live log of the step under the graph's cursor."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Vertical

from ..core.domain.runs import Run, RunDetail, RunState, Step, StepState
from ..core.domain.text import format as fmt
from ..tui import queries
from ..tui.context import Context
from ..tui.external_program import PODIUM
from ..tui.queries import RUNS_PAGE, Query, RunsView
from ..tui.widgets.graph import Graph
from ..tui.widgets.log_view import LogView
from ..tui.widgets.pane import Span
from ..tui.widgets.table import Table
from .base import PodiumScreen
from .cells.common import run_columns, run_text
from .changes import ChangeKeys
from .shells import ShellKeys


class RunsScreen(PodiumScreen):
    title_id = "runs"
    DEFAULT_CSS = """
    RunsScreen #body { layout: vertical; }
    RunsScreen #list { height: 7; }
    RunsScreen #detail { height: 1fr; layout: vertical; }
    RunsScreen #graph { height: 7; }
    RunsScreen #log { height: 1fr; }
    RunsScreen.-tall #list { height: 12; }
    RunsScreen.-tall #graph { height: 13; }
    RunsScreen.-wide #body, RunsScreen.-huge #body { layout: horizontal; }
    RunsScreen.-wide #list, RunsScreen.-huge #list { height: 1fr; width: 46; }
    RunsScreen.-huge #list { width: 2fr; }
    RunsScreen.-wide #detail { width: 1fr; height: 1fr; }
    RunsScreen.-huge #detail { width: 3fr; height: 1fr; }
    RunsScreen.-wide #graph, RunsScreen.-huge #graph { height: 40%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = ChangeKeys(self)
        self.shells = ShellKeys(self)
        self._limit = RUNS_PAGE
        self._wanted: int | None = None
        self._pending_logs = False

    def body(self) -> ComposeResult:
        yield Table[Run](
            "Runs",
            run_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda run: run.id,
            text=run_text,
            id="list",
        )
        with Vertical(id="detail", classes="group"):
            yield Graph(id="graph")
            yield LogView(id="log")

    def queries(self) -> Iterable[Query]:
        yield queries.runs(self._limit)
        run = self.run
        if run is not None:
            yield queries.run(run.id)
        elif self._wanted is not None:
            yield queries.run(self._wanted)

    # What is shown

    @property
    def table(self) -> Table[Run]:
        return self.query_one("#list", Table)

    @property
    def graph(self) -> Graph:
        return self.query_one("#graph", Graph)

    @property
    def log_view(self) -> LogView:
        return self.query_one("#log", LogView)

    @property
    def run(self) -> Run | None:
        return self.table.current if self.ready else None

    @property
    def detail(self) -> RunDetail | None:
        run = self.run
        value: RunDetail | None = self.store.value(f"run:{run.id}") if run is not None else None
        return value

    @property
    def step(self) -> Step | None:
        """Of the run under the cursor: the graph still shows another one's until it has heard that the cursor moved."""
        step, run = self.graph.step, self.run
        return (
            step if self.detail is not None and step is not None and run is not None and step.run_id == run.id else None
        )

    def select(self, run_id: int) -> None:
        """Put the cursor on a run, which may be one that was not read yet."""
        self._wanted = run_id
        if self.ready:
            self.ask(force=True)
            self.update()

    def show(self) -> None:
        view: RunsView | None = self.store.value("runs")
        project = self.project
        first = project.pipelines[0] if project and project.pipelines else "NAME"
        empty = (("No runs yet.", "text"), ("", ""), (f"podium run {first}    starts the first one", "muted"))
        self.table.set_notice(*self.notice_for(self.store.get("runs"), empty))
        if view is not None:
            rows = list(view.runs)
            wanted: RunDetail | None = self.store.value(f"run:{self._wanted}") if self._wanted is not None else None
            if wanted is not None and all(run.id != wanted.run.id for run in rows):
                rows.append(wanted.run)
            self.table.set_rows(tuple(rows), self.second(rows))
            if not self.table.filter_text:
                self.table.title(
                    "Runs",
                    f"{view.total:,}"
                    if len(view.runs) >= view.total
                    else f"newest {len(view.runs):,} of {view.total:,}",
                )
            if self._wanted is not None and self.table.go_to(self._wanted):
                self._wanted = None
        self._show_detail()

    def _show_detail(self) -> None:
        run, detail = self.run, self.detail
        if run is None:
            self.graph.set_notice(("The steps of a run stand here.", "faint"))
            self.log_view.open(None, "Log", ("The log of a step stands here.", "faint"))
            return
        snapshot = self.store.get(f"run:{run.id}")
        if detail is None:
            self.graph.set_notice(*self.notice_for(snapshot, ()))
            self.graph.set_rows(())
            self.graph.title(f"Steps of run {run.id}")
            return
        if not detail.steps:
            self.graph.set_notice(("This run has no steps yet.", "muted"))
        self.graph.show(detail.run, detail.steps)
        self._show_log()
        if self._pending_logs:
            self._pending_logs = False
            self.log_view.focus()

    def _show_log(self) -> None:
        detail, step = self.detail, self.step
        if detail is None:
            return
        cockpit, run = self.podium.cockpit, detail.run
        if step is None:
            self.log_view.open(cockpit.runs.worker_log(run.id), f"Worker of run {run.id}", *self._why_empty(run, None))
            return
        took = fmt.duration((step.ended or self.podium.clock()) - step.started) if step.started is not None else ""
        name = f"Log of {step.name}" + (
            f", from run {step.origin} (cached)" if step.cached and step.origin else f", {took}" if took else ""
        )
        # A cached step ran nothing here: what was said when it did run is in that run's log.
        path = cockpit.runs.log(step.origin if step.cached and step.origin is not None else run.id, step.name)
        self.log_view.open(path, name, *self._why_empty(run, step))

    def _why_empty(self, run: Run, step: Step | None) -> tuple[Span, ...]:
        """What to say where a log has nothing."""
        if step is None:
            return (("The worker has written nothing.", "muted"),)
        words = {
            StepState.PENDING: f"{step.name} has not started; it needs {', '.join(step.needs)}."
            if step.needs
            else f"{step.name} has not started.",
            StepState.RUNNING: f"{step.name} runs and has written nothing yet.",
            StepState.WAITING: f"{step.name} waits for a person: A approves.",
            StepState.SKIPPED: f"{step.name} was skipped" + (f": {step.message}" if step.message else "."),
        }.get(step.state, f"{step.name} has written nothing.")
        lines: list[Span] = [(words, "muted")]
        if step.message and step.state not in (StepState.SKIPPED,):
            lines += [("", ""), (step.message, "bad" if step.state is StepState.FAILED else "text")]
        if run.message and run.state in (RunState.FAILED, RunState.INTERRUPTED):
            lines += [("", ""), (f"Run {run.id}: {run.message}", "warn")]
        return tuple(lines)

    def pass_time(self) -> None:
        self.table.set_rows(self.table.rows, self.second(self.table.rows))
        self._show_detail()

    @property
    def ticking(self) -> bool:
        run = self.run
        return run is not None and run.state is RunState.RUNNING

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="runs")
        detail = self.detail
        return self.make_context(detail.run if detail is not None else self.run, self.step)

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        if message.table.id == "list":
            self._near_end()
            self.update()
        elif message.table.id == "graph":
            self._show_log()
            message.table.refresh()
            self.show_footer()

    def _near_end(self) -> None:
        """More runs are read when the cursor comes to the last ones."""
        view: RunsView | None = self.store.value("runs")
        if (
            view is not None
            and len(view.runs) < view.total
            and self.table.cursor >= len(view.runs) - 20
            and not self.table.filter_text
        ):
            self._limit = max(self._limit, len(view.runs)) * 2
            self.podium.read([queries.runs(self._limit)], force=True)

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_open(self) -> None:
        pane = self.pane
        if pane is None or pane.id == "list":
            self.graph.focus()
        elif pane.id == "graph":
            self._to_log()

    def do_logs(self) -> None:
        if self.detail is None:
            self._pending_logs = True
        else:
            self._to_log()

    def do_resume(self) -> None:
        self.changes.resume_run()

    def do_approve(self) -> None:
        self.changes.approve()

    def do_shell(self) -> None:
        run, step = self.run, self.step
        if run is not None and step is not None:
            self.shells.open(
                f"{step.name} of run {run.id}",
                lambda cockpit: cockpit.runs.shell_command(run.id, step.name, program=PODIUM),
            )

    def _to_log(self) -> None:
        zoomed = self.has_class("-zoomed")
        if zoomed:
            self.unzoom()
        self.focus_pane(self.log_view)
        if zoomed:
            self.do_zoom()

    def leave(self, *, quit_at_root: bool) -> None:
        """Back goes from the log to the graph, from there to the list, and only then to Overview."""
        pane = self.pane
        if pane is not None and pane.id == "log":
            self.graph.focus()
        elif pane is not None and pane.id == "graph":
            self.table.focus()
        else:
            super().leave(quit_at_root=quit_at_root)

    def address(self) -> str:
        run = self.run
        project = self.project
        if run is None or project is None or project.embedded:
            return ""
        return project.tracking_uri
