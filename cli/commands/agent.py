"""watch and schedules: the agent, in the foreground or in the background, and when it starts runs by itself."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.text import clean
from ...core.domain.text.format import ago, local, moment, until
from ...core.domain.watching import AgentStatus, ScheduleStatus, Service
from ...core.errors import UsageError
from ..options import Output
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format


def watch(
    cockpit: Cockpit,
    daemon: Annotated[
        bool, typer.Option("--daemon", help="Start it in the background, and return when it is running.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it. Deployed versions go on serving.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say whether it is running; the exit code is 3 if it is not.")
    ] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Have systemd start it at boot; as root a unit of the system.")
    ] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove that unit, and stop the agent.")] = False,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="[ADDRESS:]PORT",
            help="Receive the Git host's webhooks there; a port alone is on this machine only.",
            show_default=False,
        ),
    ] = "",
    output_format: Output = Format.TABLE,
) -> int:
    """Run the agent, one per project: it starts runs for pushes and schedules, heals deployed environments and measures
    them.

    \b
    Example:
      podium watch --daemon
      podium watch --status -o json
      podium watch --install --listen 8140
    """
    if daemon + stop + status + install + uninstall > 1:
        raise UsageError("--daemon, --stop, --status, --install and --uninstall exclude each other")
    if listen and (stop or status or uninstall):
        raise UsageError("--listen is for an agent that is being started")
    if install or uninstall:
        return _service(cockpit.agent.install(listen=listen) if install else cockpit.agent.uninstall(), output_format)
    if status:
        return _status(cockpit.agent.status(), output_format)
    if stop:
        stopped = cockpit.agent.stop()
        diagnostics.note(
            "the agent was stopped; deployed versions go on serving" if stopped else "the agent is not running"
        )
        return diagnostics.DONE
    if daemon:
        started = cockpit.agent.start(listen=listen)
        diagnostics.note(f"the agent is running (pid {started.pid})", style="green")
        if output_format is Format.JSON:
            output.document(shapes.agent(started))
        return diagnostics.DONE
    cockpit.agent.run(listen=listen)
    return diagnostics.DONE


def _service(service: Service, output_format: Format) -> int:
    if output_format is Format.JSON:
        output.document(shapes.service(service))
    for line in service.did:
        diagnostics.note(clean(line), style="green")
    for line in service.next:
        diagnostics.hint(clean(line))
    return diagnostics.DONE


_SCHEDULES = (
    Column("PIPELINE"),
    Column("SCHEDULE (UTC)"),
    Column("NEXT"),
    Column("IN"),
    Column("LAST RUN"),
    Column("HELD BY", flexible=True),
)


def schedules(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """List the schedules, the next one first: when it comes (local time), how its last run ended, and what keeps it
    from starting a run.

    \b
    Example:
      podium schedules -o json
    """
    found, now = cockpit.agent.schedules(), time.time()
    cells = [
        (
            each.pipeline,
            each.schedule,
            local(each.next),
            until(each.next, now),
            _last_run(each),
            "; ".join([*each.held, *([f"missed since {local(each.missed)}"] if each.missed else [])]),
        )
        for each in found
    ]
    output.rows(output_format, _SCHEDULES, cells, map(shapes.schedule, found))
    if not found:
        diagnostics.note("no pipeline has a schedule (`on: {schedule: …}`)", style="dim")
    return diagnostics.DONE


def _last_run(status: ScheduleStatus) -> str:
    run = status.run
    return "" if run is None else f"run {run.id} {run.state.value} {ago(run.ended or run.started or run.created)}"


def _troubles(agent: AgentStatus) -> list[tuple[str, str]]:
    """Returns what the agent cannot do, a line each."""
    return [
        ("trouble", clean(f"{each.subject}: {each.words}{f', since {local(each.at)}' if each.at else ''}"))
        for each in agent.troubles
    ]


def _status(agent: AgentStatus, output_format: Format) -> int:
    if output_format is Format.JSON:
        output.document(shapes.agent(agent))
    elif agent.alive:
        output.pairs(
            [
                ("agent", "alive"),
                ("pid", str(agent.pid or "")),
                ("host", agent.host),
                ("who", agent.who),
                ("started", moment(agent.started) or ""),
                ("heartbeat", ago(agent.heartbeat)),
                ("message", agent.message),
                *([("trouble", clean(agent.trouble))] if agent.trouble else []),
                *_troubles(agent),
            ]
        )
    else:
        output.pairs(_troubles(agent))
        diagnostics.note(f"the agent is not running{f': {clean(agent.message)}' if agent.message else ''}")
        diagnostics.hint("`podium watch --daemon` starts it")
    return diagnostics.DONE if agent.alive else diagnostics.NOT_FOUND
