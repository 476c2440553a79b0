"""The live signals of an environment: requests/s, error rate, latency, CPU and memory, measured once a second.

Counts come from the proxy, because it sees the requests that no replica answered; latencies from the replicas' own
histograms; CPU and memory from the operating system, those of containers by triggers/containers.py. Where nothing
was measured there is no sample: silence is never a zero.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ..delivery.proxy.transport import Direct, Transport
from ..domain.delivery import Replica, ReplicaState
from ..domain.watching import Sample
from . import exposition
from .exposition import Buckets

LATENCY = "podium_request_seconds"
TIMEOUT = 0.5
QUANTILES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}


@dataclass(frozen=True, slots=True)
class ProxyCounts:
    """Totals since an instance of the proxy started: requests that it answered, and those answered with 5xx, by
    itself or by a replica."""

    requests: int
    errors: int


@dataclass(slots=True)
class _Before:
    at: float
    counts: Mapping[int, ProxyCounts] = field(default_factory=dict[int, ProxyCounts])
    buckets: dict[str, Buckets] = field(default_factory=dict[str, Buckets])
    cpu: dict[str, float] = field(default_factory=dict[str, float])


class Sampler:
    """Measures one environment. Keeps the totals of the last time, since every rate is a difference."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self._before: _Before | None = None

    def sample(
        self,
        counts: Mapping[int, ProxyCounts],
        replicas: Iterable[Replica],
        *,
        transport: Transport | None = None,
        at: float | None = None,
    ) -> list[Sample]:
        """What can be said about the time since the last call; the first call only takes the totals.

        `counts` are those of the instances of the proxy that answer, by their number. `reach` is how the replicas
        are spoken with, None for directly.
        """
        now = time.time() if at is None else at
        living = [
            r for r in replicas if r.state in (ReplicaState.READY, ReplicaState.DRAINING) and (r.pid or r.container)
        ]
        current = _Before(now, counts, scrape(living, transport or Direct()))
        memory = _resources([r for r in living if r.pid], current)
        before, self._before = self._before, current
        if before is None:
            return []
        # A replica that did not answer this time is compared with its last answer the next time: the totals of its
        # whole life are no second's.
        for replica in living:
            if replica.id in before.buckets:
                current.buckets.setdefault(replica.id, before.buckets[replica.id])
        if now <= before.at:
            return []
        values = _traffic(before, current) | _latency(before, current) | _cpu(before, current)
        if memory:
            values["memory"] = float(memory)
        return [Sample(self.environment, signal, now, value) for signal, value in values.items()]


def scrape(replicas: list[Replica], transport: Transport) -> dict[str, Buckets]:
    """Replica id -> latency histogram; replicas that do not answer within half a second are left out."""
    if not replicas:
        return {}
    with ThreadPoolExecutor(max_workers=min(8, len(replicas))) as pool:
        answers = pool.map(_metrics, replicas, [transport] * len(replicas))
        return {
            replica.id: exposition.histogram(exposition.parse(text), LATENCY)
            for replica, text in zip(replicas, answers, strict=True)
            if text
        }


def _metrics(replica: Replica, transport: Transport) -> str:
    try:
        status, body = transport.http(replica.address, replica.port, "GET", "/metrics", timeout=TIMEOUT)
    except OSError:
        return ""
    return body[: 1 << 20].decode("utf-8", "replace") if status == 200 else ""


def _traffic(before: _Before, now: _Before) -> dict[str, float]:
    if not before.counts or not now.counts:
        return {}
    requests = errors = 0
    for number, counts in now.counts.items():
        old = before.counts.get(number)
        if old is None:
            continue  # when it was last asked it did not answer: nobody knows since when it has counted
        if counts.requests < old.requests or counts.errors < old.errors:
            old = ProxyCounts(0, 0)
        requests, errors = requests + counts.requests - old.requests, errors + counts.errors - old.errors
    values = {"requests": requests / (now.at - before.at)}
    if requests:
        values["error_rate"] = min(1.0, errors / requests)
    return values


def _latency(before: _Before, now: _Before) -> dict[str, float]:
    total: Buckets = {}
    for replica, buckets in now.buckets.items():
        if replica in before.buckets:
            total = exposition.add(total, exposition.difference(buckets, before.buckets[replica]))
    measured = {signal: exposition.quantile(total, q) for signal, q in QUANTILES.items()}
    return {signal: value for signal, value in measured.items() if value is not None}


def _cpu(before: _Before, now: _Before) -> dict[str, float]:
    shares = [
        (used - before.cpu[replica]) / (now.at - before.at)
        for replica, used in now.cpu.items()
        if replica in before.cpu
    ]
    return {"cpu": max(0.0, sum(shares))} if shares else {}


def _resources(replicas: list[Replica], into: _Before) -> int:
    """Notes each replica's CPU seconds and returns the resident bytes of all; a process that has just ended is
    passed over."""
    import psutil

    memory = 0
    for replica in replicas:
        try:
            process = psutil.Process(replica.pid)
            with process.oneshot():
                times = process.cpu_times()
                memory += process.memory_info().rss
        except psutil.Error:
            continue
        into.cpu[replica.id] = times.user + times.system
    return memory
