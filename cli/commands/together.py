"""What `watch` writes about several projects that are watched together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ...core.cockpit import several
from ...core.domain.text import clean
from ...core.domain.text.format import ago, until
from ...core.domain.watching import AgentStatus, Service, WatchedProject, WatchedTogether, WatchState
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format

_COLUMNS = (
    Column("PROJECT", flexible=True),
    Column("STATE", states=True),
    Column("PID", right=True),
    Column("SINCE"),
    Column("STARTS", right=True),
    Column("WHY", flexible=True),
)
_WATCHED = (WatchState.RUNNING, WatchState.ELSEWHERE)


def status(homes: Sequence[Path], output_format: Format) -> int:
    """Writes how the projects are; the exit code is 3 if one is not watched."""
    return _write(several.status(homes), output_format)


def start(homes: Sequence[Path], listen: str, output_format: Format) -> int:
    """Has the projects watched in the background, and writes how each of them is."""
    found = several.start(homes, listen=listen)
    diagnostics.note(f"the agent of {len(found.projects)} projects is running (pid {found.pid})", style="green")
    if output_format is not Format.TABLE:
        _write(found, output_format)
    for each in found.projects if output_format is Format.TABLE else ():
        style = "green" if each.state is WatchState.RUNNING else "yellow"
        diagnostics.note(clean(f"{each.home}: {each.state}{f': {each.words}' if each.words else ''}"), style=style)
    return diagnostics.DONE


def stop(homes: Sequence[Path]) -> int:
    """Stops the agents of the projects."""
    stopped = several.stop(homes)
    for home in homes:
        said = "the agent was stopped" if home in stopped else "the agent is not running"
        diagnostics.note(clean(f"{home}: {said}"))
    if stopped:
        diagnostics.note("deployed versions go on serving")
    return diagnostics.DONE


def services(done: Sequence[Service], output_format: Format) -> int:
    """Writes what was done with the units of systemd."""
    if output_format is Format.JSON:
        documents = [shapes.service(each) for each in done]
        output.document(documents[0] if len(documents) == 1 else documents)
    for service in done:
        for line in service.did:
            diagnostics.note(clean(line), style="green")
        for line in service.next:
            diagnostics.hint(clean(line))
    return diagnostics.DONE


def beside(home: Path) -> None:
    """Writes how the projects are that are watched together with this one."""
    found = several.status()
    if len(found.projects) > 1:
        output.line()
        _write(found, Format.TABLE)


def _write(found: WatchedTogether, output_format: Format) -> int:
    agents = {each.home: several.agent_of(Path(each.home)) for each in found.projects}
    if output_format is Format.JSON:
        output.document(shapes.together(found, agents))
    else:
        cells = [_cells(each, agents[each.home]) for each in found.projects]
        output.rows(output_format, _COLUMNS, cells, ())
        _say(found)
    well = all(each.state in _WATCHED for each in found.projects)
    return diagnostics.DONE if well else diagnostics.NOT_FOUND


def _cells(each: WatchedProject, agent: AgentStatus | None) -> tuple[str, ...]:
    retry = f"; again {until(each.retry, time.time())}" if each.retry and each.state is WatchState.RETRYING else ""
    troubles = _troubles(agent) if each.state in _WATCHED else []
    words = "; ".join([*([each.words + retry] if each.words else []), *troubles])
    since = ago(each.since) if each.since else ""
    return (each.home, each.state.value, str(each.pid or ""), since, str(each.starts or ""), words)


def _troubles(agent: AgentStatus | None) -> list[str]:
    """Returns what a project's agent cannot do, and why it works by an older podium.yaml."""
    if agent is None:
        return []
    return [*([agent.trouble] if agent.trouble else []), *(f"{each.subject}: {each.words}" for each in agent.troubles)]


def _say(found: WatchedTogether) -> None:
    if found.pid is None and found.projects and all(each.state is WatchState.ELSEWHERE for each in found.projects):
        diagnostics.note("each has an agent of its own, and no agent of several is running", style="dim")
        return
    if found.pid is None:
        diagnostics.note("no agent of several projects is running")
        diagnostics.hint("`podium watch --daemon DIR…` starts it")
        return
    listen = f", webhooks at {clean(found.listen)}" if found.listen else ""
    diagnostics.note(f"one agent watches them: pid {found.pid}, started by {clean(found.who)}{listen}", style="dim")
