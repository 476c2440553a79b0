"""Shadow replay: captured production requests, answered again by a candidate that has no traffic and by the
champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .verdicts import CheckResult, Verdict


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """What is replayed and what is allowed.

    The newest `limit` requests captured in the last `since` seconds (None: whenever) are sent, `concurrency` at a
    time to each side; fewer than `at_least` are inconclusive. `max_errors` counts requests; `max_differing` is a
    share of the predictions, `max_slowdown` of the champion's 95th percentile (0.2: a fifth slower). Numbers are the
    same within `tolerance`, absolutely or relatively. Where it is None, they are within DEFAULT_TOLERANCE, and of
    probabilities only the most probable class counts.
    """

    at_least: int = 100
    limit: int = 1000
    since: float | None = None
    tolerance: float | None = None
    max_errors: int = 0
    max_differing: float = 0.05
    max_slowdown: float = 0.20
    concurrency: int = 1


DEFAULT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found. Times are seconds, shares 0..1. `champion` is the version that serves the environment,
    measured in the same minutes.

    `captured` is how many requests there were to choose from, `requests` how many both sides were asked. Of the
    `rows` that both answered, `identical` are equal (within the tolerance), `close` differ in their numbers and
    still count as the same (the same class), `differing` count as different. `changed_labels` is None where nothing
    is a label. `sizes` are quantiles (p50, p90, p99, max) of how far apart numbers are. `errors` are requests that
    the candidate did not answer well although the champion did, `error_words` says how, `champion_errors` the other
    way round, `refused` those that neither answered well. `latency` and `champion_latency` have p50, p95 and p99;
    `slowdown` is that of the 95th percentile (0.1: a tenth slower), `slowdown_low` and `slowdown_high` bound its 95
    % interval. `unsteady` counts requests that the champion answered otherwise when they were captured.
    """

    environment: str
    model: str
    version: int
    champion: int | None
    verdict: Verdict
    checks: tuple[CheckResult, ...]
    at: float
    run_id: int | None = None
    captured: int = 0
    requests: int = 0
    rows: int = 0
    identical: int = 0
    close: int = 0
    differing: int = 0
    changed_labels: int | None = None
    sizes: Mapping[str, float] = field(default_factory=dict[str, float])
    errors: int = 0
    error_words: Mapping[str, int] = field(default_factory=dict[str, int])
    champion_errors: int = 0
    refused: int = 0
    latency: Mapping[str, float] = field(default_factory=dict[str, float])
    champion_latency: Mapping[str, float] = field(default_factory=dict[str, float])
    slowdown: float | None = None
    slowdown_low: float | None = None
    slowdown_high: float | None = None
    unsteady: int = 0
    seconds: float = 0.0
