"""containers and repair: what engines run, and making it match the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.containers import Container, EngineSnapshot
from ....core.domain.delivery import EnvironmentStatus, Replica
from ....core.domain.plans import Plan
from ....core.domain.runs import RunDetail
from ....core.domain.text import clean
from ....core.domain.text.format import size
from ....core.domain.verdicts import VersionVerdict, last_word
from ...interaction.apply import apply, without_a_run
from ...options import AnyEnvironment, ChangeOptions, EnvironmentName, Output
from ...text import diagnostics, engine_shapes, output, shapes
from ...text.diagnostics import note
from ...text.output import Column, Format

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
    Column("VERDICT", states=True),
)
_FRESH_SECONDS = 5.0  # an older measurement says nothing about now


def containers(cockpit: Cockpit, environment: AnyEnvironment = None, output_format: Output = Format.TABLE) -> int:
    """List the containers of each environment and their usage.

    \b
    Example:
      podium containers -e production
    """
    names = [environment] if environment else cockpit.containers.environments()
    found: list[tuple[Container, Replica | None, dict[str, float | None]]] = []
    away: list[EngineSnapshot] = []
    verdicts: dict[str, Mapping[int, Sequence[VersionVerdict]]] = {}
    for name in names:
        status = cockpit.environments.get(name)
        snapshot = cockpit.containers.look(name)
        if snapshot is None:
            note(
                f"{clean(name)} is served by processes of this machine: `podium status -e {clean(name)}` shows them",
                style="dim",
            )
            continue
        away += [snapshot] if snapshot.message else []
        listed = (*snapshot.containers, *snapshot.gone(status.replicas))
        verdicts[name] = cockpit.models.verdicts(status.model)
        found += [(each, _replica(status, each), _used(cockpit, name, each)) for each in listed]
    cells = [
        (*_cells(*each), last_word(verdicts[each[0].environment].get(each[0].version or 0, ()), None)) for each in found
    ]
    output.rows(output_format, _COLUMNS, cells, (engine_shapes.container(one, row, used) for one, row, used in found))
    for snapshot in away:
        note(f"{clean(snapshot.environment)}: {clean(snapshot.message)}; this is its last known state", style="yellow")
    if not cockpit.agent.status().alive and found:
        note(
            "the agent is not running: CPU and memory are not measured (`podium watch --daemon` starts it)", style="dim"
        )
    return diagnostics.UNREACHABLE if away else diagnostics.DONE


def _replica(status: EnvironmentStatus, container: Container) -> Replica | None:
    return next((each for each in status.replicas if each.container == container.id), None)


def _used(cockpit: Cockpit, environment: str, container: Container) -> dict[str, float | None]:
    """Returns the latest value of each signal; None if there is no recent one."""
    name, now = container.called, time.time()
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
        f"{container.node} {container.place}".lstrip(),
        container.environment,
    )


def repair(
    cockpit: Cockpit,
    options: ChangeOptions,
    environment: EnvironmentName = None,
    restart: Annotated[
        str,
        typer.Option("--restart", metavar="REPLICA", help="Restart only this replica, or `proxy`.", show_default=False),
    ] = "",
) -> int:
    """Show where an environment differs from the ledger, and make it match again.

    \b
    Example:
      podium repair -e production --dry-run
      podium repair -e production --yes --confirm production
      podium repair -e staging --restart staging-v3-1 --yes
    """
    name = cockpit.environments.chosen(environment)
    changes = cockpit.changes
    plan = changes.plan("restart", name, replica=restart) if restart else changes.plan("repair", name)
    if (done := without_a_run(plan, shapes.repair(plan), options.output_format, dry_run=options.dry_run)) is not None:
        return done
    return apply(
        cockpit,
        plan,
        options,
        on_cancel="the repair continues without this command: stopping halfway would leave more to repair",
        cancels=False,
        finished=lambda detail: _repaired(plan, detail),
    )


def _repaired(plan: Plan, detail: RunDetail) -> str:
    left = [str(words) for step in detail.steps for words in step.results.get("left", ())]
    for words in left:
        note(f"still different: {clean(words)}", style="yellow")
    if plan.verb == "restart":
        return f"{clean(plan.arguments['restart'])} was restarted"
    return f"{clean(plan.target)} {'is repaired as far as possible' if left else 'matches the ledger'}"
