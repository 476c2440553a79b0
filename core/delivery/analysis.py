"""Is the new version doing well on its share of the traffic? In the verdict language, from the proxy's counts and the replicas' histograms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..domain.delivery import Replica
from ..domain.verdicts import CheckResult, Verdict, worst
from ..monitoring.exposition import Buckets, add, difference, histogram, parse, quantile
from . import http
from .haproxy import ServerStat

LATENCY = "podium_request_seconds"
# Fewer requests than this say nothing for certain about a share or a quantile.
_LEAST = 20
_QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals of each replica (by slot) at one moment."""

    requests: Mapping[str, int]
    errors: Mapping[str, int]
    latency: Mapping[str, Buckets] = field(default_factory=dict[str, Buckets])


def read(stats: Iterable[ServerStat], replicas: Sequence[Replica], *, latency: bool = True) -> Reading:
    servers = {stat.name: stat for stat in stats if stat.kind == "server"}
    return Reading(
        {slot: stat.requests for slot, stat in servers.items()},
        {slot: stat.errors_5xx + stat.failures for slot, stat in servers.items()},
        {replica.slot: _buckets(replica) for replica in replicas} if latency else {},
    )


@dataclass(frozen=True, slots=True)
class Window:
    """What one version did between two readings."""

    requests: int
    errors: int
    latency: Buckets

    def value(self, signal: str) -> float | None:
        """The signal's value (share, or seconds); None where it was not measured or cannot be measured per version."""
        if signal == "error_rate":
            return min(1.0, self.errors / self.requests) if self.requests else None
        return quantile(self.latency, _QUANTILES[signal]) if signal in _QUANTILES else None


def window(before: Reading, after: Reading, slots: Iterable[str]) -> Window:
    requests = errors = 0
    latency: Buckets = {}
    for slot in slots:
        requests += max(0, after.requests.get(slot, 0) - before.requests.get(slot, 0))
        errors += max(0, after.errors.get(slot, 0) - before.errors.get(slot, 0))
        latency = add(latency, difference(after.latency.get(slot, {}), before.latency.get(slot, {})))
    return Window(requests, errors, latency)


def judge(rules: Sequence[Mapping[str, Any]], new: Window, old: Window) -> list[CheckResult]:
    """One result per rule. Nothing measured is an error; too few requests are inconclusive; limits are strict."""
    return [_judge(rule, new, old) for rule in rules]


def verdict(results: Sequence[CheckResult]) -> Verdict:
    return worst(result.verdict for result in results)


def _judge(rule: Mapping[str, Any], new: Window, old: Window) -> CheckResult:
    signal = str(rule.get("signal", ""))
    value, baseline = new.value(signal), old.value(signal) if rule.get("compare") else None
    if value is None:
        return CheckResult(signal, Verdict.ERROR, f"{signal} was not measured: {new.requests} requests reached the new version", rows=new.requests)
    if rule.get("compare") and baseline is None:
        return CheckResult(signal, Verdict.ERROR, f"{signal} of the version before was not measured", value, rows=new.requests)
    limit = _limit(rule, baseline)
    low = rule.get("at_least")
    shown = f"{signal} {value:.4g}" + (f", before {baseline:.4g}" if baseline is not None else "") + f", {new.requests} requests"
    if new.requests < _LEAST:
        return CheckResult(signal, Verdict.INCONCLUSIVE, f"{shown}: fewer than {_LEAST}", value, baseline, limit=limit, rows=new.requests)
    bad = (limit is not None and value > limit) or (low is not None and value < float(low))
    bounds = " and ".join([*([f"at most {limit:.4g}"] if limit is not None else []), *([f"at least {float(low):.4g}"] if low is not None else [])])
    return CheckResult(signal, Verdict.FAIL if bad else Verdict.PASS, f"{shown}; allowed {bounds}", value, baseline, limit=limit, rows=new.requests)


def _limit(rule: Mapping[str, Any], baseline: float | None) -> float | None:
    limits = [float(rule["at_most"])] if rule.get("at_most") is not None else []
    if baseline is not None:
        limits.append(baseline * (1 + float(rule.get("margin") or 0.0)))
    return min(limits, default=None)


def _buckets(replica: Replica) -> Buckets:
    try:
        status, body = http.request(replica.port, "GET", "/metrics", timeout=1.0)
    except OSError:
        return {}
    return histogram(parse(body.decode("utf-8", "replace")), LATENCY) if status == 200 else {}
