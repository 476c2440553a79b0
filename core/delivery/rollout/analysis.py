"""Is the new version doing well on its share of the traffic? In the verdict language, from the proxy's counts and
the replicas' histograms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...domain.delivery import Replica
from ...domain.verdicts import CheckResult, Verdict, worst
from ...monitoring.exposition import Buckets, add, difference, histogram, parse, quantile
from ..proxy.haproxy import ServerStat
from ..proxy.transport import Transport

LATENCY = "podium_request_seconds"
# Fewer requests than this say nothing for certain about a share or a quantile.
_LEAST = 20
_QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals at one moment: of each replica by instance of the proxy and slot, its latencies by slot."""

    requests: Mapping[tuple[int, str], int]
    errors: Mapping[tuple[int, str], int]
    latency: Mapping[str, Buckets] = field(default_factory=dict[str, Buckets])


def read(
    readings: Mapping[int, Sequence[ServerStat]],
    replicas: Sequence[Replica],
    transport: Transport,
    *,
    latency: bool = True,
) -> Reading:
    servers = {
        (number, stat.name): stat for number, stats in readings.items() for stat in stats if stat.kind == "server"
    }
    return Reading(
        {key: stat.requests for key, stat in servers.items()},
        {key: stat.errors_5xx + stat.failures for key, stat in servers.items()},
        _latencies(replicas, transport) if latency else {},
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
    wanted = set(slots)
    # Of an instance that did not answer before, nobody knows since when it has counted.
    known = {number for number, _ in before.requests} or {number for number, _ in after.requests}
    requests, errors = 0, 0
    for key, count in after.requests.items():
        if key[0] in known and key[1] in wanted:
            failed, counted, failures = after.errors.get(key, 0), before.requests.get(key, 0), before.errors.get(key, 0)
            if count < counted or failed < failures:
                counted, failures = 0, 0  # it was started again meanwhile, and both of its counts with it
            requests, errors = requests + count - counted, errors + failed - failures
    latency: Buckets = {}
    for slot in wanted:
        # Of one that did not answer before there is only what it did in its whole life.
        if slot in before.latency:
            latency = add(latency, difference(after.latency.get(slot, {}), before.latency[slot]))
    return Window(requests, errors, latency)


def judge(rules: Sequence[Mapping[str, Any]], new: Window, old: Window) -> list[CheckResult]:
    """One result per rule. Nothing measured is an error; too few requests are inconclusive; limits are strict."""
    return [_judge(rule, new, old) for rule in rules]


def beyond_saving(rules: Sequence[Mapping[str, Any]], new: Window, *, share: float) -> str:
    """Why the rest of a stage cannot change that it fails, `share` (0..1) of its time being over; empty while it could.

    Only the error rate can be beyond saving: it is when there are more errors already than the limit allows for all
    the requests to be expected.
    """
    for rule in rules:
        if rule.get("signal") != "error_rate" or rule.get("at_most") is None or new.requests < _LEAST or share <= 0:
            continue
        limit = float(rule["at_most"])
        if new.errors > limit * new.requests / share:
            return (
                f"error_rate {min(1.0, new.errors / new.requests):.4g}, {new.requests} requests; allowed at most"
                f" {limit:.4g}, out of reach already"
            )
    return ""


def verdict(results: Sequence[CheckResult]) -> Verdict:
    return worst(result.verdict for result in results)


def _judge(rule: Mapping[str, Any], new: Window, old: Window) -> CheckResult:
    signal = str(rule.get("signal", ""))
    value, baseline = new.value(signal), old.value(signal) if rule.get("compare") else None
    if value is None:
        return CheckResult(
            signal,
            Verdict.ERROR,
            f"{signal} was not measured: {new.requests} requests reached the new version",
            rows=new.requests,
        )
    if rule.get("compare") and baseline is None:
        return CheckResult(
            signal, Verdict.ERROR, f"{signal} of the version before was not measured", value, rows=new.requests
        )
    limit = _limit(rule, baseline)
    low = rule.get("at_least")
    shown = (
        f"{signal} {value:.4g}"
        + (f", before {baseline:.4g}" if baseline is not None else "")
        + f", {new.requests} requests"
    )
    if new.requests < _LEAST:
        return CheckResult(
            signal,
            Verdict.INCONCLUSIVE,
            f"{shown}: fewer than {_LEAST}",
            value,
            baseline,
            limit=limit,
            rows=new.requests,
        )
    if rule.get("compare") and old.requests < _LEAST:
        words = f"{shown}, and {old.requests} to the version before: fewer than {_LEAST}"
        return CheckResult(signal, Verdict.INCONCLUSIVE, words, value, baseline, limit=limit, rows=new.requests)
    bad = (limit is not None and value > limit) or (low is not None and value < float(low))
    bounds = " and ".join(
        [
            *([f"at most {limit:.4g}"] if limit is not None else []),
            *([f"at least {float(low):.4g}"] if low is not None else []),
        ]
    )
    return CheckResult(
        signal,
        Verdict.FAIL if bad else Verdict.PASS,
        f"{shown}; allowed {bounds}",
        value,
        baseline,
        limit=limit,
        rows=new.requests,
    )


def _limit(rule: Mapping[str, Any], baseline: float | None) -> float | None:
    limits = [float(rule["at_most"])] if rule.get("at_most") is not None else []
    if baseline is not None:
        limits.append(baseline * (1 + float(rule.get("margin") or 0.0)))
    return min(limits, default=None)


def _latencies(replicas: Sequence[Replica], transport: Transport) -> dict[str, Buckets]:
    """By slot, of those that answer."""
    found = {replica.slot: _buckets(replica, transport) for replica in replicas}
    return {slot: buckets for slot, buckets in found.items() if buckets is not None}


def _buckets(replica: Replica, transport: Transport) -> Buckets | None:
    try:
        status, body = transport.http(replica.address, replica.port, "GET", "/metrics", timeout=1.0)
    except OSError:
        return None
    return histogram(parse(body.decode("utf-8", "replace")), LATENCY) if status == 200 else None
