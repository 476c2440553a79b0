"""How an alert goes on after each measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.alerts.rules import begin, fill, is_beyond, step
from podium.core.domain.monitoring import AlertState, MonitorKind, Standing
from podium.core.domain.monitors.thresholds import threshold
from podium.core.domain.project import AlertRule, Hold, MonitorSpec

from .scene import NOW, measured

RULE = AlertRule("high", "errors", above=0.1, cooldown=0.0)
ERRORS = MonitorSpec("errors", MonitorKind.SIGNAL, "production", "error_rate", every=math.inf)
DRIFT = MonitorSpec("drift", MonitorKind.DRIFT, "production", "psi", every=math.inf)
INACTIVE, PENDING, FIRING, NO_DATA = AlertState
BAD, GOOD = 0.5, 0.0


def after(rule: AlertRule, values: Iterable[tuple[float, float | None]], every: float = math.inf) -> list[Standing]:
    """How the alert stands after each (seconds, value)."""
    monitor = replace(ERRORS, every=every)
    found = [begin(rule, monitor, NOW)]
    for number, (at, value) in enumerate(values, 1):
        found.append(step(rule, monitor, found[-1], number, measured(value, at)))
    return found[1:]


def states(rule: AlertRule, *values: float | None, every: float = 60.0) -> list[AlertState]:
    standing = after(rule, [(every * index, value) for index, value in enumerate(values)])
    return [each.status.state for each in standing]


def test_it_fires_and_ends() -> None:
    assert states(RULE, GOOD, BAD, BAD, GOOD) == [INACTIVE, FIRING, FIRING, INACTIVE]
    below = replace(RULE, above=None, below=0.2)
    assert states(below, BAD, GOOD, 0.2) == [INACTIVE, FIRING, INACTIVE], "a value at the threshold is not beyond it"


def test_for_measurements_in_a_row() -> None:
    rule = replace(RULE, for_=Hold(3))
    assert states(rule, BAD, BAD, GOOD, BAD, BAD, BAD) == [PENDING, PENDING, INACTIVE, PENDING, PENDING, FIRING]


def test_for_a_time() -> None:
    rule = replace(RULE, for_=Hold(seconds=120.0))
    assert states(rule, BAD, BAD, BAD, GOOD) == [PENDING, PENDING, FIRING, INACTIVE]
    assert states(rule, BAD, BAD, every=119.0)[-1] is PENDING


def test_no_data_says_nothing() -> None:
    assert states(RULE, None) == [NO_DATA]
    assert states(RULE, GOOD, None, None, GOOD) == [INACTIVE, NO_DATA, NO_DATA, INACTIVE]
    assert states(RULE, BAD, *[None] * 50, BAD) == [FIRING] * 52, "nothing resolves it but a measurement"
    rule = replace(RULE, for_=Hold(3))
    assert states(rule, BAD, None, BAD, None, BAD) == [PENDING, PENDING, PENDING, PENDING, FIRING]
    gone = after(RULE, [(0, BAD), (60, None)])[-1].status
    assert (gone.absent, gone.value, gone.message, gone.measured) == (True, BAD, "no data", NOW)


@pytest.mark.parametrize("value", [math.nan, None])
def test_what_is_no_number_is_no_data(value: float | None) -> None:
    assert is_beyond(RULE, measured(value)) is None


def test_infinity_is_beyond() -> None:
    assert is_beyond(RULE, measured(math.inf)) is True
    assert is_beyond(replace(RULE, above=None, below=0.1), measured(-math.inf)) is True


def test_keep_firing_for() -> None:
    rule = replace(RULE, keep_firing_for=100.0)
    assert states(rule, BAD, GOOD, GOOD, GOOD) == [FIRING, FIRING, FIRING, INACTIVE]
    assert states(rule, BAD, GOOD, BAD, GOOD, GOOD, GOOD)[-2:] == [FIRING, INACTIVE], "it begins anew"
    silent = states(rule, BAD, GOOD, None, None, None, GOOD, GOOD, GOOD)
    assert silent == [FIRING] * 7 + [INACTIVE], "no data ends nothing, and its time does not count"


def test_the_cooldown_holds_it_pending_and_loses_nothing() -> None:
    rule = replace(RULE, cooldown=300.0)
    assert states(rule, BAD, GOOD, BAD, BAD, BAD, BAD) == [FIRING, INACTIVE, PENDING, PENDING, PENDING, FIRING]
    muted = after(rule, [(0, BAD), (60, GOOD)])[-1].status
    assert muted.muted_until == NOW + 300.0


def test_a_clock_that_was_put_back_begins_anew() -> None:
    rule = replace(RULE, for_=Hold(seconds=60.0))
    year = 365 * 86_400.0
    found = after(rule, [(year, BAD), (0, BAD), (60, BAD)])
    assert [each.status.state for each in found] == [PENDING, PENDING, FIRING]
    muted = after(replace(RULE, cooldown=60.0), [(year, BAD), (year + 1, GOOD), (0, BAD), (61, BAD)])
    assert muted[-1].status.state is FIRING, "no cooldown lasts longer than it is"
    kept = after(replace(RULE, keep_firing_for=60.0), [(year, BAD), (year, GOOD), (0, GOOD), (60, GOOD)])
    assert kept[-1].status.state is INACTIVE


def test_a_rate_of_false_alarms_is_judged_by_the_measurements_own_value() -> None:
    rule = replace(RULE, above=None, false_alarms=1 / 30)
    assert is_beyond(rule, measured(0.3, critical=0.31)) is False
    assert is_beyond(rule, measured(0.3, critical=0.29)) is True
    assert is_beyond(rule, measured(0.3)) is None
    standing = step(rule, DRIFT, begin(rule, DRIFT, NOW), 1, measured(0.3))
    assert standing.status.message == "the measurement has no critical value"
    assert threshold(rule, DRIFT, 0.29) == "above 0.29 (false alarms 1/month)"
    assert threshold(replace(rule, false_alarms=2.0), DRIFT) == "false alarms 2/day"


def test_each_measurement_counts_once() -> None:
    rule = replace(RULE, for_=Hold(2))
    once = step(rule, ERRORS, begin(rule, ERRORS, NOW), 7, measured(BAD))
    assert step(rule, ERRORS, once, 7, measured(BAD)) == once
    assert step(rule, ERRORS, once, 6, measured(GOOD)) == once


def test_annotations_are_filled_in_once_and_stay_for_the_episode() -> None:
    rule = replace(RULE, annotations={"summary": "${{ alert.value }} on ${{alert.environment}} v${{ alert.version }}"})
    status = after(rule, [(0, BAD), (60, 0.9)])[-1].status
    assert status.annotations == {"summary": "0.5 on production v3"}
    assert fill("${{ alert.name }}", {"name": "${{ alert.value }} $(reboot)"}) == "${{ alert.value }} $(reboot)"
    assert "0.5 on production v3 for 1m" in status.words(NOW + 61)


VALUES = st.lists(
    st.tuples(st.floats(0.0, 1e6), st.sampled_from([None, math.nan, GOOD, BAD])), min_size=1, max_size=60
).map(lambda rows: sorted(rows, key=lambda row: row[0]))
RULES = st.builds(
    lambda count, seconds, keep, cooldown: replace(
        RULE, for_=Hold(count, seconds), keep_firing_for=keep, cooldown=cooldown
    ),
    st.integers(1, 4),
    st.sampled_from([0.0, 10.0, 1e5]),
    st.sampled_from([0.0, 10.0, 1e5]),
    st.sampled_from([0.0, 10.0, 1e5]),
)


@given(RULES, VALUES)
def test_whatever_is_measured(rule: AlertRule, values: list[tuple[float, float | None]]) -> None:
    standing = after(rule, values)
    fired: list[float] = []
    before = begin(rule, ERRORS, NOW)
    for (at, value), each in zip(values, standing, strict=True):
        old, new = before.status.state, each.status.state
        absent = value is None or math.isnan(value)
        if absent:
            assert new is (NO_DATA if old in (INACTIVE, NO_DATA) else old), "no data changes nothing that is the matter"
        if value == BAD:
            assert new in (PENDING, FIRING)
        if new is FIRING and old is not FIRING:
            assert value == BAD
            assert not fired or at - fired[-1] >= rule.cooldown
            fired.append(at)
        if old is FIRING and new is not FIRING:
            assert value == GOOD and new is INACTIVE
        assert each.status.absent == absent
        before = each


@given(VALUES)
def test_without_a_wait_it_fires_exactly_while_the_value_is_beyond(values: list[tuple[float, float | None]]) -> None:
    known = [row for row in values if row[1] is not None and not math.isnan(row[1])]
    for (_, value), each in zip(known, after(RULE, known), strict=True):
        assert each.status.firing == (value == BAD)


def test_time_without_data_does_not_count() -> None:
    """Neither a monitor that has no value nor one that nobody evaluates makes an alert fire, or end, by itself."""
    rule = replace(RULE, for_=Hold(seconds=300.0), keep_firing_for=200.0)
    for gap in ([(120.0 + 60.0 * n, None) for n in range(60)], []):  # without a value; without a measurement
        bad = [(0.0, BAD), (60.0, BAD), *gap, (7200.0, BAD), (7260.0, BAD), (7380.0, BAD), (7440.0, BAD)]
        found = after(rule, bad, every=60.0)
        assert [each.status.state for each in found[-4:]] == [PENDING, PENDING, PENDING, FIRING], gap
    back = [(0.0, BAD), (300.0, BAD), (360.0, GOOD), (7200.0, GOOD), (7260.0, GOOD), (7400.0, GOOD)]
    found = [each.status.state for each in after(replace(rule, for_=Hold()), back, every=60.0)]
    assert found == [FIRING, FIRING, FIRING, FIRING, FIRING, INACTIVE]


def test_a_late_measurement_is_no_gap() -> None:
    rule = replace(RULE, for_=Hold(seconds=300.0))
    found = after(rule, [(0.0, BAD), (150.0, BAD), (330.0, BAD)], every=60.0)
    assert found[-1].status.state is FIRING
