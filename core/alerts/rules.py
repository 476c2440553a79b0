"""How an alert goes on after a measurement: a pure function of the rule, how it stood, and what was measured.

    inactive ──beyond──▶ pending ──`for`──▶ firing ──back for `keep_firing_for`──▶ inactive

No data changes neither pending nor firing: it says nothing. An inactive alert becomes one of no data, because inactive
would say that all is well. Time without data is not counted either, by `for` nor by `keep_firing_for`: both go on where
they stood with the first value after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ..config.expressions import render
from ..domain.monitoring import AlertState, AlertStatus, Measurement, Standing
from ..domain.monitors.thresholds import threshold
from ..domain.project import AlertRule, MonitorSpec
from ..domain.text import measures
from ..domain.text.format import moment

# A monitor has measured no more when so many of its times and so many seconds have gone by.
MISSED_TIMES = 3
MISSED_SECONDS = 60.0
MAX_TEXT = 2_000
"""Letters of an annotation that are kept once its values are filled in."""


def begin(rule: AlertRule, monitor: MonitorSpec, at: float) -> Standing:
    """Returns how an alert of a monitor stands that was never judged; `at` is now, in seconds since the epoch."""
    status = AlertStatus(
        rule.name,
        monitor.environment,
        rule.monitor,
        AlertState.NO_DATA,
        at,
        absent=True,
        limit=limit(rule, None),
        threshold=threshold(rule, monitor),
        message="not measured yet",
    )
    return Standing(described(rule, status))


def described(rule: AlertRule, status: AlertStatus) -> AlertStatus:
    """Returns the status with what podium.yaml says of the alert now. While it fires this stays as it was when the
    episode began: who was told of an alert by its labels has to be told of its end by the same ones."""
    if status.firing:
        return status
    return replace(status, severity=rule.severity, labels=dict(rule.labels), annotations=dict(rule.annotations))


def step(rule: AlertRule, monitor: MonitorSpec, before: Standing, number: int, measured: Measurement) -> Standing:
    """Returns how the alert of a monitor stands after measurement `number`. One that was judged already changes
    nothing."""
    if number <= before.seen:
        return before
    beyond = is_beyond(rule, measured)
    known = replace(before, status=described(rule, before.status), seen=number)
    if beyond is None:
        return _absent(known, measured, rule)
    known = _without_gap(known, measured.at, monitor.every)
    compared = limit(rule, measured.critical)
    status = replace(
        known.status,
        value=measured.value,
        shown=measures.beside(monitor.kind, monitor.measure, measured.value, compared),
        limit=compared,
        measured=measured.at,
        absent=False,
        threshold=threshold(rule, monitor, measured.critical),
        message=measured.message,
        muted_until=_muted_until(known.status.muted_until, rule.cooldown, measured.at),
    )
    known = replace(known, status=status)
    return _beyond(rule, known, measured) if beyond else _back(rule, known, measured)


def missed(standing: Standing, every: float, now: float) -> bool:
    """Tells whether a monitor that measures every so many seconds has not done so for a while, and that is not said
    yet."""
    last = standing.status.measured
    return last is not None and not standing.status.absent and now - last > _patience(every)


def gone_by(standing: Standing, every: float) -> float:
    """Returns from when on an alert's monitor has not measured for a while, in seconds since the epoch."""
    return (standing.status.measured or standing.status.since) + _patience(every)


def without(standing: Standing, now: float) -> Standing:
    """Returns how an alert stands whose monitor measures no more."""
    status = replace(standing.status, absent=True, message="its monitor has not measured for a while")
    if status.state is AlertState.INACTIVE:
        status = replace(status, state=AlertState.NO_DATA, since=now)
    return replace(standing, status=status)


def is_beyond(rule: AlertRule, measured: Measurement) -> bool | None:
    """Tells whether a measurement is beyond the alert's threshold; None where that cannot be told. A value that is no
    number is none, and one without a critical value cannot be judged by a rate of false alarms."""
    value, compared = measured.value, limit(rule, measured.critical)
    if value is None or compared is None or math.isnan(value) or math.isnan(compared):
        return None
    return value < compared if rule.below is not None else value > compared


def limit(rule: AlertRule, critical: float | None) -> float | None:
    """Returns the value that the alert fires beyond; `critical` is the measurement's own, for a rate of false
    alarms."""
    if rule.false_alarms is not None:
        return critical
    return rule.above if rule.below is None else rule.below


def _without_gap(known: Standing, now: float, every: float) -> Standing:
    """Returns how an alert stands whose waiting times do not count the time since the last value, if there was no data
    in it."""
    status = known.status
    last = status.measured
    if last is None or now <= last or not (status.absent or now - last > _patience(every)):
        return known
    gap = now - last
    if status.state is AlertState.PENDING:
        known = replace(known, status=replace(status, since=status.since + gap))
    return replace(known, back=known.back + gap) if known.back is not None else known


def _patience(every: float) -> float:
    """Returns the seconds after which a monitor that measures every so many has not done so for a while."""
    return MISSED_TIMES * every + MISSED_SECONDS


def _absent(known: Standing, measured: Measurement, rule: AlertRule) -> Standing:
    status = replace(known.status, absent=True, message=measured.message or _why_absent(rule, measured))
    if status.state is AlertState.INACTIVE:
        status = replace(status, state=AlertState.NO_DATA, since=measured.at)
    return replace(known, status=status)


def _why_absent(rule: AlertRule, measured: Measurement) -> str:
    if rule.false_alarms is not None and measured.value is not None:
        return "the measurement has no critical value"
    return "no data"


def _beyond(rule: AlertRule, known: Standing, measured: Measurement) -> Standing:
    status, count = known.status, known.count + 1
    if status.firing:
        return replace(known, count=count, back=None)
    pending = status.state is AlertState.PENDING
    # A clock that was put back begins anew, or the alert would wait for as long as the clock was wrong.
    since = min(status.since, measured.at) if pending else measured.at
    lasted = count >= rule.for_.measurements and measured.at - since >= rule.for_.seconds
    if not lasted or status.muted_until is not None:
        state = replace(status, state=AlertState.PENDING, since=since)
        return replace(known, status=state, count=count, back=None)
    values = values_of(rule, status, measured)
    status = replace(
        status,
        state=AlertState.FIRING,
        since=measured.at,
        muted_until=measured.at + rule.cooldown if rule.cooldown else None,
        annotations={name: fill(text, values) for name, text in rule.annotations.items()},
    )
    return replace(known, status=status, count=count, back=None, values=values)


def _back(rule: AlertRule, known: Standing, measured: Measurement) -> Standing:
    status = known.status
    if status.firing:
        back = measured.at if known.back is None else min(known.back, measured.at)
        if measured.at - back < rule.keep_firing_for:
            return replace(known, count=0, back=back)
    elif status.state is AlertState.INACTIVE:
        return replace(known, count=0)
    over = replace(status, state=AlertState.INACTIVE, since=measured.at, episode=0, acknowledged="")
    return replace(known, status=described(rule, over), count=0, back=None)


def _muted_until(until: float | None, cooldown: float, now: float) -> float | None:
    """Returns the end of the cooldown; None if it is over. No end is further away than the cooldown is long: that would
    be a clock which was put back."""
    return min(until, now + cooldown) if until is not None and now < until and cooldown else None


def values_of(rule: AlertRule, status: AlertStatus, measured: Measurement) -> dict[str, str]:
    """Returns what `${{ alert.… }}` names. Whatever they hold is text, and nothing reads it as anything else."""
    return {
        "name": rule.name,
        "environment": status.environment,
        "monitor": rule.monitor,
        "severity": rule.severity,
        "value": "" if measured.value is None else f"{measured.value:g}",
        "shown": status.shown,
        "threshold": status.threshold,
        "version": "" if measured.version is None else str(measured.version),
        "rows": str(measured.rows),
        "start": moment(measured.start) or "",
        "end": moment(measured.end) or "",
        "at": moment(measured.at) or "",
    }


def fill(template: str, values: Mapping[str, str]) -> str:
    """Returns an annotation with its values filled in, once: a value that looks like a placeholder stays as it is."""
    return render(template, {"alert": values})[:MAX_TEXT]
