"""ci: the CI runs of the Git host, and pipelines inside its jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.hosts import CiAttention, CiInbox, CiJob, CiRow, CiState
from ...core.domain.text import clean
from ...core.domain.text.format import ago, duration, short_commit
from ...core.errors import NotFound, PodiumError, UsageError
from ..options import Output, Why
from ..session import command
from ..text import ci_shapes, diagnostics, output
from ..text.output import Column, Format
from .ci_run import ci_run

if TYPE_CHECKING:
    from ...core.cockpit.ci import Ci

# Without an agent nobody has asked the host for a while: then a command does, if it is asked for what is there.
_STALE_SECONDS = 120.0
# The newest CI runs, among which those are that need something.
_LOOKED_THROUGH = 100
_POLL_INTERVAL = 2.0

ci = typer.Typer(
    help="List, read and steer the CI runs of the Git host; run a pipeline inside one of its jobs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_RUNS = (
    Column("RUN", right=True),
    Column("STATE", states=True),
    Column("WHAT", flexible=True),
    Column("BRANCH"),
    Column("COMMIT"),
    Column("PODIUM"),
    Column("VERSION"),
    Column("SERVES", flexible=True),
    Column("CHANGED"),
    Column("TITLE", flexible=True),
)
_PROJECT = Column("PROJECT")
_JOBS = (
    Column("JOB", right=True),
    Column("STATE", states=True),
    Column("NAME"),
    Column("TOOK", right=True),
    Column("REASON", flexible=True),
)
CiRunName = Annotated[
    str, typer.Argument(metavar="RUN", help="The host's number of the CI run, or `last`.", show_default=False)
]
Repo = Annotated[
    str,
    typer.Option(
        "--repo", metavar="OWNER/NAME", help="The repository, for a child pipeline in another one.", show_default=False
    ),
]
InProject = Annotated[
    str,
    typer.Option(
        "--project",
        metavar="NAME",
        help="Of several that are watched together: the one whose run it is. Default: this one.",
        show_default=False,
    ),
]


def ls(
    cockpit: Cockpit,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="List at most N.")] = 30,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed last.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for you.")] = False,
    running: Annotated[bool, typer.Option("--running", help="Only what is not over.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the host first, even if that was done lately.")
    ] = False,
    project: Annotated[
        str,
        typer.Option("--project", metavar="NAME", help="Of several: this one's runs only.", show_default=False),
    ] = "",
    output_format: Output = Format.TABLE,
) -> int:
    """List CI runs: those that failed, that wait for you, that run, then the rest; each the newest first. Those of all
    projects that one agent watches together with this one.

    \b
    Example:
      podium ci ls --failed -o json
    """
    flags = ((failed, CiAttention.FAILED), (waiting, CiAttention.WAITING), (running, CiAttention.RUNNING))
    wanted = {attention for flag, attention in flags if flag}
    inbox = _inbox(cockpit, wanted, refresh, project, max(limit, _LOOKED_THROUGH))
    rows = inbox.rows[:limit]
    several = len(inbox.projects) > 1
    columns = (_PROJECT, *_RUNS) if several else _RUNS
    cells = [((row.project,) if several else ()) + _row(row) for row in rows]
    output.rows(output_format, columns, cells, map(ci_shapes.ci_run, rows))
    for each in inbox.projects:
        if each.missing:
            diagnostics.note(clean(f"{each.label} is left out: {each.missing}"), style="yellow")
    if not rows:
        diagnostics.note("no CI run needs that" if wanted else "no CI runs", style="dim")
    return diagnostics.DONE


def _inbox(cockpit: Cockpit, wanted: set[CiAttention], refresh: bool, project: str, limit: int) -> CiInbox:
    inbox = cockpit.inbox.read(limit=limit, attention=wanted, project=project)
    if inbox.projects:
        before = time.time() - _STALE_SECONDS
        fresh = (each.missing or (each.host is not None and each.host.asked > before) for each in inbox.projects)
        if not refresh and all(fresh):
            return inbox
        failed = cockpit.inbox.refresh(before=0.0 if refresh else before)
        left_out = {each.label for each in inbox.projects if each.missing}
        for label, error in ((label, error) for label, error in failed if label not in left_out):
            diagnostics.note(clean(f"{label}: {error.message}; as it was last seen"), style="yellow")
        return cockpit.inbox.read(limit=limit, attention=wanted, project=project)
    asked = inbox.host.asked if inbox.host is not None else 0.0
    if not refresh and time.time() - asked < _STALE_SECONDS:
        return inbox
    if refresh:
        cockpit.inbox.refresh()
    else:
        _refresh(cockpit.inbox.of(project), inbox)
    return cockpit.inbox.read(limit=limit, attention=wanted, project=project)


def _row(row: CiRow) -> tuple[str, ...]:
    run = row.run
    state = "waiting for me" if row.attention is CiAttention.WAITING else run.state.value
    serves = ", ".join(
        f"{each.environment} {each.share:.0%}" for version in row.versions for each in version.served if each.share
    )
    return (
        run.id,
        state,
        run.name,
        run.branch,
        short_commit(run.sha),
        f"{row.podium.id} {row.podium.state.value}" if row.podium is not None else "",
        " ".join(each.name for each in row.versions),
        serves,
        ago(run.updated or run.created or None),
        run.title,
    )


def show(
    cockpit: Cockpit,
    run: CiRunName = "last",
    repo: Repo = "",
    project: InProject = "",
    output_format: Output = Format.TABLE,
) -> int:
    """Show one CI run, its jobs and what it waits for. Asks the host.

    \b
    Example:
      podium ci show 4711
    """
    ci = cockpit.inbox.of(project)
    row = _found(ci, run, repo)
    jobs = ci.jobs(row.run.id, row.run.repo)
    if output_format is Format.JSON:
        output.document({**ci_shapes.ci_run(row), "jobs": [ci_shapes.ci_job(job) for job in jobs]})
        return diagnostics.DONE
    if output_format is Format.TABLE:
        output.pairs(_facts(row))
        output.line()
    output.rows(output_format, _JOBS, [_job(job) for job in jobs], ())
    return diagnostics.DONE


def _facts(row: CiRow) -> list[tuple[str, str]]:
    run = row.run
    waits = ", ".join(each.environment + ("" if each.may else f" (not for you: {each.why})") for each in row.approvals)
    return [
        ("run", f"{run.id} {run.name} of {run.repo}"),
        ("state", run.state.value),
        ("waits for", waits),
        ("commit", f"{short_commit(run.sha)} {run.title}"),
        ("branch", run.branch),
        ("event", f"{run.event} by {run.actor}" if run.actor else run.event),
        ("podium", f"run {row.podium.id}, {row.podium.state.value}" if row.podium is not None else ""),
        ("versions", " ".join(each.name for each in row.versions)),
        ("page", run.url),
    ]


def _job(job: CiJob) -> tuple[str, ...]:
    took = duration(job.ended - job.started) if job.started and job.ended else ""
    reason = job.reason or (f"started {job.child.repo} {job.child.id}" if job.child is not None else "")
    return (job.id, job.state.value, job.name, took, reason)


def logs(
    cockpit: Cockpit,
    run: CiRunName = "last",
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="[JOB]", help="A job, by name or number. Default: those that failed, else all.", show_default=False
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Print new lines until the job has ended.")] = False,
    repo: Repo = "",
    project: InProject = "",
) -> int:
    """Print the logs of a CI run's jobs. GitLab's are there while a job runs, GitHub's after it; it says so.

    \b
    Example:
      podium ci logs last
      podium ci logs 4711 test -f
    """
    ci = cockpit.inbox.of(project)
    row = _found(ci, run, repo)
    chosen = _chosen(ci.jobs(row.run.id, row.run.repo), job, row.run.id)
    for each in chosen:
        if len(chosen) > 1:
            diagnostics.note(f"{clean(each.name)}: {each.state.value}", style="bold")
        _print_log(ci, each, row.run.repo, follow)
    return diagnostics.DONE


def _chosen(jobs: Sequence[CiJob], job: str | None, run: str) -> list[CiJob]:
    own = [each for each in jobs if each.child is None]
    if job is None:
        return [each for each in own if each.state is CiState.FAILED] or own
    found = [each for each in own if job in (each.name, each.id)]
    if not found:
        names = ", ".join(clean(each.name) for each in own)
        raise NotFound(f"CI run {run} has no job {job!r}", hint=f"it has: {names or 'none'}")
    return found


def _print_log(ci: Ci, job: CiJob, repo: str, follow: bool) -> None:
    """Prints a job's log from its beginning; with `follow` until nothing more will come."""
    offset, rest, said = 0, "", ""
    while True:
        piece = ci.log(job.id, offset=offset, repo=repo)
        *lines, rest = (rest + piece.text).split("\n")
        for line in lines:
            output.logged(line)
        moved, offset = piece.next != offset, piece.next
        if piece.note and piece.note != said:
            said = piece.note
            wait = f"; the next look is in {duration(piece.retry_after)}" if follow and piece.retry_after else ""
            diagnostics.note(f"{clean(piece.note)}{wait}", style="dim")
        if piece.complete or (not follow and not moved):
            break
        if not moved:
            output.flush()
            time.sleep(max(piece.retry_after, _POLL_INTERVAL))
    if rest:
        output.logged(rest)


def rerun(
    cockpit: Cockpit,
    run: CiRunName,
    all_: Annotated[bool, typer.Option("--all", help="Run every job again, not only what failed.")] = False,
    why: Why = "",
    repo: Repo = "",
    project: InProject = "",
) -> int:
    """Run what failed in a CI run again.

    \b
    Example:
      podium ci rerun last --why "the runner was full"
    """
    ci = cockpit.inbox.of(project)
    number, where = _named(ci, run, repo)
    ci.rerun(number, failed=not all_, why=why, repo=where)
    diagnostics.note(f"CI run {clean(number)} runs again", style="green")
    return diagnostics.DONE


def cancel(cockpit: Cockpit, run: CiRunName, why: Why = "", repo: Repo = "", project: InProject = "") -> int:
    """Cancel a CI run.

    \b
    Example:
      podium ci cancel 4711 --why "superseded"
    """
    ci = cockpit.inbox.of(project)
    number, where = _named(ci, run, repo)
    ci.cancel(number, why=why, repo=where)
    diagnostics.note(f"CI run {clean(number)} was asked to stop")
    return diagnostics.DONE


def approve(
    cockpit: Cockpit,
    run: CiRunName,
    environment: Annotated[
        str,
        typer.Argument(metavar="[ENVIRONMENT]", help="What it waits for. Default: the only one.", show_default=False),
    ] = "",
    why: Why = "",
    repo: Repo = "",
    project: InProject = "",
) -> int:
    """Let a CI run go on to an environment that it waits for, as the account of the token.

    \b
    Example:
      podium ci approve 4711 production --why "checked by hand"
    """
    ci = cockpit.inbox.of(project)
    number, where = _named(ci, run, repo)
    done = ci.approve(number, environment, why=why, repo=where)
    diagnostics.note(f"CI run {clean(number)} goes on to {clean(done.environment)}", style="green")
    return diagnostics.DONE


def start(
    cockpit: Cockpit,
    workflow: Annotated[
        str,
        typer.Argument(metavar="[WORKFLOW]", help="Its number, name or file. Without: list them.", show_default=False),
    ] = "",
    ref: Annotated[
        str,
        typer.Option("--ref", metavar="REF", help="A branch or tag. Default: git.branch.", show_default=False),
    ] = "",
    inputs: Annotated[
        list[str] | None, typer.Option("--input", "-p", metavar="NAME=VALUE", help="An input; may be repeated.")
    ] = None,
    why: Why = "",
    project: InProject = "",
    output_format: Output = Format.TABLE,
) -> int:
    """Start a workflow of the host, or list those that can be started.

    \b
    Example:
      podium ci start
      podium ci start nightly.yml --ref main -p rounds=60
    """
    ci = cockpit.inbox.of(project)
    known = ci.workflows()
    if not workflow:
        cells = [(each.id, each.name, each.path, " ".join(each.inputs)) for each in known]
        columns = (Column("ID", right=True), Column("NAME"), Column("FILE"), Column("INPUTS", flexible=True))
        output.rows(output_format, columns, cells, map(ci_shapes.ci_workflow, known))
        return diagnostics.DONE
    given: dict[str, str] = {}
    for text in inputs or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--input {text}: not of the form NAME=VALUE")
        given[name] = value
    named = next(
        (each for each in known if workflow in (each.id, each.name, each.path, each.path.split("/")[-1])), None
    )
    if named is None:
        raise NotFound(f"there is no workflow {workflow!r}", hint="`podium ci start` lists those that can be started")
    ci.start(named.id, ref, given, why=why)
    diagnostics.note(f"{clean(named.name)} was started; `podium ci ls --running` shows it", style="green")
    return diagnostics.DONE


def _named(ci: Ci, run: str, repo: str) -> tuple[str, str]:
    """Returns the number of a CI run and its repository."""
    row = _found(ci, run, repo)
    return row.run.id, repo or row.run.repo


def _found(ci: Ci, run: str, repo: str) -> CiRow:
    if run not in ("last", "latest"):
        return ci.get(run.removeprefix("#"), repo)
    inbox = ci.inbox()
    if inbox.host is None or time.time() - inbox.host.asked > _STALE_SECONDS:
        _refresh(ci, inbox)
        inbox = ci.inbox()
    if not inbox.rows:
        raise NotFound("there are no CI runs")
    return max(inbox.rows, key=lambda row: row.run.created)


def _refresh(ci: Ci, inbox: CiInbox) -> None:
    """Asks the host; one that was asked before may not answer now."""
    try:
        ci.refresh()
    except PodiumError as error:
        if inbox.host is None:
            raise
        diagnostics.note(f"{clean(error.message)}; as it was {ago(inbox.host.asked)}", style="yellow")


for _name, _function in (
    ("ls", ls),
    ("show", show),
    ("logs", logs),
    ("rerun", rerun),
    ("cancel", cancel),
    ("approve", approve),
    ("start", start),
    ("run", ci_run),
):
    ci.command(_name)(command(_function))
