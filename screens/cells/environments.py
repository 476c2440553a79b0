"""The lines about one environment: what serves and since when, whether it can be rolled back, what differs from the
ledger, its replicas, and its live signals."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.domain.delivery import Condition, Deployment, EnvironmentStatus, Replica
from ...core.domain.models import Version
from ...core.domain.repair import Severity
from ...core.domain.text import format as fmt
from ...core.domain.watching import SIGNALS, Series
from ...tui.glyphs import Glyphs
from ...tui.widgets.sparkline import sparkline
from ...tui.widgets.text_pane import Line
from .versions import lineage_line

POINTS = 90
"""How many values of a signal are drawn at most."""
_LABELS = {
    "requests": "requests",
    "error_rate": "errors",
    "latency_p50": "p50",
    "latency_p95": "p95",
    "latency_p99": "p99",
    "cpu": "cpu",
    "memory": "memory",
}
_ROLES = {"requests": "run", "error_rate": "bad", "cpu": "wait", "memory": "wait"}
# A signal that is below this must not fill the curve: errors of a hundredth part, an idle replica's CPU.
_FLOORS = {"error_rate": 0.05, "cpu": 0.1}


def status_lines(
    status: EnvironmentStatus,
    version: Version | None,
    glyphs: Glyphs,
    now: float,
    *,
    healer: str = "",
    alerts: Line = (),
) -> list[Line]:
    """`version` is the one that serves, where the registry's snapshot has it; `healer` says who brings back what is
    down, where that is known; `alerts` how its alerts stand."""
    lines = [
        _serving(status, version, glyphs),
        *([alerts] if alerts else []),
        *_rollout(status),
        _rollback(status, glyphs),
        *_differences(status, glyphs),
    ]
    if status.deployment is not None:
        lines.append(_since(status.deployment, now, "since" if status.answers else "last"))
    if status.locked_by:
        lines.append(((f"{glyphs['lock']} locked: {status.locked_by}", "warn"),))
    replicas = sorted(status.replicas, key=lambda replica: (-replica.weight, replica.id))
    lines += [_replica(replica, glyphs, now) for replica in replicas]
    return [*lines, *_down(status, glyphs, now, healer)]


def _rollout(status: EnvironmentStatus) -> list[Line]:
    """Returns the rollout under way, and which version answers how many of the requests meanwhile."""
    if status.rollout is None:
        return []
    shares = "  ".join(f"v{version} {share:.0%}" for version, share in status.answers.items()) or "nothing answers yet"
    return [(("rollout ", "muted"), (status.rollout.headline, "run")), (("traffic ", "muted"), (shares, "ok!"))]


def _serving(status: EnvironmentStatus, version: Version | None, glyphs: Glyphs) -> Line:
    if status.serving is None:
        return (("Serves nothing yet: ", "text"), ("podium deploy puts a version here.", "muted"))
    if version is not None:
        return lineage_line(version, [status.name] if version.version in status.answers else [], glyphs["arrow"])
    return ((f"v{status.serving}", "ok!"), ("  the registry was not read yet", "faint"))


def _rollback(status: EnvironmentStatus, glyphs: Glyphs) -> Line:
    if status.rollback_to is None:
        why = status.rollback_note or "there is no earlier version to go back to"
        return (("rollback ", "muted"), (f"not possible: {why}", "faint"))
    expected = f" in about {fmt.duration(status.rollback_seconds)}" if status.rollback_seconds is not None else ""
    note = f"   {status.rollback_note}" if status.rollback_note else ""
    return (
        ("rollback ", "muted"),
        (f"{glyphs['ok']} ready: B brings v{status.rollback_to} back{expected}", "ok"),
        (note, "muted"),
    )


def _differences(status: EnvironmentStatus, glyphs: Glyphs) -> list[Line]:
    if not status.differences:
        return []
    badge = f" {fmt.count(len(status.differences), 'difference').upper()} "
    return [
        ((badge, "badge"), ("  between the ledger and what runs: M plans the repair", "muted")),
        *(
            ((f"{glyphs['warn']} {each.words}", "bad" if each.severity is Severity.PROBLEM else "warn"),)
            for each in status.differences
        ),
    ]


def _since(deployment: Deployment, now: float, label: str) -> Line:
    return (
        (f"{label} ", "muted"),
        (f"{fmt.when(deployment.at, now)}: {deployment.how} by {deployment.who}", ""),
        (f"   {deployment.strategy}" if deployment.strategy else "", "muted"),
        (f"   {deployment.why}", "muted"),
    )


def _replica(replica: Replica, glyphs: Glyphs, now: float) -> Line:
    glyph, role = glyphs.state(replica.state)
    share = f"weight {replica.weight}" if replica.weight else "no traffic"
    restarts = f"  {fmt.count(replica.restarts, 'restart')}" if replica.restarts else ""
    where = f"on {replica.host}" if replica.host else "" if replica.socket else f":{replica.port}"
    up = f"  up {fmt.duration(now - replica.started)}" if replica.started and replica.state != "dead" else ""
    return (
        (f"{glyph} {replica.state:<9}", role),
        (f"v{replica.version:<4}", "accent"),
        (f"{replica.slot:<10} {where:<7} {share:<11}", "muted"),
        (f"{up}{restarts}", "muted" if not replica.restarts else "warn"),
        (f"  {replica.message}" if replica.message else "", "warn"),
    )


def _down(status: EnvironmentStatus, glyphs: Glyphs, now: float, healer: str) -> list[Line]:
    """What to know while nothing answers for it."""
    if status.serving is None or status.proxy_alive:
        return []
    if status.health.condition is Condition.STOPPED:
        by = status.stopped
        since = f" {fmt.when(by.at, now)}{f' ({by.why})' if by.why else ''}" if by else ""
        words = f"{status.health.words}{since}: start (in the palette) brings v{status.serving} back"
        return [((f"{glyphs['warn']} {words}", "warn"),)]
    return [((f"{glyphs['bad']} the proxy is gone{f'; {healer}' if healer else ''}", "bad"),)]


def signal_lines(series: Mapping[str, Series], width: int, glyphs: Glyphs, *, answers: bool = True) -> list[Line]:
    """A line for each signal: its value now (if anything `answers`), its curve of `width` cells, its highest point."""
    if not series:
        return []
    return [_signal(name, series.get(name), width, glyphs, answers) for name in SIGNALS]


def _signal(name: str, series: Series | None, width: int, glyphs: Glyphs, answers: bool) -> Line:
    values = series.values if series is not None else ()
    latest = series.latest if series is not None and answers else None
    known = [value for value in values if value is not None]
    top = max(known, default=0.0)
    role = _ROLES.get(name, "accent")
    if name == "error_rate":
        role = "bad" if latest else "warn" if top > 0 else "ok"
    bars = sparkline(values, width, glyphs, ceiling=max(_FLOORS[name], top) if name in _FLOORS else None)
    return (
        (f"{_LABELS[name]:<9}", "muted"),
        (f"{fmt.signal(name, latest):>9}  ", "text!"),
        (bars, role),
        (f"  top {fmt.signal(name, top)}" if known else "  not measured", "faint"),
    )
