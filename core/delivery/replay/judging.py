"""Turns the answers of both sides into figures, and figures and limits into a verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from ...domain.frozen import Frozen
from ...domain.replay import LabelledMetric, ReplayLimits
from ...domain.text.format import milliseconds
from ...domain.verdicts import CheckResult, Verdict
from .sending import CANDIDATE, CHAMPION, AnswerPair, ReplayAnswers

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_SIZES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
JUDGED_QUANTILE = 0.95
RESAMPLES = 1000
SEED = 20130101
# A 95th percentile of fewer times than this is hardly more than the slowest of them.
MIN_TIMES = 60
_MAX_WORDS = 20


class Slowdown(Frozen):
    """The candidate's 95th percentile divided by the champion's, minus 1: `value`, with `low` and `high` as its 95 %
    confidence interval. `times` pairs were measured."""

    value: float
    low: float
    high: float
    times: int


class Figures(Frozen):
    """All counts and measurements of a report, as domain/replay.py defines them."""

    requests: int = 0
    """Requests sent."""
    rows: int = 0
    """Predictions compared."""
    identical: int = 0
    """Rows with equal predictions."""
    close: int = 0
    """Rows that differ within the tolerance."""
    differing: int = 0
    """Rows that differ beyond the tolerance."""
    labels: int = 0
    """Rows with class labels or probabilities."""
    changed: int = 0
    """Rows of `labels` with another class."""
    sizes: dict[str, float] = field(default_factory=dict[str, float])
    """Quantiles of the distances of numbers."""
    errors: int = 0
    """Requests that the candidate did not answer well although the champion did."""
    error_words: dict[str, int] = field(default_factory=dict[str, int])
    """The most frequent failures of the candidate and their counts."""
    champion_errors: int = 0
    """Requests that only the champion failed."""
    refused: int = 0
    """Requests that both refused."""
    latency: dict[str, float] = field(default_factory=dict[str, float])
    """Quantiles of the candidate's latency in seconds."""
    champion_latency: dict[str, float] = field(default_factory=dict[str, float])
    """Quantiles of the champion's latency in seconds."""
    slowdown: Slowdown | None = None
    """The comparison of latencies; None if nothing was measured."""
    unsteady: int = 0
    """Requests that the champion now answers differently from its captured answer."""
    labelled: tuple[LabelledMetric, ...] = ()
    """What the project's gates measure, on labelled requests."""
    hopeless: frozenset[int] = frozenset()
    """The sides that were given up: 0 the champion, 1 the candidate."""


def figures(sent: ReplayAnswers) -> Figures:
    pairs = sent.pairs
    compared = [pair.compared for pair in pairs if pair.compared is not None]
    sizes = sorted(size for each in compared for size in each.sizes)
    both = [pair for pair in pairs if pair.both]
    wrong = [pair for pair in pairs if _candidate_failed(pair)]
    told = Counter(pair.words for pair in wrong)
    return Figures(
        requests=len(pairs),
        rows=sum(each.rows for each in compared),
        identical=sum(each.identical for each in compared),
        close=sum(each.close for each in compared),
        differing=sum(each.differing for each in compared),
        labels=sum(each.labels for each in compared),
        changed=sum(each.changed for each in compared),
        sizes={name: quantile(sizes, share) for name, share in _SIZES.items()} if sizes else {},
        errors=len(wrong),
        error_words=dict(told.most_common(_MAX_WORDS)),
        champion_errors=sum(pair.champion_status != 200 and pair.candidate_status == 200 for pair in pairs),
        refused=sum(
            pair.champion_status != 200 and pair.candidate_status != 200 and not _candidate_failed(pair)
            for pair in pairs
        ),
        latency=_quantiles([pair.candidate_seconds for pair in both]),
        champion_latency=_quantiles([pair.champion_seconds for pair in both]),
        slowdown=(
            slowdown([pair.champion_seconds for pair in both], [pair.candidate_seconds for pair in both])
            if both
            else None
        ),
        unsteady=sum(not pair.steady for pair in pairs),
        hopeless=frozenset(sent.hopeless),
    )


def _candidate_failed(pair: AnswerPair) -> bool:
    """Tells whether the candidate failed: a request that the champion refuses as well was a bad request, but a
    missing answer or a server error is always the candidate's failure."""
    if pair.candidate_status == 200:
        return False
    own_fault = pair.candidate_status == 0 or pair.candidate_status >= 500
    return pair.champion_status == 200 or (own_fault and 400 <= pair.champion_status < 500)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Returns the smallest of the sorted values that at least `share` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _quantiles(times: list[float]) -> dict[str, float]:
    times.sort()
    return {name: quantile(times, share) for name, share in QUANTILES.items()} if times else {}


def slowdown(champion: Sequence[float], candidate: Sequence[float]) -> Slowdown:
    """Returns the slowdown by a paired bootstrap over the requests: both sides are measured on the same resampled
    requests."""
    import numpy as np

    theirs, mine = np.asarray(champion, dtype=float), np.asarray(candidate, dtype=float)
    generator = np.random.default_rng(SEED)

    def ratio(before: Any, after: Any) -> float:
        first, second = (float(np.quantile(times, JUDGED_QUANTILE, method="inverted_cdf")) for times in (before, after))
        return second / max(first, 1e-9) - 1.0

    drawn: list[float] = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(theirs), len(theirs))
        drawn.append(ratio(theirs[rows], mine[rows]))
    low, high = (float(bound) for bound in np.quantile(np.asarray(drawn), [0.025, 0.975]))
    return Slowdown(ratio(theirs, mine), low, high, len(theirs))


# -- the verdict
# --------------------------------------------------------------------------------------------------------------------


def judge(found: Figures, limits: ReplayLimits) -> tuple[CheckResult, ...]:
    """Judges the number of requests, the errors, the differing predictions and the latency. A limit that could not
    be measured gives an error."""
    return (_enough(found, limits), _errors(found, limits), _differing(found, limits), _slow(found, limits))


def _enough(found: Figures, limits: ReplayLimits) -> CheckResult:
    name, count = f"requests ≥ {limits.at_least}", found.requests
    if not count:
        return CheckResult(name, Verdict.ERROR, "nothing was replayed", value=0.0, limit=float(limits.at_least))
    verdict = Verdict.PASS if count >= limits.at_least else Verdict.INCONCLUSIVE
    message = f"{count} were replayed" + ("" if verdict is Verdict.PASS else f", fewer than {limits.at_least}")
    return CheckResult(name, verdict, message, value=float(count), limit=float(limits.at_least), rows=count)


def _errors(found: Figures, limits: ReplayLimits) -> CheckResult:
    name, limit = f"errors ≤ {limits.max_errors}", float(limits.max_errors)
    if CHAMPION in found.hopeless:
        return CheckResult(
            name, Verdict.ERROR, "the champion's shadow replica stopped answering: nothing can be compared", limit=limit
        )
    words = "; ".join(f"{number} × {word}" for word, number in list(found.error_words.items())[:3])
    message = f"{found.errors} of {found.requests} requests were answered worse than by the champion" + (
        f": {words}" if words else ""
    )
    if CANDIDATE in found.hopeless:
        return CheckResult(
            name,
            Verdict.FAIL,
            f"the candidate stopped answering; {message}",
            float(found.errors),
            limit=limit,
            rows=found.requests,
        )
    verdict = Verdict.FAIL if found.errors > limits.max_errors else Verdict.PASS if found.requests else Verdict.ERROR
    return CheckResult(
        name, verdict, message, float(found.errors), float(found.champion_errors), limit=limit, rows=found.requests
    )


def _differing(found: Figures, limits: ReplayLimits) -> CheckResult:
    name = f"differing ≤ {_percent(limits.max_differing)} %"
    if not found.rows:
        return CheckResult(
            name,
            Verdict.ERROR,
            "no request was answered by both: no prediction could be compared",
            limit=limits.max_differing,
        )
    share = found.differing / found.rows
    what = f"{found.differing} of {found.rows} predictions differ ({_percent(share)} %)"
    if found.labels:
        what += f", {found.changed} of {found.labels} labels changed"
    if found.sizes:
        what += f"; numbers differ by {found.sizes['p50']:.3g} (median) to {found.sizes['max']:.3g}"
    verdict = Verdict.FAIL if share > limits.max_differing else Verdict.PASS
    return CheckResult(name, verdict, what, value=share, limit=limits.max_differing, rows=found.rows)


def _slow(found: Figures, limits: ReplayLimits) -> CheckResult:
    """Judges the latency: beyond the limit it fails only if that is more than chance; otherwise it is inconclusive."""
    name, limit, slow = f"slower ≤ {_percent(limits.max_slowdown)} %", limits.max_slowdown, found.slowdown
    if slow is None:
        return CheckResult(
            name, Verdict.ERROR, "no request was answered by both: no time could be compared", limit=limit
        )
    mine, theirs = (times["p95"] for times in (found.latency, found.champion_latency))
    faster = slow.value < 0
    what = f"p95 {milliseconds(mine)} against {milliseconds(theirs)}"
    what += f": {_percent(abs(slow.value))} % {'faster' if faster else 'slower'}"
    what += f" (95 % interval {100 * slow.low:+.3g} … {100 * slow.high:+.3g} %, {slow.times} pairs)"
    verdict = Verdict.PASS
    if slow.times < MIN_TIMES:
        verdict, what = (
            Verdict.INCONCLUSIVE,
            f"{what}; fewer than {MIN_TIMES} times say nothing about a 95th percentile",
        )
    elif slow.value > limit:
        verdict = Verdict.FAIL if slow.low > limit else Verdict.INCONCLUSIVE
        what += "" if verdict is Verdict.FAIL else ", which may be chance"
    return CheckResult(
        name, verdict, what, value=mine, baseline=theirs, low=slow.low, high=slow.high, limit=limit, rows=slow.times
    )


def _percent(share: float) -> str:
    return f"{float(f'{100 * share:.3g}'):g}"
