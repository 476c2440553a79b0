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
from ..tui.places.trail import Place
from ..tui.queries import RUNS_PAGE, Query, RunsView
from ..tui.widgets.graph import Graph
from ..tui.widgets.log_view import LogView
from ..tui.widgets.pane import Span
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table
from .base import PodiumScreen
from .cells.common import run_columns, run_text
from .verbs.changes import ChangeKeys
from .verbs.launch import LaunchKeys
from .verbs.shells import ShellKeys


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
        self.launch = LaunchKeys(self)
        self.shells = ShellKeys(self)
        self._limit = RUNS_PAGE
        self._wanted: int | None = None
        self._wanted_step = ""
        self._marks: frozenset[int] = frozenset()
        self._older: int | None = None
        """A run that was gone to and may be older than those that were read: it stays in the list."""
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
            yield queries.times(run.id)
        if self._older is not None and (run is None or run.id != self._older):
            yield queries.run(self._older)

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

    def select(self, run_id: int, step: str = "") -> None:
        """Put the cursor on a run, which may be one that was not read yet, and on a step of it."""
        self._wanted, self._wanted_step, self._older = run_id, step, run_id
        if self.ready and self.table.filter_text:
            self.table.set_filter("")
        if self.ready:
            self.ask(force=True)
            self.update()

    def show_pipeline(self, name: str) -> None:
        """Shows the runs of a pipeline alone."""
        self.table.set_filter(name)
        self.focus_pane(self.table)

    @property
    def loading(self) -> bool:
        pane = self.pane
        if super().loading or self._wanted is not None or self._wanted_step or self._pending_logs:
            return True
        if pane is None or pane.id == "list" or self.run is None:
            return False
        return (self.detail is None and self.store.get(f"run:{self.run.id}").loading) or not self._graph_is_of_run

    @property
    def _graph_is_of_run(self) -> bool:
        """Whether the graph shows the run under the cursor: it hears a little later that the cursor has moved."""
        return self.run is None or self.detail is None or self.graph.run_id == self.run.id

    def show(self) -> None:
        view: RunsView | None = self.store.value("runs")
        project = self.project
        first = project.pipelines[0] if project and project.pipelines else "NAME"
        empty = (("No runs yet.", "text"), ("", ""), (f"podium run {first}    starts the first one", "muted"))
        self.table.set_notice(*self.notice_for(self.store.get("runs"), empty))
        if view is not None:
            rows = list(view.runs)
            older: RunDetail | None = self.store.value(f"run:{self._older}") if self._older is not None else None
            if older is not None and all(run.id != older.run.id for run in rows):
                rows.append(older.run)
            self.table.marks = self._marks
            self.table.set_rows(tuple(rows), (self.second(rows), self._marks))
            if not self.table.filter_text:
                self.table.title(
                    "Runs",
                    f"{len(self._marks)} marked of {view.total:,}"
                    if self._marks
                    else f"{view.total:,}"
                    if len(view.runs) >= view.total
                    else f"newest {len(view.runs):,} of {view.total:,}",
                )
            if self._wanted is not None:
                failed = self.store.get(f"run:{self._wanted}").error
                if self.table.go_to(self._wanted):
                    self._wanted = None
                elif failed is not None:
                    self._wanted, self._wanted_step = None, ""
                    self.podium.say(failed.message, "warn")
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
        self.graph.show(detail.run, detail.steps, self.store.value(f"times:{run.id}", ()))
        if self._wanted_step and self._wanted is None:
            name, self._wanted_step = self._wanted_step, ""
            self.graph.choose(name)
            self.focus_pane(self.graph)
        self._show_log()
        if self._pending_logs:
            self._pending_logs = False
            self.focus_pane(self.log_view)

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
        self.table.set_rows(self.table.rows, (self.second(self.table.rows), self._marks))
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
        chosen = tuple(run for run in self.table.rows if run.id in self._marks)
        found = detail.run if detail is not None else self.run
        return self.make_context(found, self.step, detail, marked=len(chosen), chosen=chosen)

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
            self.focus_pane(self.graph)
        elif pane.id == "graph":
            self._to_log()

    def do_plot(self) -> None:
        from .curves import CurvesScreen

        if self.run is not None:
            self.app.push_screen(CurvesScreen(f"run {self.run.id}", run_id=self.run.id))

    def do_merge(self) -> None:
        """The cells of a matrix as a table."""
        from .matrix import MatrixScreen, matrix_of

        detail = self.detail
        if detail is not None:
            self.app.push_screen(MatrixScreen(detail.run.id, matrix_of(detail.steps, self.step)))

    def do_diff(self) -> None:
        """Two marked runs, the older one first."""
        from .run_pair import RunPairScreen

        first, second = sorted(self._marks)
        self.carry_out(
            "compare",
            lambda cockpit: cockpit.why.runs(first, second),
            lambda found: self.app.push_screen(RunPairScreen(found)),
        )

    def do_logs(self) -> None:
        if self.detail is None:
            self._pending_logs = True
        else:
            self._to_log()

    def do_compare(self) -> None:
        from .compare import CompareScreen

        names = [f"run:{run.id}" for run in sorted(self.table.rows, key=lambda run: run.id) if run.id in self._marks]
        self.carry_out(
            "compare",
            lambda cockpit: cockpit.comparing.compare(names),
            lambda comparison: self.app.push_screen(CompareScreen(comparison)),
        )

    def do_mark(self) -> None:
        if self.run is not None:
            self._marks ^= {self.run.id}
            self.update()
            self.table.move("down")

    def do_escape(self) -> None:
        if self._marks and self.pane is self.table and not self.table.filter_text:
            self._marks = frozenset()
            self.update()
        else:
            super().do_escape()

    def return_to(self, place: Place) -> None:
        run = dict(place.cursors).get("list")
        if isinstance(run, int):
            self._older = run  # it may be older than those that were read
        super().return_to(place)

    def do_launch(self) -> None:
        self.launch.begin()

    def answered(self, message: Prompt.Answered) -> None:
        if message.purpose != LaunchKeys.PURPOSE:
            super().answered(message)
            return
        self.query_one(Prompt).close()
        self.focus_pane(self.query_one("#list", Table))
        self.launch.answered(message.text)

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
            self.focus_pane(self.graph)
        elif pane is not None and pane.id == "graph":
            self.focus_pane(self.table)
        else:
            super().leave(quit_at_root=quit_at_root)

    def address(self) -> str:
        run = self.run
        project = self.project
        if run is None or project is None or project.embedded:
            return ""
        return project.tracking_uri
