"""The badge of an environment's alerts: what each alert asks of a person, counted once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from podium.core.domain.monitoring import AlertState, AlertStatus
from podium.core.domain.monitors.badges import BadgeKind, badges, kind_of

FIRES = AlertStatus("a", "production", "m", AlertState.FIRING, 0.0, episode=1)


def alert(name: str, state: AlertState = AlertState.INACTIVE, **more: object) -> AlertStatus:
    return replace(FIRES, name=name, state=state, **more)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (FIRES, BadgeKind.FIRING),
        (replace(FIRES, absent=True), BadgeKind.FIRING),
        (replace(FIRES, acknowledged="by anna"), BadgeKind.ACKNOWLEDGED),
        (replace(FIRES, silenced="by anna"), BadgeKind.SILENCED),
        (replace(FIRES, silenced="by anna", acknowledged="by anna"), BadgeKind.SILENCED),
        (alert("a", AlertState.PENDING), BadgeKind.PENDING),
        (alert("a", AlertState.PENDING, silenced="by anna"), BadgeKind.SILENCED),
        (alert("a", AlertState.NO_DATA), BadgeKind.NO_DATA),
        (alert("a", AlertState.NO_DATA, silenced="by anna"), BadgeKind.SILENCED),
        (alert("a"), BadgeKind.INACTIVE),
        (alert("a", silenced="by anna"), BadgeKind.INACTIVE),
    ],
)
def test_what_an_alert_asks(status: AlertStatus, kind: BadgeKind) -> None:
    assert kind_of(status) is kind
    badge = badges([status])["production"]
    assert dict(badge.counts) == {kind: 1} and badge.worst is kind


def test_a_badge_counts_each_alert_of_its_environment_once_the_worst_first() -> None:
    found = badges(
        [
            alert("quiet"),
            alert("unseen", AlertState.NO_DATA),
            replace(FIRES, name="errors", absent=True),
            replace(FIRES, name="known", acknowledged="by anna"),
            replace(FIRES, name="drift"),
            replace(FIRES, name="elsewhere", environment="staging"),
        ]
    )
    assert set(found) == {"production", "staging"}
    badge = found["production"]
    assert badge.short == "2 firing"
    assert badge.words == "2 firing (errors, drift), 1 no data, 1 acknowledged; 1 fires without data now"
    assert found["staging"].words == "1 firing (elsewhere)"


def test_where_nothing_is_the_matter() -> None:
    assert badges([]) == {}
    badge = badges([alert("a"), alert("b")])["production"]
    assert (badge.short, badge.words) == ("all inactive", "all inactive")
