"""watch and schedules: the agent, in the foreground or in the background, and when it starts runs by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ...core.cockpit import Cockpit, find_project, several
from ...core.domain.text import clean
from ...core.domain.text.format import ago, local, moment, until
from ...core.domain.watching import AgentStatus, ScheduleStatus
from ...core.errors import UsageError
from .. import session
from ..options import Output
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format
from . import together


def watch(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="The projects. Default: this one. Several are watched together, each by an agent of its own below one"
            " process.",
            show_default=False,
        ),
    ] = None,
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
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics",
            metavar="[ADDRESS:]PORT",
            help="Show /metrics there, for a Prometheus; another machine needs the token of podium.yaml's `metrics`.",
            show_default=False,
        ),
    ] = "",
    output_format: Output = Format.TABLE,
) -> int:
    """Run the agent, one per project: it starts runs for pushes and schedules, heals deployed environments and measures
    them. With several directories, one process watches them all.

    \b
    Example:
      podium watch --daemon
      podium watch --status -o json
      podium watch --install --listen 8140 --metrics 9469
      podium watch --daemon flights trains
    """
    if daemon + stop + status + install + uninstall > 1:
        raise UsageError("--daemon, --stop, --status, --install and --uninstall exclude each other")
    if listen and (stop or status or uninstall):
        raise UsageError("--listen is for an agent that is being started")
    if metrics and (stop or status or uninstall):
        raise UsageError("--metrics is for an agent that is being started", hint="podium.yaml: `metrics: {listen: …}`")
    homes = _several(directories or (), stop or status)
    if not homes:
        cockpit = session.opened()
        try:
            return _one(cockpit, (daemon, stop, status, install, uninstall), listen, metrics, output_format)
        finally:
            cockpit.close()
    if metrics:
        raise UsageError(
            "several projects have no one port for /metrics",
            hint="each has its own: `metrics: {listen: …}` in the podium.yaml of each",
        )
    return _together(homes, (daemon, stop, status, install, uninstall), listen, output_format)


def _together(homes: Sequence[Path], chosen: tuple[bool, ...], listen: str, output_format: Format) -> int:
    daemon, stop, status, install, uninstall = chosen
    if status:
        return together.status(homes, output_format)
    if stop:
        return together.stop(homes)
    if install and listen:
        raise UsageError(
            "--install of several has no one port for their webhooks",
            hint="`podium watch --install --listen PORT` in each, with a port of its own",
        )
    if install or uninstall:
        done = several.install(homes) if install else several.uninstall(homes)
        return together.services(done, output_format)
    if daemon:
        return together.start(homes, listen, output_format)
    several.run(homes, listen=listen)
    return diagnostics.DONE


def _several(directories: Sequence[Path], any_: bool) -> Sequence[Path]:
    """Returns the projects of the call if they are several; none if it is about one. With `any_`, a call outside of a
    project is about those that are watched together."""
    known = several.listed()
    here = session.start()
    homes = several.resolved(directories, here)
    if len(homes) > 1 or (homes and homes[0] in known and not homes[0].is_dir()):
        return homes
    if homes:
        session.directory.set(homes[0])
        return ()
    if any_ and known:
        try:
            find_project(here)
        except UsageError:
            return known
    return ()


def _one(cockpit: Cockpit, chosen: tuple[bool, ...], listen: str, metrics: str, output_format: Format) -> int:
    daemon, stop, status, install, uninstall = chosen
    if install or uninstall:
        done = cockpit.agent.install(listen=listen, metrics=metrics) if install else cockpit.agent.uninstall()
        return together.services((done,), output_format)
    if status:
        code = _status(cockpit.agent.status(), output_format)
        if output_format is Format.TABLE and cockpit.home in several.listed():
            together.beside(cockpit.home)
        return code
    if stop:
        stopped = cockpit.agent.stop()
        diagnostics.note(
            "the agent was stopped; deployed versions go on serving" if stopped else "the agent is not running"
        )
        return diagnostics.DONE
    if daemon:
        started = cockpit.agent.start(listen=listen, metrics=metrics)
        diagnostics.note(f"the agent is running (pid {started.pid})", style="green")
        if output_format is Format.JSON:
            output.document(shapes.agent(started))
        return diagnostics.DONE
    cockpit.agent.run(listen=listen, metrics=metrics)
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
