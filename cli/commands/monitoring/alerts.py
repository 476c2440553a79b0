"""alerts: what fires, what changed, and what a person says of it."""

from __future__ import annotations

from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.monitoring import AlertStatus
from ....core.domain.text.durations import parse_duration
from ....core.domain.text.format import ago, count, local
from ....core.errors import UsageError
from ...completion import complete_alert
from ...options import Output, Why, environment_option
from ...session import command, opened
from ...text import diagnostics, output
from ...text import monitoring_shapes as shapes
from ...text.output import Column, Format

alerts = typer.Typer(
    help="Show how alerts stand and what changed; acknowledge and silence them.",
    rich_markup_mode=None,
)
_ALERTS = (
    Column("ALERT"),
    Column("STATE", states=True),
    Column("SINCE"),
    Column("VALUE", right=True),
    Column("FIRES"),
    Column("ENVIRONMENT"),
    Column("MEASURED"),
    Column("NOTE", flexible=True),
)
_EVENTS = (
    Column("AT"),
    Column("ALERT"),
    Column("STATE", states=True),
    Column("VALUE", right=True),
    Column("FIRES"),
    Column("ENVIRONMENT"),
    Column("NOTE", flexible=True),
)
_SILENCES = (
    Column("SILENCED"),
    Column("UNTIL"),
    Column("WHO"),
    Column("WHY", flexible=True),
)

_SINKS = (
    Column("SINK"),
    Column("KIND"),
    Column("STATE", states=True),
    Column("WAITING", right=True),
    Column("GIVEN UP", right=True),
    Column("LAST SENT"),
    Column("NOTE", flexible=True),
)

Alert = Annotated[
    str,
    typer.Argument(metavar="ALERT", help="The alert's name.", autocompletion=complete_alert, show_default=False),
]
AnyAlert = Annotated[
    str | None,
    typer.Argument(metavar="[ALERT]", help="The alert's name.", autocompletion=complete_alert, show_default=False),
]
AllOf = Annotated[str | None, environment_option("All alerts of this environment, instead of one.")]
NeededWhy = Annotated[
    str, typer.Option("--why", metavar="REASON", help="The reason. It is kept in the audit.", show_default=False)
]


def _seconds(text: str) -> float:
    """Returns the length of `--for`. Raises UsageError."""
    found = parse_duration(text)
    if not found:
        raise UsageError(f"{text!r} is no length of time", hint="say 30m, 2h or 7d")
    return found


@alerts.callback(invoke_without_command=True)
def listed(context: typer.Context, output_format: Output = Format.TABLE) -> int | None:
    """Show how alerts stand, the worst first; acknowledge and silence them.

    \b
    Example:
      podium alerts -o json
      podium alerts silence errors --for 2h --why "the load test"
    """
    if context.invoked_subcommand is not None:
        return None
    cockpit = opened()
    try:
        return _list(cockpit, output_format)
    finally:
        cockpit.close()


def _list(cockpit: Cockpit, output_format: Format) -> int:
    found = cockpit.alerts.list()
    cells = [
        (
            each.name,
            each.state.value,
            ago(each.since),
            each.shown,
            each.threshold,
            each.environment,
            ago(each.measured),
            _note(each),
        )
        for each in found
    ]
    output.rows(output_format, _ALERTS, cells, map(shapes.alert, found))
    if not found:
        diagnostics.note("podium.yaml has no alerts", style="dim")
    elif not cockpit.agent.status().alive:
        diagnostics.note("the agent is not running: nothing is measured", style="yellow")
        diagnostics.hint("`podium watch --daemon` starts it")
    return diagnostics.DONE


def _note(alert: AlertStatus) -> str:
    parts = [
        *([alert.severity] if alert.firing else []),
        *(["no data now"] if alert.firing and alert.absent else []),
        *([f"acknowledged {alert.acknowledged}"] if alert.acknowledged else []),
        *([f"silenced {alert.silenced}"] if alert.silenced else []),
        *([f"does not fire again until {local(alert.muted_until)}"] if alert.muted_until and not alert.firing else []),
        *([alert.message] if alert.message else []),
    ]
    return "; ".join(parts)


def history(
    cockpit: Cockpit,
    name: AnyAlert = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="At most N, newest first.")] = 50,
    output_format: Output = Format.TABLE,
) -> int:
    """List how alerts changed: pending, firing, resolved, no data; newest first.

    \b
    Example:
      podium alerts history input-drift -n 10
    """
    found = cockpit.alerts.history(limit=limit, name=name or "")
    cells = [
        (
            shapes.moment(each.at) or "",
            each.name,
            each.state,
            each.shown,
            each.threshold,
            each.environment,
            each.message,
        )
        for each in found
    ]
    output.rows(output_format, _EVENTS, cells, map(shapes.alert_event, found))
    if not found:
        diagnostics.note(f"{name} has not changed" if name else "no alert has changed", style="dim")
    return diagnostics.DONE


def ack(cockpit: Cockpit, name: Alert, why: NeededWhy, output_format: Output = Format.TABLE) -> int:
    """Say that somebody knows of an alert that fires. It holds until the alert is over.

    \b
    Example:
      podium alerts ack input-drift --why "the feed changed; retraining"
    """
    status = cockpit.alerts.acknowledge(name, why=why)
    if output_format is Format.JSON:
        output.document(shapes.alert(status))
    diagnostics.note(f"{name} is acknowledged", style="green")
    return diagnostics.DONE


def silence(
    cockpit: Cockpit,
    seconds: Annotated[
        float,
        typer.Option("--for", metavar="TIME", parser=_seconds, help="For how long: 2h, 7d.", show_default=False),
    ],
    why: NeededWhy,
    name: AnyAlert = None,
    environment: AllOf = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Have nobody told of an alert for a while, or of all alerts of an environment. They go on being judged.

    \b
    Example:
      podium alerts silence errors --for 2h --why "the load test"
      podium alerts silence -e staging --for 1d --why "it is being rebuilt"
    """
    subject = _one_of(name, environment)
    done = cockpit.alerts.silence(subject, seconds=seconds, why=why, environment=environment is not None)
    if output_format is Format.JSON:
        output.document(shapes.silence(done))
    lasts = max((each.until for each in cockpit.alerts.silences() if each.subject == done.subject), default=done.until)
    longer = f" already, longer than until {local(done.until)}" if lasts > done.until else ""
    diagnostics.note(f"{done.subject} is silenced until {local(lasts)}{longer}", style="yellow")
    return diagnostics.DONE


def unsilence(cockpit: Cockpit, name: AnyAlert = None, environment: AllOf = None, why: Why = "") -> int:
    """End a silence before its time.

    \b
    Example:
      podium alerts unsilence errors
    """
    subject = _one_of(name, environment)
    ended = cockpit.alerts.unsilence(subject, why=why, environment=environment is not None)
    diagnostics.note(f"{count(len(ended), 'silence')} of {ended[0].subject} ended", style="green")
    return diagnostics.DONE


def silences(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """List what is silenced now: until when, by whom and why.

    \b
    Example:
      podium alerts silences -o json
    """
    found = cockpit.alerts.silences()
    cells = [(each.subject, local(each.until), each.who, each.why) for each in found]
    output.rows(output_format, _SILENCES, cells, map(shapes.silence, found))
    if not found:
        diagnostics.note("nothing is silenced", style="dim")
    return diagnostics.DONE


def sinks(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """List who is told of alerts, and what waits for each.

    \b
    Example:
      podium alerts sinks -o json
    """
    found = cockpit.alerts.sinks()
    cells = [
        (
            each.name,
            each.kind,
            "failing" if each.waiting and each.attempts and each.error else "ok",
            str(each.waiting),
            str(each.failed),
            ago(each.last),
            each.error,
        )
        for each in found
    ]
    output.rows(output_format, _SINKS, cells, map(shapes.sink, found))
    if not found:
        diagnostics.note("podium.yaml has no sinks (`notify: {sinks: …}`)", style="dim")
    return diagnostics.DONE


def test(
    cockpit: Cockpit,
    name: Annotated[str, typer.Argument(metavar="SINK", help="The sink's name.", show_default=False)],
) -> int:
    """Send a sink a message that says it is a test, now and once.

    \b
    Example:
      podium alerts test on-call
    """
    cockpit.alerts.test(name)
    diagnostics.note(f"{name} has taken a test message", style="green")
    return diagnostics.DONE


def _one_of(name: str | None, environment: str | None) -> str:
    if (name is None) == (environment is None):
        raise UsageError("name one alert, or one environment with -e", hint="podium alerts silence errors --for 2h …")
    return name or environment or ""


for _name, _function in {
    "history": history,
    "ack": ack,
    "silence": silence,
    "unsilence": unsilence,
    "silences": silences,
    "sinks": sinks,
    "test": test,
}.items():
    alerts.command(_name)(command(_function))
