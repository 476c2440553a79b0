"""The checks of a metric: against fixed limits and against the champion, on all rows or per slice."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from ..domain.frozen import Frozen
from ..domain.metrics import is_function
from ..domain.project import Check
from ..domain.text.format import count
from ..domain.verdicts import CheckResult, Verdict
from .bootstrap import MetricDifference, MetricInterval, by_chance, difference, holm, interval
from .checks import CheckInputs, name_of
from .limits import broken_limit
from .metrics import Metric, ModelAnswers, Unmeasurable, measure, suspicion
from .resampling import least_units
from .slices import Slice, sliced
from .subjects import JudgedModel

# An interval of a value, or a p-value of a slice, needs fewer resamples than what a comparison is judged by.
_RESAMPLES = 500


class _Limited(Frozen):
    """A value beside its limits."""

    value: float
    broken: str
    """Which limit is broken, in words; empty if none is."""
    limit: float | None
    """The limit that applies."""
    interval: MetricInterval
    answers: ModelAnswers
    one: Slice | None


def bounds(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Judges a metric against fixed limits, on all rows or per slice."""
    metric = bench.metric(check)
    if check.slices:
        return sliced(check, bench, lambda slices: _slice_bounds(check, metric, bench, slices))
    found = _limited(check, metric, bench, None)
    verdict = Verdict.FAIL if found.broken else Verdict.PASS
    return (_bound(check, found, verdict, suspicion(metric.name, found.value, found.answers)),)


def _limited(check: Check, metric: Metric, bench: CheckInputs, one: Slice | None) -> _Limited:
    answers = _answers(check, metric, bench.candidate, one)
    value = measure(metric, answers)
    spread = interval(metric, answers, confidence=check.confidence, resamples=_RESAMPLES)
    return _Limited(value, *broken_limit(check, value), spread, answers, one)


def _answers(check: Check, metric: Metric, subject: JudgedModel, one: Slice | None) -> ModelAnswers:
    """Returns the answers that a check looks at."""
    found = subject.unread() if is_function(check.metric) else subject.answers(check.prediction)
    return metric.part(found if one is None else found.only(one.mask))


def _bound(check: Check, found: _Limited, verdict: Verdict, more: str) -> CheckResult:
    rows, spread = found.answers.rows, found.interval
    interval = f"{_four(spread.low)} … {_four(spread.high)}"
    message = f"{_four(found.value)} ({check.confidence:.0%} interval {interval})"
    message += f" on {count(rows, 'row')}" + (f" is {found.broken}" if found.broken else "")
    return CheckResult(
        name_of(check),
        verdict,
        message + more,
        value=found.value,
        limit=found.limit,
        rows=rows,
        slice=found.one.name if found.one else "",
        value_low=spread.low,
        value_high=spread.high,
    )


def _slice_bounds(check: Check, metric: Metric, bench: CheckInputs, slices: Sequence[Slice]) -> list[CheckResult]:
    """Judges slices: one below its limit fails if that is significant after Holm's correction, otherwise it is
    inconclusive."""
    judged: list[_Limited] = []
    results: list[CheckResult] = []
    for one in slices:
        try:
            judged.append(_limited(check, metric, bench, one))
        except Unmeasurable as error:
            results.append(_unmeasured(check, one, error))
    for found, p in zip(judged, holm([_p_value(found) for found in judged]), strict=True):
        sure = p < 1 - check.confidence
        verdict = Verdict.PASS if not found.broken else Verdict.FAIL if sure else Verdict.INCONCLUSIVE
        more = ""
        if verdict is Verdict.INCONCLUSIVE:
            more = f", which {count(found.answers.rows, 'row')} cannot tell from chance (p {p:.2g} after Holm)"
        results.append(_bound(check, found, verdict, more))
    return results


def _p_value(found: _Limited) -> float:
    """Returns the probability that a value at its limit is seen so far beyond it."""
    if not found.broken or found.limit is None:
        return 1.0
    if not found.interval.error > 0:
        return by_chance(least_units(found.answers))
    return NormalDist().cdf(-abs(found.value - found.limit) / found.interval.error)


def comparison(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Tests non-inferiority: is the candidate, on the same rows, at most `margin` worse than the champion?"""
    nobody = bench.nobody(name_of(check))
    if nobody is not None:
        return nobody
    metric = bench.metric(check)
    if check.slices:
        return sliced(check, bench, lambda slices: _slice_comparisons(check, metric, bench, slices))
    return (_compared(check, _pair(check, metric, bench, None), bench),)


class _Pair(Frozen):
    """The two values of a comparison with their difference."""

    value: float
    baseline: float
    difference: MetricDifference
    one: Slice | None
    suspicious: str


def judge(difference: MetricDifference, margin: float, significant: bool | None = None) -> Verdict:
    """Returns PASS if the whole interval is above −margin, FAIL if the whole of it is below, else INCONCLUSIVE.

    Two models that answer alike have an interval of no width; equal to −margin counts as above it. `significant`
    overrides the second question.
    """
    if difference.low >= -margin:
        return Verdict.PASS
    worse = difference.high < -margin if significant is None else significant
    return Verdict.FAIL if worse else Verdict.INCONCLUSIVE


def _pair(check: Check, metric: Metric, bench: CheckInputs, one: Slice | None) -> _Pair:
    assert bench.champion is not None
    candidate, champion = (_answers(check, metric, each, one) for each in (bench.candidate, bench.champion))
    value, baseline = measure(metric, candidate), measure(metric, champion)
    found = difference(metric, candidate, champion, confidence=check.confidence)
    return _Pair(value, baseline, found, one, suspicion(metric.name, value, candidate))


def _compared(check: Check, pair: _Pair, bench: CheckInputs, significant: bool | None = None) -> CheckResult:
    verdict = judge(pair.difference, check.margin, significant)
    return CheckResult(
        name_of(check),
        verdict,
        _words(check, bench, pair, verdict) + pair.suspicious,
        value=pair.value,
        baseline=pair.baseline,
        low=pair.difference.low,
        high=pair.difference.high,
        limit=-check.margin,
        rows=pair.difference.rows,
        slice=pair.one.name if pair.one else "",
    )


def _words(check: Check, bench: CheckInputs, pair: _Pair, verdict: Verdict) -> str:
    assert bench.champion is not None
    found = pair.difference
    direction = "better" if found.value > 0 else "worse" if found.value < 0 else "different"
    amount = f"{_four(abs(found.value))} {direction}" if found.value else "no different"
    text = f"{_four(pair.value)} is {amount} than champion {bench.champion.version.version}'s {_four(pair.baseline)}"
    interval = f"{check.confidence:.0%} interval {_four(found.low, '+')} … {_four(found.high, '+')}"
    text += f" ({interval}, margin {check.margin:g}, {count(found.rows, 'row')})"
    if verdict is Verdict.INCONCLUSIVE:
        text += f"; the smallest difference that these rows would show is {_four(found.detectable)}"
    return text


def _four(value: float, sign: str = "") -> str:
    """Returns a number with four digits after the point or, where these would be 0.0000, with two that say something:
    the target may be of any size."""
    return f"{value:{sign}.4f}" if not value or abs(value) >= 0.00005 else f"{value:{sign}.2g}"


def _slice_comparisons(check: Check, metric: Metric, bench: CheckInputs, slices: Sequence[Slice]) -> list[CheckResult]:
    """Compares slices: one fails only if it is significantly worse after Holm's correction. Passing needs no
    correction, because every slice has to pass."""
    found: list[_Pair] = []
    results: list[CheckResult] = []
    for one in slices:
        try:
            found.append(_pair(check, metric, bench, one))
        except Unmeasurable as error:
            results.append(_unmeasured(check, one, error))
    adjusted = holm([pair.difference.p_below(-check.margin) for pair in found])
    for pair, p in zip(found, adjusted, strict=True):
        results.append(_compared(check, pair, bench, p < (1 - check.confidence) / 2))
    return results


def _unmeasured(check: Check, one: Slice, error: Unmeasurable) -> CheckResult:
    return CheckResult(name_of(check), Verdict.ERROR, error.message, rows=one.rows, slice=one.name)
