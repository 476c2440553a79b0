"""All live signals of an environment over a stretch of time, for a screen that draws them."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.delivery import Deployment, DeploymentState
from ..domain.monitoring import MonitorKind
from ..domain.project import Project
from ..domain.watching import SIGNALS, LiveView, Series, share_of
from ..journal import Journal

_MOST_DEPLOYMENTS = 500


def live_view(project: Project, journal: Journal, environment: str, start: float, end: float, points: int) -> LiveView:
    """Returns signals, shares, thresholds and deployments from `start` to `end`, in `points` steps at most."""

    def series(signal: str) -> Series:
        return journal.samples.series(environment, signal, start=start, end=end, points=points)

    history = journal.ledger.history(environment, limit=_MOST_DEPLOYMENTS)
    done = [each for each in reversed(history) if each.state is DeploymentState.SUCCEEDED]
    # A canary that was taken back, or that goes on, has answered too.
    tried = {each.to_version for each in history if (each.ended or end) >= start and each.at <= end}
    shares = {version: series(share_of(version)) for version in sorted({*_served(done, start), *tried})}
    return LiveView(
        start,
        end,
        {signal: series(signal) for signal in SIGNALS},
        {version: each for version, each in shares.items() if any(value is not None for value in each.values)},
        _thresholds(project, environment),
        tuple(each for each in done if start <= (each.ended or each.at) <= end),
    )


def _served(done: Sequence[Deployment], start: float) -> set[int]:
    """Returns the versions that have been deployed since `start`, and the one that served then."""
    found: set[int] = set()
    for each in done:
        if (each.ended or each.at) < start:
            found = {each.to_version}  # what served when the time began
        else:
            found |= {each.to_version, *([each.from_version] if each.from_version is not None else [])}
    return found


def _thresholds(project: Project, environment: str) -> dict[str, tuple[tuple[float, str], ...]]:
    found: dict[str, tuple[tuple[float, str], ...]] = {}
    for rule in project.alerts.values():
        monitor = project.monitors.get(rule.monitor)
        limit = rule.above if rule.above is not None else rule.below
        if monitor is None or limit is None or monitor.environment != environment:
            continue
        if monitor.kind is MonitorKind.SIGNAL and monitor.measure in SIGNALS:
            found[monitor.measure] = (*found.get(monitor.measure, ()), (limit, rule.name))
    return found
