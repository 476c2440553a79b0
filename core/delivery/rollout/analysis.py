"""Judges whether the new version does well on its share of the traffic, from what both versions did meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from ...domain.delivery import Replica
from ...domain.project import AnalysisRule
from ...domain.verdicts import CheckResult, Verdict
from ...telemetry.histograms import quantile
from ...telemetry.scrape import scrape
from ...telemetry.windows import QUANTILES, Reading, Window
from ..environment.runtime import EnvironmentRuntime

# Fewer requests than this say nothing for certain about a share or a quantile.
MIN_REQUESTS = 20
# How likely a difference in refusals or errors is by chance, at most, for it to be held against a version. A canary is
# judged a few times, and again and again while it is paused: all of that together has to stay below one in a hundred.
MOST_BY_CHANCE = 2e-4
# Latencies of two versions that differ by less than this share on a machine that is too slow for both are alike.
_ALIKE = 0.5
_CLASSES = {"refused_rate": "refused (4xx)", "error_rate": "failed (5xx, or cut off)"}


def read(runtime: EnvironmentRuntime, replicas: Sequence[Replica] = ()) -> Reading:
    """Returns the proxy's counts of every server now, and the latencies of `replicas`."""
    return Reading(runtime.proxy.counts(), scrape(replicas, runtime.transport) if replicas else {})


def judge(rules: Sequence[AnalysisRule], new: Window, old: Window) -> list[CheckResult]:
    """Returns one result per rule, and one for each class of answers that no rule is about and of which the new
    version certainly gives more than the version before. Nothing measured is an error; too few requests are
    inconclusive; limits are strict."""
    ruled = {rule.signal for rule in rules}
    beside = (_beside(signal, new, old) for signal in _CLASSES if signal not in ruled)
    return [*(_judge(rule, new, old) for rule in rules), *(result for result in beside if result is not None)]


def _beside(signal: str, new: Window, old: Window) -> CheckResult | None:
    """Returns that the new version refuses or fails more often than the version before did in the same time, by
    Fisher's exact test; None while that may be chance."""
    value, baseline = new.value(signal), old.value(signal)
    if value is None or baseline is None or value <= baseline:
        return None
    number, before = round(value * new.requests), round(baseline * old.requests)
    from scipy import stats

    both = cast(Any, stats).hypergeom(new.requests + old.requests, number + before, new.requests)
    if float(both.sf(number - 1)) > MOST_BY_CHANCE:
        return None
    words = (
        f"{signal}: {number} of {new.requests} requests {_CLASSES[signal]}, {before} of {old.requests} by the version"
        f" before; by chance at most once in {1 / MOST_BY_CHANCE:,.0f} times"
    )
    return CheckResult(signal, Verdict.FAIL, words, value, baseline, rows=new.requests)


def beyond_saving(rules: Sequence[AnalysisRule], new: Window, *, share: float) -> str:
    """Returns why the rest of a stage cannot change that it fails, `share` (0..1) of its time being over; empty while
    it could.

    Only the error rate can be beyond saving: it is when there are more errors already than the limit allows for all
    the requests to be expected.
    """
    if new.requests < MIN_REQUESTS or share <= 0:
        return ""
    for rule in rules:
        limit = rule.at_most if rule.signal == "error_rate" else None
        if limit is not None and new.errors > limit * new.requests / share:
            return (
                f"error_rate {min(1.0, new.errors / new.requests):.4g}, {new.requests} requests; allowed at most"
                f" {limit:.4g}, out of reach already"
            )
    return ""


def _judge(rule: AnalysisRule, new: Window, old: Window) -> CheckResult:
    value, baseline = new.value(rule.signal), old.value(rule.signal) if rule.compare else None
    if value is None:
        words = f"{rule.signal} was not measured: {new.requests} requests reached the new version"
        return CheckResult(rule.signal, Verdict.ERROR, words, rows=new.requests)
    if rule.compare and baseline is None:
        words = f"{rule.signal} of the version before was not measured"
        return CheckResult(rule.signal, Verdict.ERROR, words, value, rows=new.requests)
    limit = _limit(rule, baseline)

    def result(verdict: Verdict, message: str) -> CheckResult:
        return CheckResult(rule.signal, verdict, message, value, baseline, limit=limit, rows=new.requests)

    before = f", before {baseline:.4g}" if baseline is not None else ""
    shown = f"{rule.signal} {value:.4g}{before}, {new.requests} requests"
    if new.requests < MIN_REQUESTS:
        return result(Verdict.INCONCLUSIVE, f"{shown}: fewer than {MIN_REQUESTS}")
    if rule.compare and old.requests < MIN_REQUESTS:
        words = f"{shown}, and {old.requests} to the version before: fewer than {MIN_REQUESTS}"
        return result(Verdict.INCONCLUSIVE, words)
    bad = (limit is not None and value > limit) or (rule.at_least is not None and value < rule.at_least)
    if bad and _by_chance(rule, new, old):
        words = f"{shown}; allowed {_bounds(rule, limit)}, and so much more may be chance"
        return result(Verdict.PASS, words)
    if bad and _slow_both(rule, value, old):
        words = f"{shown}; allowed {_bounds(rule, limit)}; so is the version before"
        return result(Verdict.INCONCLUSIVE, words)
    return result(Verdict.FAIL if bad else Verdict.PASS, f"{shown}; allowed {_bounds(rule, limit)}")


def _by_chance(rule: AnalysisRule, new: Window, old: Window) -> bool:
    """Tells whether the new version is over its limit beside the version before, and over no other one, while both may
    be equal: of equal versions one is always a little worse by chance."""
    value, baseline = new.value(rule.signal), old.value(rule.signal)
    if not rule.compare or value is None or baseline is None:
        return False
    if (rule.at_most is not None and value > rule.at_most) or (rule.at_least is not None and value < rule.at_least):
        return False
    if rule.signal in _CLASSES:
        return _answers_by_chance(new, old, value, baseline)
    return rule.signal in QUANTILES and _latency_by_chance(rule, new, old, baseline)


def _answers_by_chance(new: Window, old: Window, value: float, baseline: float) -> bool:
    """Of all errors together, those of the new version are binomial if both versions are equal, with the share that it
    has of the requests (Przyborowski and Wilenski, 1940)."""
    from scipy import stats

    number, before = round(value * new.requests), round(baseline * old.requests)
    share = new.requests / (new.requests + old.requests)
    return float(cast(Any, stats).binom.sf(number - 1, number + before, share)) > MOST_BY_CHANCE


def _latency_by_chance(rule: AnalysisRule, new: Window, old: Window, baseline: float) -> bool:
    """The rank of a quantile has the standard error of a share, of both versions together; so much lower, the new
    version's may be that of the version before."""
    from scipy import stats

    q = QUANTILES[rule.signal]
    spread = float(cast(Any, stats).norm.isf(MOST_BY_CHANCE)) * math.sqrt(
        q * (1 - q) * (1 / new.requests + 1 / old.requests)
    )
    low = quantile(new.latency, max(0.0, q - spread))
    return low is not None and low <= baseline


def _slow_both(rule: AnalysisRule, value: float, old: Window) -> bool:
    """Tells whether a latency is over its limit while that of the version before is, too, and not much lower."""
    before = old.value(rule.signal) if rule.signal in QUANTILES and old.requests >= MIN_REQUESTS else None
    return before is not None and rule.at_most is not None and rule.at_most < before and value <= before * (1 + _ALIKE)


def _bounds(rule: AnalysisRule, limit: float | None) -> str:
    bounds = [f"at most {limit:.4g}"] if limit is not None else []
    return " and ".join([*bounds, *([f"at least {rule.at_least:.4g}"] if rule.at_least is not None else [])])


def _limit(rule: AnalysisRule, baseline: float | None) -> float | None:
    limits = [rule.at_most] if rule.at_most is not None else []
    if baseline is not None:
        limits.append(baseline * (1 + rule.margin))
    return min(limits, default=None)
