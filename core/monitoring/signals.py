"""The live signals of an environment: requests/s, error rate, latency, CPU and memory, measured once a second.
Counts come from the proxy, because it sees the requests that no replica answered; latencies from the replicas' own
histograms; CPU and memory from the operating system, those of containers by triggers/containers.py. Without a
measurement there is no sample: a missing value is never a zero."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..delivery.proxy.transport import DirectTransport, Transport
from ..domain.delivery import Replica, ReplicaState
from ..domain.watching import Sample, share_of
from ..telemetry.histograms import difference
from ..telemetry.scrape import scrape
from ..telemetry.windows import QUANTILES, Counts, Reading, window


@dataclass(slots=True)
class _Before:
    at: float
    reading: Reading
    cpu: dict[str, float] = field(default_factory=dict[str, float])


class Sampler:
    """Measures one environment. It keeps the previous totals, since every rate is a difference."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self._before: _Before | None = None

    def sample(
        self,
        counts: Mapping[int, Counts],
        replicas: Iterable[Replica],
        *,
        transport: Transport | None = None,
        at: float | None = None,
    ) -> list[Sample]:
        """Returns the samples for the time since the last call; the first call only takes the totals.

        `counts` are those of the proxy instances that answer, by their number. `transport` reaches the replicas,
        None for a direct connection.
        """
        now = time.time() if at is None else at
        living = [
            r for r in replicas if r.state in (ReplicaState.READY, ReplicaState.DRAINING) and (r.pid or r.container)
        ]
        totals = {(number, ""): each for number, each in counts.items()}
        current = _Before(now, Reading(totals, scrape(living, transport or DirectTransport())))
        memory = _resources([r for r in living if r.pid], current)
        before, self._before = self._before, current
        if before is None:
            return []
        # A replica that did not answer this time is compared with its last answer the next time: the totals of its
        # whole life are no second's.
        slots = {replica.slot for replica in living}
        last = {slot: buckets for slot, buckets in before.reading.latency.items() if slot in slots}
        current.reading = replace(current.reading, latency=last | dict(current.reading.latency))
        if now <= before.at:
            return []
        values = _served(before, current) | _cpu(before, current)
        values |= _shares(before, current, {replica.slot: replica.version for replica in living})
        if memory:
            values["memory"] = float(memory)
        return [Sample(self.environment, signal, now, value) for signal, value in values.items()]


def _served(before: _Before, now: _Before) -> dict[str, float]:
    seen = window(before.reading, now.reading)
    values = {signal: value for signal in ("error_rate", *QUANTILES) if (value := seen.value(signal)) is not None}
    if before.reading.counts and now.reading.counts:
        values["requests"] = seen.requests / (now.at - before.at)
    else:
        values.pop("error_rate", None)
    return values


def _shares(before: _Before, now: _Before, versions: Mapping[str, int]) -> dict[str, float]:
    """Returns each version's share of the requests that replicas have answered; nothing while none was. A replica's
    first totals are those of its whole life, and count from the next time on."""
    answered = Counter[int]()
    for slot, version in versions.items():
        if slot in before.reading.latency and slot in now.reading.latency:
            done = difference(now.reading.latency[slot], before.reading.latency[slot])
            answered[version] += int(max(done.values(), default=0))
    total = answered.total()
    return {share_of(version): number / total for version, number in answered.items()} if total else {}


def _cpu(before: _Before, now: _Before) -> dict[str, float]:
    shares = [
        (used - before.cpu[replica]) / (now.at - before.at)
        for replica, used in now.cpu.items()
        if replica in before.cpu
    ]
    return {"cpu": max(0.0, sum(shares))} if shares else {}


def _resources(replicas: list[Replica], into: _Before) -> int:
    """Notes each replica's CPU seconds and returns the resident bytes of all; a process that has just ended is
    skipped."""
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
