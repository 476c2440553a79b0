"""containers: what engines run. repair: making it what the ledger says. And the logs of replicas."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ..core.cockpit import Cockpit, LogLine, clean
from ..core.domain.containers import Container, EngineSnapshot
from ..core.domain.delivery import EnvironmentStatus, Replica
from ..core.domain.format import duration, moment, size
from ..core.domain.plans import Plan
from ..core.errors import UsageError
from . import diagnostics, output, shapes
from .attend import attend
from .changes import show_plan
from .confirm import agree
from .diagnostics import note
from .options import AnyEnvironment, ChangeOptions, EnvironmentName
from .output import Column, Format, Output

_COLUMNS = (
    Column("CONTAINER"),
    Column("VERSION", right=True),
    Column("STATE", states=True),
    Column("HEALTH"),
    Column("WEIGHT", right=True),
    Column("CPU", right=True),
    Column("MEMORY", right=True),
    Column("RESTARTS", right=True),
    Column("IMAGE"),
    Column("ADDRESS", flexible=True),
    Column("ENVIRONMENT"),
)
_POLL_INTERVAL = 0.1
_FRESH_SECONDS = 5.0  # seconds: what was measured before that says nothing about now


def containers(cockpit: Cockpit, environment: AnyEnvironment = None, output_format: Output = Format.TABLE) -> int:
    """List the containers of each environment that an engine serves, with what they use.

    \b
    Example:
      podium containers -e production
    """
    names = [environment] if environment else cockpit.containers.environments()
    found: list[tuple[Container, Replica | None, dict[str, float | None]]] = []
    away: list[EngineSnapshot] = []
    for name in names:
        status = cockpit.environments.get(name)
        picture = cockpit.containers.look(name)
        if picture is None:
            note(
                f"{clean(name)} is served by processes of this machine: `podium status -e {clean(name)}` shows them",
                style="dim",
            )
            continue
        away += [picture] if picture.message else []
        listed = (*picture.containers, *picture.gone(status.replicas))
        found += [(each, _replica(status, each), _used(cockpit, name, each)) for each in listed]
    cells = [_cells(*each) for each in found]
    output.rows(output_format, _COLUMNS, cells, (shapes.container(one, row, used) for one, row, used in found))
    for picture in away:
        note(f"{clean(picture.environment)}: {clean(picture.message)}; as it was last seen", style="yellow")
    if not cockpit.agent.status().alive and found:
        note("the agent does not run: CPU and memory are not measured (`podium watch --daemon`)", style="dim")
    return diagnostics.UNREACHABLE if away else diagnostics.DONE


def _replica(status: EnvironmentStatus, container: Container) -> Replica | None:
    return next((each for each in status.replicas if each.container == container.id), None)


def _used(cockpit: Cockpit, environment: str, container: Container) -> dict[str, float | None]:
    """The latest of each signal; None for what was not measured lately."""
    name, now = container.replica or container.name, time.time()
    series = cockpit.containers.usage(
        environment, [name], start=now - _FRESH_SECONDS, end=now, points=int(_FRESH_SECONDS)
    )[name]
    return {
        signal: next((value for value in reversed(each.values) if value is not None), None)
        for signal, each in series.items()
    }


def _cells(container: Container, row: Replica | None, used: dict[str, float | None]) -> tuple[str, ...]:
    cpu, memory = used["cpu"], used["memory"]
    state = container.state if container.exit_code is None else f"{container.state} {container.exit_code}"
    return (
        container.name,
        "" if container.version is None else f"v{container.version}",
        state + (" (out of memory)" if container.out_of_memory else ""),
        container.health,
        "" if row is None else str(row.weight),
        "" if cpu is None else f"{cpu:.1%}",
        "" if memory is None else size(memory),
        str(container.restarts),
        container.image_id.removeprefix("sha256:")[:12],
        container.address,
        container.environment,
    )


def repair(
    cockpit: Cockpit,
    options: ChangeOptions,
    environment: EnvironmentName = None,
    restart: Annotated[
        str,
        typer.Option(
            "--restart", metavar="REPLICA", help="Restart one replica, or the `proxy`, instead.", show_default=False
        ),
    ] = "",
) -> int:
    """Make an environment match the ledger again, after showing what differs and what will be done.

    \b
    Example:
      podium repair -e production --dry-run
      podium repair -e production --yes --confirm production
      podium repair -e staging --restart staging-v3-1 --yes
    """
    name = environment or cockpit.environments.default()
    changes = cockpit.changes
    plan = changes.plan("restart", name, replica=restart) if restart else changes.plan("repair", name)
    if options.dry_run:
        return show_plan(plan, shapes.repair(plan), options.output_format, refused=bool(plan.refusal))
    if plan.nothing_to_do and not plan.refusal:
        return _nothing(plan, options.output_format)
    typed = "" if plan.refusal else agree(plan, yes=options.yes, confirm=options.confirm)
    began = time.monotonic()
    run = changes.apply(plan, confirmed=typed, why=options.why)
    assert run is not None
    attended = attend(
        cockpit,
        run,
        detach=options.detach,
        output_format=options.output_format,
        on_cancel="the repair continues without this command: stopping halfway would leave more to repair",
        cancels=False,
    )
    if attended is None:
        return diagnostics.DONE
    if not attended.succeeded:
        return attended.ending()
    left = [str(words) for step in attended.detail.steps for words in step.results.get("left", ())]
    for words in left:
        note(f"still different: {clean(words)}", style="yellow")
    note(f"{clean(_repaired(plan, left))}, done in {duration(time.monotonic() - began)}", style="green")
    return diagnostics.DONE


def _repaired(plan: Plan, left: list[str]) -> str:
    if plan.verb == "restart":
        return f"{plan.arguments['restart']} was restarted"
    return f"{plan.target} is repaired as far as possible" if left else f"{plan.target} matches the ledger"


def _nothing(plan: Plan, output_format: Format) -> int:
    if output_format is Format.JSON:
        output.document(shapes.repair(plan))
    for warning in plan.warnings:
        note(clean(warning), style="yellow")
    note(clean(plan.nothing_to_do), style="green")
    return diagnostics.DONE


# Logs of replicas, for `podium logs -e`


def replica_logs(
    cockpit: Cockpit,
    environment: str,
    replica: str,
    *,
    follow: bool,
    tail: int | None,
    timestamps: bool,
    stream: str,
    output_format: Format,
) -> int:
    """All replicas of an environment as one log in time order, or one of them. `stream` is a letter of the
    log, empty for all."""
    if output_format is Format.PLAIN:
        raise UsageError("logs are text already", hint="leave -o out, or -o json for one object a line")
    following = cockpit.containers.follow_logs(environment, replica=replica, tail=tail)
    try:
        following.catch_up()
        several = not replica

        def show(*, all: bool) -> bool:
            lines = following.read(all=all)
            for name, line in lines:
                if not stream or line.stream == stream:
                    _print(name, line, several=several, timestamps=timestamps, json=output_format is Format.JSON)
            output.flush()
            return bool(lines)

        while show(all=not follow) or follow:
            time.sleep(_POLL_INTERVAL if follow else 0.0)
    finally:
        following.close()
    return diagnostics.DONE


_STREAMS = {"o": "out", "e": "err", "p": "podium"}


def _print(name: str, line: LogLine, *, several: bool, timestamps: bool, json: bool) -> None:
    if json:
        output.json_line(
            {"replica": name, "at": moment(line.at), "stream": _STREAMS.get(line.stream, "out"), "text": line.text}
        )
        return
    prefix = f"{moment(line.at) or ' ' * 24} " if timestamps else ""
    output.line(f"{prefix}{f'{clean(name)} | ' if several else ''}{clean(line.text)}")
