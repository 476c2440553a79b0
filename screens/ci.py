"""CI: the inbox of the Git host's CI runs, the jobs and steps of one of them, and a job's log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Vertical

from ..core.domain.hosts import CiAttention, CiInbox, CiLogFile, CiRow, CiRun, CiState, HostLimits, HostState
from ..core.domain.text import format as fmt
from ..core.errors import PodiumError
from ..tui import confirmations
from ..tui.context import Context
from ..tui.pool import SLOW
from ..tui.queries import Query
from ..tui.widgets.log_view import LogView
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table
from ..tui.widgets.text_pane import TextPane
from .base import PodiumScreen
from .cells.ci import JobLine, ci_columns, ci_lines, ci_text, job_columns, job_lines

if TYPE_CHECKING:
    from ..core.cockpit import Cockpit

INBOX = Query("ci", lambda cockpit: cockpit.inbox.read(), every=0.5)
# The journals of other projects do not ring here.
_OTHERS_SECONDS = 2.0
# The host is asked for jobs and logs of what is open and goes on, and of nothing else.
_JOBS_SECONDS = 5.0
_LOG_SECONDS = 2.0


def jobs_of(row: CiRow) -> Query:
    project, run, repo = row.project, row.run.id, row.run.repo
    return Query(
        f"ci-jobs:{project}:{repo}:{run}",
        lambda cockpit: tuple(cockpit.inbox.of(project).jobs(run, repo)),
        every=_JOBS_SECONDS,
        lane=SLOW,
    )


def run_of(row: CiRow) -> Query:
    """Returns the query of a pipeline that another one started: the inbox does not list it."""
    project, run, repo = row.project, row.run.id, row.run.repo

    def read(cockpit: Cockpit) -> CiRow:
        return replace(cockpit.inbox.of(project).get(run, repo), project=project)

    return Query(f"ci-run:{project}:{repo}:{run}", read, every=_JOBS_SECONDS, lane=SLOW)


def log_of(row: CiRow, job: str, every: float = _LOG_SECONDS) -> Query:
    project, repo = row.project, row.run.repo
    return Query(
        f"ci-log:{project}:{repo}:{job}",
        lambda cockpit: cockpit.inbox.of(project).fetch_log(job, repo=repo),
        every=every,
        lane=SLOW,
    )


def limits_of(project: str) -> Query:
    return Query(
        f"ci-limits:{project}" if project else "ci-limits",
        lambda cockpit: cockpit.inbox.of(project).limits(),
        every=30.0,
        lane=SLOW,
    )


def _key(row: CiRow) -> tuple[str, ...]:
    return (row.project, row.host, row.run.repo, row.run.id)


class CiScreen(PodiumScreen):
    title_id = "ci"
    first_pane = "inbox"
    DEFAULT_CSS = """
    CiScreen #body { layout: vertical; }
    CiScreen #inbox { height: 1fr; }
    CiScreen #facts { height: 8; }
    CiScreen #opened { height: 2fr; layout: vertical; display: none; }
    CiScreen.-opened #opened { display: block; }
    CiScreen.-opened #facts { display: none; }
    CiScreen #jobs { height: 7; }
    CiScreen #log { height: 1fr; }
    CiScreen.-tall #facts { height: 12; }
    CiScreen.-tall #jobs { height: 12; }
    CiScreen.-huge #body { layout: horizontal; }
    CiScreen.-huge #inbox { width: 3fr; }
    CiScreen.-huge #facts { width: 2fr; height: 1fr; }
    CiScreen.-huge #opened { width: 3fr; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._opened_run: CiRow | None = None
        self._above: tuple[CiRow, ...] = ()
        """The runs that were gone through to the one that is opened, the outermost first."""
        self._log_job: JobLine | None = None
        self._start_in = ""
        self._with_projects = False

    def body(self) -> ComposeResult:
        yield Table[CiRow](
            "CI",
            ci_columns(lambda: self.glyphs, self.podium.clock),
            key=_key,
            text=ci_text,
            id="inbox",
        )
        yield TextPane("CI run", wrap=True, id="facts")
        with Vertical(id="opened", classes="group"):
            yield Table[JobLine](
                "Jobs",
                job_columns(lambda: self.glyphs, self.podium.clock),
                key=lambda line: (line.job.id, line.step.number if line.step else 0),
                text=lambda line: f"{line.job.name} {line.step.name if line.step else ''} {line.job.state}",
                header=False,
                id="jobs",
            )
            yield LogView(id="log")

    def queries(self) -> Iterable[Query]:
        yield INBOX
        yield limits_of("")
        if self._opened_run is not None:
            yield jobs_of(self._opened_run)
            if self._above:
                yield run_of(self._opened_run)
        if self._log_job is not None and self._opened_run is not None:
            yield log_of(self._opened_run, self._log_job.job.id)

    def tick(self) -> None:
        super().tick()
        if self._several:
            self.podium.read([replace(INBOX, every=_OTHERS_SECONDS)])
        row = self.opened
        if row is None:
            return
        if not row.run.state.finished:
            self.podium.read([jobs_of(row)])
            if self._above:
                self.podium.read([run_of(row)])
        log = self._log
        if self._log_job is not None and log is not None and not log.complete:
            every = max(_LOG_SECONDS, log.retry_after)
            self.podium.read([log_of(row, self._log_job.job.id, every)])

    # What is shown

    @property
    def table(self) -> Table[CiRow]:
        return self.query_one("#inbox", Table)

    @property
    def jobs(self) -> Table[JobLine]:
        return self.query_one("#jobs", Table)

    @property
    def opened(self) -> CiRow | None:
        """The run whose jobs are shown, as it is now."""
        was = self._opened_run
        if was is None:
            return None
        inbox: CiInbox = self.store.value("ci", CiInbox())
        asked: CiRow | None = self.store.value(run_of(was).key) if self._above else None
        return next((row for row in inbox.rows if _key(row) == _key(was)), asked or was)

    @property
    def row(self) -> CiRow | None:
        if not self.ready:
            return None
        pane = self.pane
        return self.opened if pane is not None and pane.id in ("jobs", "log") else self.table.current

    @property
    def _log(self) -> CiLogFile | None:
        if self._log_job is None or self._opened_run is None:
            return None
        value: CiLogFile | None = self.store.value(log_of(self._opened_run, self._log_job.job.id).key)
        return value

    @property
    def limits(self) -> HostLimits:
        """What the host of the row under the cursor cannot do."""
        row = self.row
        limits: HostLimits = self.store.value(limits_of(row.project if row is not None else "").key, HostLimits())
        return limits

    @property
    def _several(self) -> bool:
        """Whether the runs of more than one project are here."""
        inbox: CiInbox = self.store.value("ci", CiInbox())
        return len(inbox.projects) > 1

    def show(self) -> None:
        snapshot = self.store.get("ci")
        inbox: CiInbox = snapshot.value or CiInbox()
        if self._several != self._with_projects:
            self._with_projects = self._several
            self.table.set_columns(ci_columns(lambda: self.glyphs, self.podium.clock, self._several))
        self.table.set_notice(*self.notice_for(snapshot, self._empty(inbox)))
        self.table.set_rows(inbox.rows, int(self.podium.clock() // 15))
        if not self.table.filter_text:
            self.table.title(*self._title(inbox))
        self.set_class(self._opened_run is not None, "-opened")
        row = self.table.current
        if row is not None and row.project:
            self.podium.read_new([limits_of(row.project)])
        facts = self.query_one("#facts", TextPane)
        facts.title(f"CI run {row.run.id}" if row is not None else "CI run", "enter shows its jobs")
        facts.set_lines(ci_lines(row, self.limits, self.glyphs, self.podium.clock()) if row is not None else ())
        facts.set_notice(("What is known of a CI run stands here.", "faint"))
        if self._opened_run is not None:
            self._show_jobs()

    def _empty(self, inbox: CiInbox) -> tuple[tuple[str, str], ...]:
        if not self.limits.configured:
            return (
                ("podium.yaml names no Git host.", "text"),
                ("", ""),
                ("git: {host: {kind: github, repo: owner/name}}    makes this the inbox of its CI runs", "muted"),
            )
        if inbox.host is None:
            return (
                ("The host was not asked yet.", "muted"),
                ("r asks it; podium watch --daemon does by itself", "muted"),
            )
        return ((inbox.host.error or "No CI run yet.", "bad" if inbox.host.error else "muted"),)

    def _title(self, inbox: CiInbox) -> tuple[str, str]:
        if not inbox.projects:
            name = f"CI of {inbox.host.name}" if inbox.host is not None else "CI"
            return name, self._asked_words(inbox.host)
        words = [f"{each.label} is left out: {each.missing}" for each in inbox.projects if each.missing]
        words += [
            f"{each.label}: {each.host.error}" for each in inbox.projects if each.host is not None and each.host.error
        ]
        asked = [each.host.asked for each in inbox.projects if each.host is not None]
        if not words and asked:
            words = [f"asked {fmt.ago(min(asked), self.podium.clock())}"]
        return f"CI of {len(inbox.projects)} projects", "; ".join(words)

    def _asked_words(self, host: HostState | None) -> str:
        if host is None:
            return ""
        asked = f"asked {fmt.ago(host.asked, self.podium.clock())}"
        if host.error:
            return f"{host.error}; {asked}"
        left = host.rate.remaining if host.rate is not None else None
        return asked + (f", {left:,} calls left" if left is not None else "")

    def _show_jobs(self) -> None:
        row = self.opened
        if row is None:
            return
        snapshot = self.store.get(jobs_of(row).key)
        self.jobs.set_notice(*self.notice_for(snapshot, (("The host lists no job of it.", "muted"),)))
        self.jobs.set_rows(job_lines(snapshot.value or ()), int(self.podium.clock()))
        if not self.jobs.filter_text:
            back = f"q goes back to {self._above[-1].run.id}" if self._above else "q closes"
            where = f" in {row.run.repo}" if self._above and row.run.repo != self._above[0].run.repo else ""
            title = f"Jobs of {row.run.name} {row.run.id}{where}: {row.run.state}"
            self.jobs.title(title, f"enter shows a log; {back}")
        self._show_log(row)

    def _show_log(self, row: CiRow) -> None:
        view = self.query_one("#log", LogView)
        if self._log_job is None:
            view.open(None, "Log", ("The log of a job stands here.", "faint"))
            return
        job, log = self._log_job.job, self._log
        error = self.store.get(log_of(row, job.id).key).error
        name = f"Log of {job.name}"
        if error is not None and log is None:
            view.open(None, name, (error.message, "bad"), (error.hint, "muted"))
        elif log is None:
            view.open(None, name, ("asking the host …", "faint"))
        else:
            wait = f" The next look is in {fmt.duration(log.retry_after)}." if log.retry_after else ""
            note = f"{log.note}.{wait}" if log.note else "It has written nothing."
            going = "" if log.complete else f", not asked: {error.message}" if error is not None else ", going on"
            view.open(log.path, name + going, (note, "muted"))

    def pass_time(self) -> None:
        self.show()

    @property
    def ticking(self) -> bool:
        row = self.opened
        return row is not None and row.run.state is CiState.RUNNING

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="ci")
        return self.make_context(self.row, self.limits)

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        if message.table.id == "inbox":
            self.show()
        self.show_footer()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_open(self) -> None:
        pane = self.pane
        if pane is not None and pane.id == "inbox" and self.table.current is not None:
            self._open(self.table.current, ())
        elif pane is not None and pane.id == "jobs":
            line = self.jobs.current
            if line is not None and line.job.child is not None:
                self._open_child(line.job.child)
            else:
                self.do_logs()

    def _open(self, row: CiRow, above: tuple[CiRow, ...]) -> None:
        self._opened_run, self._above, self._log_job = row, above, None
        self.podium.read(self.queries(), force=True)
        self.update()
        self.focus_pane(self.jobs)

    def _open_child(self, child: CiRun) -> None:
        """Shows the jobs of a pipeline that a job of the opened one started."""
        parent = self.opened
        if parent is not None:
            attention = CiAttention.OVER if child.state.finished else CiAttention.RUNNING
            row = CiRow(parent.host, child, attention, project=parent.project)
            self._open(row, (*self._above, parent))

    def _close_run(self) -> None:
        """Goes back to the pipeline that started the opened one, if one did, else to the inbox."""
        if self._above:
            child, (*above, parent) = self._opened_run, self._above
            self._open(parent, tuple(above))
            line = next((each for each in self.jobs.rows if _started(each, child)), None)
            if line is not None:
                self.jobs.go_to((line.job.id, 0))
            return
        self._opened_run = self._log_job = None
        self.update()
        self.focus_pane(self.table)

    def do_logs(self) -> None:
        if self._opened_run is None:
            self.do_open()
            return
        line = self.jobs.current
        if line is None:
            self.podium.say("no job is under the cursor", "warn")
            return
        if line.job.child is not None:
            self.podium.say(f"{line.job.name} starts a pipeline and has no log: enter shows that one's jobs", "warn")
            return
        self._log_job = line
        self.podium.read([log_of(self._opened_run, line.job.id)], force=True)
        self.update()
        self.focus_pane(self.query_one("#log", LogView))

    def leave(self, *, quit_at_root: bool) -> None:
        """Back goes from the log to the jobs, from those of a child pipeline to its parent's, closes them, and only
        then goes to Overview."""
        pane = self.pane
        if pane is not None and pane.id == "log":
            self.focus_pane(self.jobs)
        elif self._opened_run is not None:
            self._close_run()
        elif pane is not None and pane.id != "inbox":
            self.focus_pane(self.table)
        else:
            super().leave(quit_at_root=quit_at_root)

    def do_again(self) -> None:
        if self.row is not None:
            self.confirm(confirmations.ci_rerun(self.row))

    def do_cancel(self) -> None:
        if self.row is not None:
            self.confirm(confirmations.ci_cancel(self.row))

    def do_approve(self) -> None:
        row = self.row
        mine = [each for each in row.approvals if each.may] if row is not None else []
        if row is None:
            return
        if len(mine) == 1:
            self.confirm(confirmations.ci_approve(row, mine[0]))
        else:
            names = ", ".join(each.environment for each in mine)
            command = f"podium ci approve {row.run.id} ENVIRONMENT{confirmations.in_project(row)}"
            self.podium.say(f"it waits for {names}: {command} chooses one", "warn")

    def do_refresh(self) -> None:
        self.carry_out("ask the host", lambda cockpit: cockpit.inbox.refresh(), self._refreshed)

    def _refreshed(self, failed: Any) -> None:
        self.podium.read([INBOX], force=True)
        words = "; ".join(f"{label}: {error.message}" for label, error in failed)
        self.podium.say(words or "asked just now", "warn" if words else "ok")

    def do_browser(self) -> None:
        row = self.row
        if row is None:
            self.podium.say("no CI run is under the cursor", "warn")
            return
        try:
            self.podium.open_address(self.podium.cockpit.inbox.of(row.project).page(row))
        except PodiumError as error:
            self.podium.say(f"browser: {error.message}", "warn")

    # Starting a workflow

    def do_start(self) -> None:
        """Starts a workflow of the project of the row under the cursor."""
        project = self.row.project if self.row is not None else ""
        self.carry_out(
            "list workflows",
            lambda cockpit: tuple(cockpit.inbox.of(project).workflows()),
            lambda found: self._ask_workflow(project, found),
        )

    def _ask_workflow(self, project: str, workflows: Any) -> None:
        """Asks which of them is started; what is answered is about this project, wherever the cursor is by then."""
        self._start_in = project
        if not workflows:
            self.podium.say("the host has no workflow that can be started by hand", "warn")
            return
        self._workflows = workflows
        names = ", ".join(each.name for each in workflows[:8])
        of = f" of {project}" if project else ""
        self.podium.say(f"workflows{of}: {names}; then NAME=VALUE for inputs")
        self.query_one(Prompt).ask("start", workflows[0].path.split("/")[-1] or workflows[0].name)

    def answered(self, message: Prompt.Answered) -> None:
        if message.purpose != "start":
            super().answered(message)
            return
        self.query_one(Prompt).close()
        self.focus_pane(self.table)
        words = (message.text or "").split()
        if not words:
            return
        found = next((each for each in self._workflows if words[0] in each.names), None)
        pairs = [word.partition("=") for word in words[1:]]
        if found is None or not all(equals and name for name, equals, _ in pairs):
            self.podium.say(f"{words[0]}: no such workflow, or an input is not NAME=VALUE", "warn")
            return
        self.confirm(confirmations.ci_start(found, {name: value for name, _, value in pairs}, self._start_in))


def _started(line: JobLine, child: CiRow | None) -> bool:
    found = line.job.child
    return found is not None and child is not None and (found.repo, found.id) == (child.run.repo, child.run.id)
