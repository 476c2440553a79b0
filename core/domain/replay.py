"""Shadow replay: captured production requests are sent again to a candidate without traffic and to the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from .frozen import Frozen

if TYPE_CHECKING:
    from .verdicts import CheckResult, Verdict


class ReplayLimits(Frozen):
    """The limits of a replay: which requests are sent, and how far the candidate's answers may differ."""

    at_least: int = 100
    """With fewer requests than this the verdict is inconclusive."""
    limit: int = 1000
    """At most this many requests are sent, the newest ones."""
    since: float | None = None
    """Only requests captured in the last so many seconds are sent; None for no limit of age."""
    tolerance: float | None = None
    """Numbers within this tolerance, absolute or relative, are the same. With None they are compared within
    DEFAULT_TOLERANCE, and of probabilities only the most probable class counts."""
    max_errors: int = 0
    """How many requests the candidate may fail to answer."""
    max_differing: float = 0.05
    """The share of the predictions that may differ."""
    max_slowdown: float = 0.20
    """How much slower than the champion's the 95th percentile may be (0.2: a fifth slower)."""
    concurrency: int = 1
    """How many requests are sent to each side at a time."""


DEFAULT_TOLERANCE = 1e-6


class LabelledMetric(Frozen):
    """A gate's metric of both sides on the same labelled requests."""

    gate: str
    metric: str
    rows: int = 0
    candidate: float | None = None
    """None where it could not be measured; then `message` says why."""
    champion: float | None = None
    difference: float | None = None
    """Candidate − champion, positive if the candidate is better, whatever the metric."""
    low: float | None = None
    """Lower bound of the difference's 95 % interval; also `high`."""
    high: float | None = None
    message: str = ""


class ReplayReport(Frozen):
    """The result of a replay. Times are seconds, shares 0..1."""

    environment: str
    model: str
    version: int
    champion: int | None
    """The version that serves the environment, measured in the same minutes."""
    verdict: Verdict
    checks: tuple[CheckResult, ...]
    at: float
    run_id: int | None = None
    captured: int = 0
    """How many captured requests there were to choose from."""
    requests: int = 0
    """How many requests were sent to both sides."""
    rows: int = 0
    """How many rows both sides answered."""
    identical: int = 0
    """Rows whose answers are equal within the tolerance."""
    close: int = 0
    """Rows whose numbers differ but which count as the same (the same class)."""
    differing: int = 0
    """Rows whose answers count as different."""
    changed_labels: int | None = None
    """Rows whose class changed; None if the predictions are not classes."""
    sizes: Mapping[str, float] = field(default_factory=dict[str, float])
    """Quantiles (p50, p90, p99, max) of the distance between the two sides' numbers."""
    errors: int = 0
    """Requests that the champion answered well and the candidate did not."""
    error_words: Mapping[str, int] = field(default_factory=dict[str, int])
    """The candidate's errors: message -> count."""
    champion_errors: int = 0
    """Requests that the candidate answered well and the champion did not."""
    refused: int = 0
    """Requests that neither side answered well."""
    latency: Mapping[str, float] = field(default_factory=dict[str, float])
    """The candidate's p50, p95 and p99."""
    champion_latency: Mapping[str, float] = field(default_factory=dict[str, float])
    """The champion's p50, p95 and p99."""
    slowdown: float | None = None
    """The relative difference of the 95th percentiles (0.1: a tenth slower)."""
    slowdown_low: float | None = None
    """The lower bound of the slowdown's 95 % interval."""
    slowdown_high: float | None = None
    """The upper bound of the slowdown's 95 % interval."""
    unsteady: int = 0
    """Requests that the champion now answers differently than when they were captured."""
    seconds: float = 0.0
    """How long the replay took."""
    labelled: tuple[LabelledMetric, ...] = ()
    """Metrics of the project's gates where labels are known. They inform; the gates themselves judge."""
