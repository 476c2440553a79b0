"""What the alerts of one environment come to, in a word or a line: the badge that every front end shows beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from ..frozen import Frozen
from ..monitoring import AlertState, AlertStatus


class BadgeKind(StrEnum):
    """What an alert asks of a person, the most first."""

    FIRING = "firing"
    """It fires, and nobody has said anything about it."""
    PENDING = "pending"
    NO_DATA = "no data"
    ACKNOWLEDGED = "acknowledged"
    """It fires, and somebody knows."""
    SILENCED = "silenced"
    """It is not inactive, and nobody is told of it."""
    INACTIVE = "inactive"


_KINDS = {
    AlertState.FIRING: BadgeKind.FIRING,
    AlertState.PENDING: BadgeKind.PENDING,
    AlertState.NO_DATA: BadgeKind.NO_DATA,
    AlertState.INACTIVE: BadgeKind.INACTIVE,
}


class AlertBadge(Frozen):
    """The alerts of one environment, counted."""

    counts: Mapping[BadgeKind, int]
    """How many alerts are of each kind, the worst kind first; a kind without an alert is not there."""
    absent: int = 0
    """How many fire, acknowledged or silenced ones too, and have no data now."""
    names: tuple[str, ...] = ()
    """The alerts of the worst kind."""

    @property
    def worst(self) -> BadgeKind:
        return next(iter(self.counts))

    @property
    def short(self) -> str:
        """Returns the worst kind alone: `2 firing`; `all inactive` where nothing is the matter."""
        return "all inactive" if self.worst is BadgeKind.INACTIVE else f"{self.counts[self.worst]} {self.worst}"

    @property
    def words(self) -> str:
        """Returns everything but what is inactive, with the names of the worst: `1 firing (errors), 2 no data`."""
        found = [f"{number} {kind}" for kind, number in self.counts.items() if kind is not BadgeKind.INACTIVE]
        if found:
            found[0] += f" ({', '.join(self.names)})"
        absent = f"; {self.absent} fire{'s' if self.absent == 1 else ''} without data now" if self.absent else ""
        return f"{', '.join(found)}{absent}" if found else self.short


def badges(alerts: Iterable[AlertStatus]) -> dict[str, AlertBadge]:
    """Returns the badge of each environment that has alerts, by its name."""
    found: dict[str, list[AlertStatus]] = {}
    for each in alerts:
        found.setdefault(each.environment, []).append(each)
    return {name: _badge(each) for name, each in found.items()}


def kind_of(alert: AlertStatus) -> BadgeKind:
    """Returns what an alert asks of a person. Silence counts more than knowing: nobody is told of it at all."""
    if alert.silenced and alert.state is not AlertState.INACTIVE:
        return BadgeKind.SILENCED
    return BadgeKind.ACKNOWLEDGED if alert.firing and alert.acknowledged else _KINDS[alert.state]


def _badge(alerts: list[AlertStatus]) -> AlertBadge:
    counted = Counter(map(kind_of, alerts))
    counts = {kind: counted[kind] for kind in BadgeKind if counted[kind]}
    worst = next(iter(counts))
    absent = sum(each.firing and each.absent for each in alerts)
    return AlertBadge(counts, absent, tuple(each.name for each in alerts if kind_of(each) is worst))
