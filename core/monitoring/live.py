"""Monitors of live signals: one value for a window of the samples that the agent takes once a second (signals.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ..delivery.environment.restarts import WINDOW_SECONDS, number
from ..delivery.host.paths import environment_dir
from ..domain.monitoring import Measurement
from ..domain.text.format import exact_duration
from .moment import Moment, NoData

# A window is looked at in at most so many steps.
_MAX_STEPS = 3600
# Where the last request is looked for: from the newest samples, which are each second's, to the oldest.
_LOOK_BACK = (3600.0, 86_400.0, 30 * 86_400.0, 365 * 86_400.0)
_Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


def measure(moment: Moment) -> Measurement:
    """Returns the value of a signal over the monitor's window. Raises NoData if it was not measured in it."""
    moment.require_service()
    return _KINDS.get(moment.monitor.measure, _weighted)(moment)


def _requests(moment: Moment) -> Measurement:
    """Requests/s: the mean of the seconds that were measured."""
    rates = _series(moment, "requests")
    return _measured(moment, _mean(rates), rates)


def _plain(moment: Moment) -> Measurement:
    """CPU and memory: the mean of the seconds that were measured."""
    return _measured(moment, _mean(_series(moment, moment.monitor.measure)), ())


def _weighted(moment: Moment) -> Measurement:
    """Errors and latencies: the mean, in which a second counts as much as it had requests. A share of errors has an
    interval (Wilson, 1927)."""
    values, rates = _series(moment, moment.monitor.measure), _series(moment, "requests")
    weights = [(value, rate) for value, rate in zip(values, rates, strict=True) if value is not None and rate]
    total = math.fsum(rate for _, rate in weights)
    if not total:
        raise NoData(f"no request in the last {_window(moment)}")
    value = math.fsum(value * rate for value, rate in weights) / total
    if moment.monitor.measure != "error_rate":
        return _measured(moment, value, rates)
    low, high = wilson(value, max(1, _rows(moment, rates)))
    return _measured(moment, value, rates, low=low, high=high)


def _restarts(moment: Moment) -> Measurement:
    """Restarts of replicas in the window, which is an hour at most."""
    warnings = (
        (f"restarts are known for the last {exact_duration(WINDOW_SECONDS)} only",)
        if moment.now - moment.start > WINDOW_SECONDS
        else ()
    )
    found = number(environment_dir(moment.project, moment.monitor.environment), moment.start, moment.now)
    return moment.measured(float(found), start=moment.start, end=moment.now, warnings=warnings)


def _no_traffic(moment: Moment) -> Measurement:
    """The seconds since the last request, as exactly as samples of its age are kept."""
    if not any(each is not None for each in _series(moment, "requests")):
        raise _unmeasured(moment, "requests")
    for span in _LOOK_BACK:
        found = _steps(moment, "requests", moment.now - span, span)
        at = next((at for at, rate in reversed(found) if rate), None)
        if at is not None:
            return moment.measured(max(0.0, moment.now - at), end=at)
    raise NoData("no request was ever seen")


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share that was seen in `rows` independent rows (Wilson's score interval, 1927)."""
    square = _Z * _Z
    centre = share + square / (2 * rows)
    spread = _Z * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    # At the ends the two are equal, but for what floats make of it.
    low = (centre - spread) / (1 + square / rows) if share > 0 else 0.0
    high = (centre + spread) / (1 + square / rows) if share < 1 else 1.0
    return max(0.0, low), min(1.0, high)


_KINDS: Mapping[str, Callable[[Moment], Measurement]] = {
    "requests": _requests,
    "cpu": _plain,
    "memory": _plain,
    "restarts": _restarts,
    "no_traffic": _no_traffic,
}


def _series(moment: Moment, signal: str) -> Sequence[float | None]:
    return [rate for _, rate in _steps(moment, signal, moment.start, moment.now - moment.start)]


def _steps(moment: Moment, signal: str, start: float, span: float) -> list[tuple[float, float | None]]:
    """Returns (end of the step, value) of each step of the samples."""
    found = moment.journal.samples.series(
        moment.monitor.environment, signal, start=start, end=moment.now, points=min(_MAX_STEPS, max(1, round(span)))
    )
    return [(found.start + (index + 1) * found.step, value) for index, value in enumerate(found.values)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _rows(moment: Moment, rates: Sequence[float | None]) -> int:
    """Returns the number of requests, from how many there were a second."""
    step = (moment.now - moment.start) / len(rates) if rates else 0.0
    return round(math.fsum(rate * step for rate in rates if rate is not None))


def _measured(
    moment: Moment,
    value: float | None,
    rates: Sequence[float | None],
    low: float | None = None,
    high: float | None = None,
) -> Measurement:
    if value is None:
        raise _unmeasured(moment, moment.monitor.measure)
    rows = _rows(moment, rates)
    return moment.measured(value, start=moment.start, end=moment.now, rows=rows, low=low, high=high)


def _unmeasured(moment: Moment, signal: str) -> NoData:
    return NoData(f"{signal} was not measured in the last {_window(moment)}", hint="is the agent running?")


def _window(moment: Moment) -> str:
    return exact_duration(moment.now - moment.start)
