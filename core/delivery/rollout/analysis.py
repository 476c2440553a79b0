"""Judges whether the new version does well on its share of the traffic, from what both versions did meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.delivery import Replica
from ...domain.project import AnalysisRule
from ...domain.verdicts import CheckResult, Verdict
from ...telemetry.scrape import scrape
from ...telemetry.windows import Reading, Window
from ..environment.runtime import EnvironmentRuntime

# Fewer requests than this say nothing for certain about a share or a quantile.
MIN_REQUESTS = 20


def read(runtime: EnvironmentRuntime, replicas: Sequence[Replica] = ()) -> Reading:
    """Returns the proxy's counts of every server now, and the latencies of `replicas`."""
    return Reading(runtime.proxy.counts(), scrape(replicas, runtime.transport) if replicas else {})


def judge(rules: Sequence[AnalysisRule], new: Window, old: Window) -> list[CheckResult]:
    """Returns one result per rule. Nothing measured is an error; too few requests are inconclusive; limits are
    strict."""
    return [_judge(rule, new, old) for rule in rules]


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
    return result(Verdict.FAIL if bad else Verdict.PASS, f"{shown}; allowed {_bounds(rule, limit)}")


def _bounds(rule: AnalysisRule, limit: float | None) -> str:
    bounds = [f"at most {limit:.4g}"] if limit is not None else []
    return " and ".join([*bounds, *([f"at least {rule.at_least:.4g}"] if rule.at_least is not None else [])])


def _limit(rule: AnalysisRule, baseline: float | None) -> float | None:
    limits = [rule.at_most] if rule.at_most is not None else []
    if baseline is not None:
        limits.append(baseline * (1 + rule.margin))
    return min(limits, default=None)
