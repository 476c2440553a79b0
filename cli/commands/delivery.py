"""status, history and quarantine: what is served where, what was, and what may not be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

import typer

from ...core.cockpit import Cockpit
from ...core.domain.attention import Need, Reason
from ...core.domain.delivery import Condition, Deployment, EnvironmentStatus, ReplicaState
from ...core.domain.monitors.badges import AlertBadge, badges
from ...core.domain.text import clean, whole_number
from ...core.domain.text.format import ago, duration, figure, local, short_commit
from ...core.domain.text.moments import spoken_moment
from ...core.domain.verdicts import VersionVerdict, last_word, quarantine_of
from ...core.domain.why.answers import ServedAt
from ...core.errors import Problem, UsageError
from ..interaction.apply import apply, without_a_run
from ..options import AnyEnvironment, ChangeOptions, Model, Output
from ..session import command
from ..text import diagnostics, monitoring_shapes, output, shapes
from ..text.output import Column, Format

_STATUS = (
    Column("ENVIRONMENT"),
    Column("SERVES", right=True),
    Column("SINCE"),
    Column("COMMIT"),
    Column("REPLICAS"),
    Column("ROLLBACK"),
    Column("URL"),
    Column("NOTE", flexible=True),
)
_ALERTS = Column("ALERTS")


class _Row(NamedTuple):
    """An environment, its cells, and how its alerts stand."""

    status: EnvironmentStatus
    cells: tuple[str, ...]
    mark: AlertBadge | None


def status(cockpit: Cockpit, environment: AnyEnvironment = None, output_format: Output = Format.TABLE) -> int:
    """Show what each environment serves, what needs a person, and what is running.

    \b
    Example:
      podium status -o json
    """
    environments = [cockpit.environments.get(environment)] if environment else cockpit.environments.list()
    cockpit.runs.recover()
    needs = [each for each in cockpit.project.needs(environments) if environment in (None, each.environment)]
    problems = cockpit.project.problems
    code = diagnostics.USAGE if problems else diagnostics.DONE
    active = cockpit.runs.active()
    agent = cockpit.agent.status()
    marks = badges(cockpit.alerts.list())
    if output_format is Format.JSON:
        value = {
            "project": cockpit.project.config.name,
            "home": str(cockpit.home),
            "copy_of": cockpit.project.copy_of,
            "problems": [shapes.problem(each) for each in problems],
            "agent": shapes.agent(agent),
            "environments": [
                {**shapes.environment(each), "alerts": monitoring_shapes.badge(marks.get(each.name))}
                for each in environments
            ],
            "needs": [shapes.need(each) for each in needs],
            "active_runs": [shapes.run(each) for each in active],
        }
        output.document(value)
        return code
    verdicts = {model: cockpit.models.verdicts(model) for model in {each.model for each in environments}}
    several = len(cockpit.project.config.served_models) > 1
    rows = [_Row(each, _status_row(each, verdicts[each.model]), marks.get(each.name)) for each in environments]
    _print_environments(output_format, rows, several=several)
    if not environments:
        diagnostics.note("podium.yaml has no environments", style="dim")
    _print_needs(needs, problems)
    for run in active:
        if run.id not in {need.run_id for need in needs}:
            diagnostics.note(f"run {run.id} {clean(run.name)} is {run.state.value}", style="cyan")
    if not agent.alive and all(need.reason is not Reason.AGENT for need in needs):
        diagnostics.note(
            "the agent is not running: pushes start no runs, nothing is monitored (`podium watch --daemon`)",
            style="dim",
        )
    if agent.trouble and not problems:
        diagnostics.note("the agent cannot use podium.yaml (`podium watch --status`)", style="yellow")
    return code


def _print_environments(output_format: Format, rows: Sequence[_Row], *, several: bool) -> None:
    """Prints the table; with a column of models where there are `several`, and of alerts where an environment has
    any."""
    columns, cells = _STATUS, [each.cells for each in rows]
    if any(each.mark for each in rows):
        columns = (*columns[:-1], _ALERTS, columns[-1])
        cells = [(*each.cells[:-1], each.mark.short if each.mark else "", each.cells[-1]) for each in rows]
    if several:
        columns = (columns[0], Column("MODEL"), *columns[1:])
        cells = [(row[0], each.status.model, *row[1:]) for each, row in zip(rows, cells, strict=True)]
    output.rows(output_format, columns, cells, ())


def _print_needs(needs: Iterable[Need], problems: Iterable[Problem]) -> None:
    for problem in problems:
        diagnostics.note(clean(str(problem)), style="red")
    for need in needs:
        if need.reason is Reason.CONFIG:
            text = "podium.yaml cannot be used: shown is what its last good content says (`podium validate`)"
            diagnostics.note(text, style="red")
        elif need.reason is not Reason.DIFFERENCE:  # the table has those
            diagnostics.note(_need_line(need), style="yellow" if need.urgency < 4 else "cyan")


def _need_line(need: Need) -> str:
    command = f" (`{clean(need.command)}`)" if need.command and need.command not in need.words else ""
    return f"{clean(need.subject)}: {clean(need.words)}{command}"


def _status_row(status: EnvironmentStatus, verdicts: Mapping[int, Sequence[VersionVerdict]]) -> tuple[str, ...]:
    row = status.deployment
    return (
        status.name + (" (protected)" if status.protected else ""),
        _serves(status),
        ago(row.ended or row.at) if row else "",
        short_commit(row.commit) if row else "",
        _replicas(status),
        _back(status),
        status.url,
        "; ".join([*_notes(status), *_quarantined(status, verdicts)]),
    )


def _serves(status: EnvironmentStatus) -> str:
    """Returns the versions that answer; with their shares where there are several."""
    found = status.answers
    return ", ".join(f"v{version} {share:.0%}" if len(found) > 1 else f"v{version}" for version, share in found.items())


def _replicas(status: EnvironmentStatus) -> str:
    """Returns how many of those that should answer are ready; beside them what a rollout starts, or takes the traffic
    from."""
    if not status.replicas:
        return ""
    count = Counter(replica.state for replica in status.replicas)
    beside = [ReplicaState.DRAINING, ReplicaState.WARM, ReplicaState.STOPPED]
    beside += [] if status.rollout is None else [ReplicaState.STARTING]
    live = len(status.replicas) - sum(count[state] for state in beside)
    more = "".join(f", {count[state]} {state}" for state in beside if count[state])
    return f"{count[ReplicaState.READY]}/{live} ready{more}"


def _back(status: EnvironmentStatus) -> str:
    if status.rollback_to is None:
        return ""
    return f"v{status.rollback_to}" + (f" in {duration(status.rollback_seconds)}" if status.rollback_seconds else "")


def _quarantined(status: EnvironmentStatus, verdicts: Mapping[int, Sequence[VersionVerdict]]) -> Iterator[str]:
    """Yields what answers although nothing may deploy it."""
    for version in status.answers:
        quarantine = quarantine_of(verdicts.get(version, ()))
        if quarantine is not None:
            yield clean(quarantine.sentence)


def _notes(status: EnvironmentStatus) -> Iterator[str]:
    health = status.health
    if health.condition is Condition.STOPPED:
        since = f" {ago(status.stopped.at)}" if status.stopped else ""
        why = f" ({clean(status.stopped.why)})" if status.stopped and status.stopped.why else ""
        yield f"{health.words}{since}{why}: `podium start -e {status.name}` starts it again"
    elif health.condition in (Condition.DOWN, Condition.UNREACHABLE):
        yield health.words
    if status.canary:
        from .canary import words

        yield words(status.canary)
    elif status.rollout is not None:
        yield f"{status.rollout.headline}, by {status.locked_by}"
    elif status.locked_by:
        yield f"locked by {status.locked_by}"
    if status.rollback_to is None and status.previous is not None and status.rollback_note:
        yield f"no way back: {status.rollback_note}"
    yield from (each.words for each in status.differences)


_HISTORY = (
    Column("AT"),
    Column("ENVIRONMENT"),
    Column("HOW"),
    Column("STATE", states=True),
    Column("FROM", right=True),
    Column("TO", right=True),
    Column("COMMIT"),
    Column("RUN", right=True),
    Column("TOOK", right=True),
    Column("WHO", flexible=True),
    Column("WHY", flexible=True),
    Column("VERDICT", states=True),
)


def history(
    cockpit: Cockpit,
    environment: AnyEnvironment = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="At most N of each environment, newest first.")
    ] = 50,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Bring a lost ledger back from the repository's tags: show, ask, do it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --rebuild: show what would come back, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --rebuild: do not ask.")] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="What served then: 14:05, yesterday 14:05, last tuesday 14:05, 2h (ago), 2026-11-23T10:11.",
            show_default=False,
        ),
    ] = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Show the ledger: which version was deployed where, when, by whom and why.

    \b
    Example:
      podium history -e production -n 5
      podium history --at "last tuesday 14:05"
      podium history --rebuild --dry-run
    """
    if rebuild:
        return _rebuild(cockpit, dry_run, yes, output_format)
    if at is not None:
        return _at(cockpit, at, environment, output_format)
    project = cockpit.project.config
    names = [project.environment(environment).name] if environment else list(project.environments)
    found = sorted(
        (row for name in names for row in cockpit.environments.history(name, limit=limit)), key=lambda row: -row.id
    )
    verdicts = {model: cockpit.models.verdicts(model) for model in {row.model for row in found}}
    several = len(verdicts) > 1
    cells = [_deployment_row(row, verdicts[row.model], several=several) for row in found]
    output.rows(output_format, _HISTORY, cells, map(shapes.deployment, found))
    if not found:
        diagnostics.note("nothing has been deployed yet", style="dim")
    return diagnostics.DONE


def _deployment_row(
    row: Deployment, verdicts: Mapping[int, Sequence[VersionVerdict]], *, several: bool
) -> tuple[str, ...]:
    """A row of the ledger; `several` models are told apart by their names."""
    return (
        shapes.moment(row.at) or "",
        row.environment,
        row.how.value + (" (forced)" if row.forced else ""),
        row.state.value,
        "" if row.from_version is None else f"v{row.from_version}",
        f"{row.model} v{row.to_version}" if several else f"v{row.to_version}",
        short_commit(row.commit),
        figure(row.run_id),
        duration(row.ended - row.at) if row.ended else "",
        row.who,
        row.message or row.why,
        last_word(verdicts.get(row.to_version, ()), None),
    )


_AT = (
    Column("ENVIRONMENT"),
    Column("SERVED", right=True),
    Column("SINCE"),
    Column("UNTIL"),
    Column("HOW"),
    Column("RUN", right=True),
    Column("COMMIT"),
    Column("WHO", flexible=True),
    Column("NOTE", flexible=True),
)


def _at(cockpit: Cockpit, text: str, environment: str | None, output_format: Format) -> int:
    """Shows what each environment served at a moment, by the ledger."""
    now = time.time()
    moment = spoken_moment(text, now)
    if moment is None:
        hint = "say it as 14:05, `yesterday 14:05`, `last tuesday 14:05`, 2h (ago) or 2026-11-23T10:11"
        raise UsageError(f"{text!r} is no time", hint=hint)
    if moment > now:
        raise UsageError(f"{shapes.moment(moment)} is still to come", hint="name a moment of the past")
    found = cockpit.why.served(moment, environment)
    output.rows(output_format, _AT, [_served_cells(each) for each in found], map(shapes.served_at, found))
    diagnostics.note(f"at {local(moment)} ({shapes.moment(moment)})", style="dim")
    return diagnostics.DONE


def _served_cells(each: ServedAt) -> tuple[str, ...]:
    row, rollout = each.deployment, each.under_way
    notes = [
        f"stopped by {each.stopped}" if each.stopped else "",
        f"{rollout.how} of v{rollout.to_version} was under way" if rollout is not None else "",
    ]
    if row is None:
        return (each.environment, "nothing", "", "", "", "", "", "", "; ".join(filter(None, notes)))
    return (
        each.environment,
        f"v{row.to_version}",
        shapes.moment(row.ended or row.at) or "",
        shapes.moment(each.until) or "now",
        row.how.value,
        figure(row.run_id),
        short_commit(row.commit),
        row.who,
        "; ".join(filter(None, notes)),
    )


def _rebuild(cockpit: Cockpit, dry_run: bool, yes: bool, output_format: Format) -> int:
    plan = cockpit.changes.plan("rebuild", "ledger")
    done = without_a_run(plan, shapes.plan(plan), output_format, dry_run=dry_run)
    if done is not None:
        return done
    return apply(
        cockpit,
        plan,
        ChangeOptions(yes=yes, output_format=output_format),
        on_cancel="",
        finished=lambda _: "the ledger is back: podium history",
    )


quarantine = typer.Typer(
    help="List, add and lift versions that no trigger may deploy.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_QUARANTINE = (
    Column("MODEL"),
    Column("VERSION", right=True),
    Column("COMMIT"),
    Column("SINCE"),
    Column("WHO"),
    Column("WHY", flexible=True),
)
Number = Annotated[str, typer.Argument(metavar="VERSION", help="The version's number.", show_default=False)]


def list_(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """List the quarantined versions.

    \b
    Example:
      podium quarantine list -o json
    """
    found = cockpit.models.quarantined()
    cells = [(row.model, f"v{row.version}", short_commit(row.commit), ago(row.at), row.who, row.why) for row in found]
    output.rows(output_format, _QUARANTINE, cells, map(shapes.quarantined, found))
    if not found:
        diagnostics.note("nothing is quarantined", style="dim")
    return diagnostics.DONE


def lift(
    cockpit: Cockpit,
    version: Number,
    why: Annotated[
        str, typer.Option("--why", metavar="REASON", help="The reason. It is kept in the audit.", show_default=False)
    ] = "",
    model: Model = None,
) -> int:
    """Let triggers deploy a version and its commit again.

    \b
    Example:
      podium quarantine lift 4 --why "the feed was at fault"
    """
    named, colon, text = version.rpartition(":")
    model = named if colon else model
    number = whole_number(text.removeprefix("v"))
    if number is None:
        raise UsageError(f"{version!r} is not a version's number", hint="`podium quarantine list` shows them")
    cockpit.models.lift_quarantine(number, why=why, model=model)
    diagnostics.note(f"v{number} is no longer quarantined", style="green")
    return diagnostics.DONE


def add(
    cockpit: Cockpit,
    version: Number,
    why: Annotated[
        str,
        typer.Option("--why", metavar="REASON", help="The reason. It is kept with the quarantine.", show_default=False),
    ],
    model: Model = None,
) -> int:
    """Keep triggers from deploying a version and its commit.

    \b
    Example:
      podium quarantine add 4 --why "wrong on holidays"
    """
    found = cockpit.models.resolve(version, model)
    cockpit.models.quarantine(found, why=why)
    diagnostics.note(f"v{found.version} is quarantined", style="yellow")
    return diagnostics.DONE


quarantine.command("list")(command(list_))
quarantine.command("lift")(command(lift))
quarantine.command("add")(command(add))
