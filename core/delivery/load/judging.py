"""Turns what became of a load's requests into figures, and figures and limits into verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ...domain.frozen import Frozen
from ...domain.gates.checks import LoadCheck
from ...domain.text.format import count, milliseconds
from ...domain.verdicts import CheckResult, Verdict
from .generator import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_JUDGED = 0.95
_OK = 200
# A 95th percentile of fewer requests is hardly more than the slowest of them.
_LEAST_REQUESTS = 20
# No latency is shorter, in seconds.
_TINY = 1e-6
# The generator may be late by so much, in seconds or as a share of the latency that it measures.
_LATE, _LATE_SHARE = 0.005, 0.1
# The share of the rate that has to be achieved.
_KEPT = 0.98


class LoadFigures(Frozen):
    """The figures of one load. Times are seconds."""

    requests: int
    """How many were sent."""
    errors: int
    """How many were not answered with 200; `unanswered` of them not at all."""
    unanswered: int
    latency: dict[str, float]
    """Quantiles of the time from when a request was due, those without an answer included."""
    rate: float
    """How many requests a second were sent, by when they were sent."""
    lag: float
    """The 95th percentile of how late the generator itself was."""


def figures(answers: Answers, rate: float) -> LoadFigures:
    """Returns the figures of a load of `rate` requests a second."""
    import numpy as np

    times, lag = np.asarray(answers.latency), np.asarray(answers.lag)
    number = len(times)
    spent = (number - 1) / rate + float(lag[-1]) if number > 1 else 0.0
    return LoadFigures(
        requests=number,
        errors=sum(status != _OK for status in answers.status),
        unanswered=sum(not status for status in answers.status),
        latency={name: _quantile(times, share) for name, share in QUANTILES.items()},
        rate=(number - 1) / spent if spent else rate,
        lag=_quantile(lag, _JUDGED),
    )


def _quantile(times: NDArray[Any], share: float) -> float:
    import numpy as np

    return float(np.quantile(times, share, method="inverted_cdf"))


def too_slow(found: LoadFigures, rate: float) -> str:
    """Returns why the generator did not send the load that was asked for; empty if it did."""
    if found.rate >= _KEPT * rate:
        return ""
    return (
        f"the generator could not keep {rate:g}/s: it sent {found.rate:.4g}/s, which is not the load that was asked for"
    )


def late(found: LoadFigures, slowest: float = 0.0) -> str:
    """Returns why a limit that is broken may be the generator's fault: it was late itself by more than a tenth of the
    95th percentile (of `slowest`, if that is larger). That makes latencies longer, so that a limit that is kept is
    kept. Empty if it is not."""
    if found.lag <= max(_LATE, _LATE_SHARE * max(slowest, found.latency["p95"])):
        return ""
    return (
        f"the generator itself sent one request in twenty {milliseconds(found.lag)} late or later, of a 95th percentile"
        f" of {milliseconds(found.latency['p95'])}: that a limit is broken may be its fault"
    )


def limits(name: str, found: LoadFigures, check: LoadCheck) -> list[CheckResult]:
    """Judges the limits of latency and errors."""
    given = {quantile: getattr(check, quantile) for quantile in QUANTILES}
    results = [_within(name, found, quantile, limit) for quantile, limit in given.items() if limit is not None]
    if check.errors is not None:
        share = found.errors / found.requests
        verdict = Verdict.PASS if share <= check.errors else Verdict.FAIL
        title = f"{name}: errors ≤ {check.errors:.2%}"
        result = CheckResult(title, verdict, _errors(found), value=share, limit=check.errors, rows=found.requests)
        results.append(result)
    return results


def _within(name: str, found: LoadFigures, quantile: str, limit: float) -> CheckResult:
    """Judges a quantile. No request without a good answer is within a limit, however fast it was refused."""
    value, share = found.latency[quantile], QUANTILES[quantile]
    title = f"{name}: {quantile} ≤ {milliseconds(limit)}"
    if found.errors > (1 - share) * found.requests:
        words = f"{_errors(found)}: fewer than {share:.0%} were answered within {milliseconds(limit)}"
        return CheckResult(title, Verdict.FAIL, words, limit=limit, rows=found.requests)
    verdict = Verdict.PASS if value <= limit else Verdict.FAIL
    words = f"{milliseconds(value)} is {'within' if verdict is Verdict.PASS else 'above'} {milliseconds(limit)}"
    words += f"; {_errors(found)}" if found.errors else ""
    return CheckResult(title, verdict, words, value=value, limit=limit, rows=found.requests)


def _errors(found: LoadFigures) -> str:
    words = f"{count(found.errors, 'request')} of {found.requests:,} ({found.errors / found.requests:.2%})"
    more = f", {found.unanswered} of them none at all" if found.unanswered else ""
    return f"{words} had no good answer{more}"


def memory(name: str, peak: float, replicas: int, limit: int) -> CheckResult:
    """Judges the memory of the replica that took most. Unknown is an error."""
    title = f"{name}: memory ≤ {limit / (1 << 20):g} MiB"
    if not peak:
        return CheckResult(title, Verdict.ERROR, "the memory of the replicas could not be read", limit=float(limit))
    verdict = Verdict.PASS if peak <= limit else Verdict.FAIL
    words = f"at most {peak / (1 << 20):.0f} MiB resident, of {count(replicas, 'replica')} the one that took most"
    return CheckResult(title, verdict, words, value=float(peak), limit=float(limit))


def slowdown(name: str, pairs: Sequence[tuple[LoadFigures, LoadFigures]], champion: int, limit: float) -> CheckResult:
    """Judges how much slower the 95th percentile of the first of each pair is than that of the second, which was
    measured directly before or after it. The interval is Student's, of the mean of the logarithms of their ratios:
    what a machine does for a while moves both of a pair, and what moves one of them shows as a wide interval. The whole
    of it has to keep the limit to pass, and to break it to fail, as with every comparison with the champion."""
    import math
    import statistics

    from scipy import stats

    logs = [math.log(max(mine.latency["p95"], _TINY) / max(theirs.latency["p95"], _TINY)) for mine, theirs in pairs]
    middle, error = statistics.fmean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    spread = error * float(cast("Any", stats).t.ppf(0.975, len(logs) - 1))
    value, low, high = (math.exp(each) - 1.0 for each in (middle, middle - spread, middle + spread))
    fewest = min(each.requests for pair in pairs for each in pair)
    verdict = Verdict.PASS if high <= limit else Verdict.FAIL if low > limit else Verdict.INCONCLUSIVE
    mine, theirs = (statistics.median(pair[side].latency["p95"] for pair in pairs) for side in (0, 1))
    words = f"p95 {milliseconds(mine)} against champion {champion}'s {milliseconds(theirs)}: {value:+.0%}"
    words += f" (95 % interval {low:+.0%} … {high:+.0%}, {len(pairs)} pairs of {count(fewest, 'request')})"
    if fewest < _LEAST_REQUESTS:
        verdict = Verdict.INCONCLUSIVE
        words += f"; fewer than {_LEAST_REQUESTS} at a time are too few for a 95th percentile: send for longer"
    elif verdict is Verdict.INCONCLUSIVE:
        words += f"; whether that is within {limit:.0%} cannot be told: send for longer"
    title = f"{name}: slowdown ≤ {limit:.0%}"
    rows = sum(pair[0].requests for pair in pairs)
    return CheckResult(title, verdict, words, value=value, low=low, high=high, limit=limit, rows=rows)
