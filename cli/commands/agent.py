"""watch: the agent, in the foreground or in the background."""

from __future__ import annotations

from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.format import ago, moment
from ...core.domain.text import clean
from ...core.domain.watching import AgentStatus
from ...core.errors import UsageError
from ..options import Output
from ..text import diagnostics, output, shapes
from ..text.output import Format


def watch(
    cockpit: Cockpit,
    daemon: Annotated[
        bool, typer.Option("--daemon", help="Start it in the background, and return when it is running.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it. Deployed versions go on serving.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say whether it is running; the exit code is 3 if it is not.")
    ] = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Run the agent, one per project: it starts runs for pushes and schedules, heals deployed environments and measures
    them.

    \b
    Example:
      podium watch --daemon
      podium watch --status -o json
    """
    if daemon + stop + status > 1:
        raise UsageError("--daemon, --stop and --status exclude each other")
    if status:
        return _status(cockpit.agent.status(), output_format)
    if stop:
        stopped = cockpit.agent.stop()
        diagnostics.note(
            "the agent was stopped; deployed versions go on serving" if stopped else "the agent is not running"
        )
        return diagnostics.DONE
    if daemon:
        started = cockpit.agent.start()
        diagnostics.note(f"the agent is running (pid {started.pid})", style="green")
        if output_format is Format.JSON:
            output.document(shapes.agent(started))
        return diagnostics.DONE
    cockpit.agent.run()
    return diagnostics.DONE


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
            ]
        )
    else:
        diagnostics.note(f"the agent is not running{f': {clean(agent.message)}' if agent.message else ''}")
        diagnostics.hint("`podium watch --daemon` starts it")
    return diagnostics.DONE if agent.alive else diagnostics.NOT_FOUND
