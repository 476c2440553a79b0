"""The kinds of checks. Each returns one result, or one per slice, and raises Unmeasurable if it cannot be judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from ..domain.project import Check
from ..domain.text.format import count, milliseconds
from ..domain.verdicts import CheckResult, Verdict
from .bootstrap import MetricDifference, by_chance, differences, holm, smallest_class, spread_of
from .metrics import Metric, Unmeasurable, measure, named
from .subjects import GateData, JudgedModel, latencies

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More slices than this say that the column is a quantity or an id; judging each would mean nothing.
MAX_SLICES = 200


class CheckInputs(Frozen):
    """Everything that checks look at. `problem` says why there is no champion although there should be one; `itself`
    is true if the candidate is the champion."""

    data: GateData
    candidate: JudgedModel
    champion: JudgedModel | None
    problem: str = ""
    itself: bool = False

    def nobody(self, name: str) -> tuple[CheckResult, ...] | None:
        """The result of a comparison that has no other side, None where it has one."""
        if self.problem:
            return (CheckResult(name, Verdict.ERROR, self.problem),)
        if self.itself:
            return (CheckResult(name, Verdict.PASS, "the candidate is the champion"),)
        return (CheckResult(name, Verdict.PASS, "no champion to compare with"),) if self.champion is None else None


def name_of(check: Check) -> str:
    if check.kind == "schema":
        return "schema unchanged"
    if check.kind == "latency":
        return f"latency {check.percentile} ≤ {milliseconds(check.at_most or 0.0)}"
    if check.data is not None:
        return f"data {', '.join(check.data.kinds)}"
    if check.fairness:
        return f"{check.fairness} by {', '.join(check.slices)}"
    if check.compare:
        return f"{check.metric} against {check.compare}"
    limits = [f"≥ {check.at_least:g}"] if check.at_least is not None else []
    limits += [f"≤ {check.at_most:g}"] if check.at_most is not None else []
    return f"{check.metric} {' and '.join(limits)}"


# -- bounds
# --------------------------------------------------------------------------------------------------------------------


def bounds(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Judges a metric against fixed limits, on all rows or per slice."""
    metric = named(check.metric, check.goal)
    if not check.slices:
        value = measure(metric, bench.candidate.answers)
        broken, limit = _broken(check, value)
        message = f"{value:.4f} is {broken}" if broken else f"{value:.4f} on {count(bench.data.rows, 'row')}"
        return (
            CheckResult(
                name_of(check),
                Verdict.FAIL if broken else Verdict.PASS,
                message,
                value=value,
                limit=limit,
                rows=bench.data.rows,
            ),
        )
    return _sliced(check, bench, lambda slices: _slice_bounds(check, metric, bench, slices))


def _broken(check: Check, value: float) -> tuple[str, float | None]:
    """Returns (the broken limit in words or "", the limit that applies)."""
    if check.at_least is not None and not value >= check.at_least:
        return f"below {check.at_least:g}", check.at_least
    if check.at_most is not None and not value <= check.at_most:
        return f"above {check.at_most:g}", check.at_most
    return "", check.at_least if check.at_least is not None else check.at_most


def _slice_bounds(check: Check, metric: Metric, bench: CheckInputs, slices: Sequence[Slice]) -> list[CheckResult]:
    """Judges slices: one below its limit fails if that is significant after Holm's correction, otherwise it is
    inconclusive."""
    from statistics import NormalDist

    judged: list[tuple[Slice, float, str, float | None]] = []
    results: list[CheckResult] = []
    for one in slices:
        try:
            value = measure(metric, bench.candidate.answers.only(one.mask))
        except Unmeasurable as error:
            results.append(CheckResult(name_of(check), Verdict.ERROR, error.message, rows=one.rows, slice=one.name))
            continue
        judged.append((one, value, *_broken(check, value)))
    p_values: list[float] = []
    for one, value, broken, limit in judged:
        if not broken:
            p_values.append(1.0)
            continue
        answers = bench.candidate.answers.only(one.mask)
        spread = spread_of(metric, answers, resamples=500)
        distance = abs(value - limit) if limit is not None else 0.0
        p_values.append(NormalDist().cdf(-distance / spread) if spread > 0 else by_chance(smallest_class(answers)))
    for (one, value, broken, limit), p in zip(judged, holm(p_values), strict=True):
        verdict = Verdict.PASS if not broken else Verdict.FAIL if p < 1 - check.confidence else Verdict.INCONCLUSIVE
        message = f"{value:.4f} on {count(one.rows, 'row')}" + (f" is {broken}" if broken else "")
        if verdict is Verdict.INCONCLUSIVE:
            message += f", which {count(one.rows, 'row')} cannot tell from chance (p {p:.2g} after Holm)"
        results.append(
            CheckResult(name_of(check), verdict, message, value=value, limit=limit, rows=one.rows, slice=one.name)
        )
    return results


# -- comparison
# --------------------------------------------------------------------------------------------------------------------


def comparison(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Tests non-inferiority: is the candidate, on the same rows, at most `margin` worse than the champion?"""
    metric = named(check.metric, check.goal)
    if not check.slices:
        return bench.nobody(name_of(check)) or (_compared(check, metric, bench, None),)
    return bench.nobody(name_of(check)) or _sliced(
        check, bench, lambda slices: _slice_comparisons(check, metric, bench, slices)
    )


def judge(difference: MetricDifference, margin: float, significant: bool | None = None) -> Verdict:
    """Returns PASS if the whole interval is above −margin, FAIL if the whole of it is below, else INCONCLUSIVE.

    Two models that answer alike have an interval of no width; equal to −margin counts as above it. `significant`
    overrides the second question.
    """
    if difference.low >= -margin:
        return Verdict.PASS
    worse = difference.high < -margin if significant is None else significant
    return Verdict.FAIL if worse else Verdict.INCONCLUSIVE


def _compared(
    check: Check,
    metric: Metric,
    bench: CheckInputs,
    one: Slice | None,
    significant: bool | None = None,
    known: MetricDifference | None = None,
) -> CheckResult:
    candidate, champion = _pair(bench, one)
    difference = known or differences([metric], candidate, champion, confidence=check.confidence)[metric.name]
    value, baseline = measure(metric, candidate), measure(metric, champion)
    verdict = judge(difference, check.margin, significant)
    return CheckResult(
        name_of(check),
        verdict,
        _difference_words(check, bench, value, baseline, difference, verdict),
        value=value,
        baseline=baseline,
        low=difference.low,
        high=difference.high,
        limit=-check.margin,
        rows=difference.rows,
        slice=one.name if one else "",
    )


def _pair(bench: CheckInputs, one: Slice | None) -> tuple[Any, Any]:
    assert bench.champion is not None
    candidate, champion = bench.candidate.answers, bench.champion.answers
    return (candidate, champion) if one is None else (candidate.only(one.mask), champion.only(one.mask))


def _difference_words(
    check: Check, bench: CheckInputs, value: float, baseline: float, difference: MetricDifference, verdict: Verdict
) -> str:
    assert bench.champion is not None
    direction = "better" if difference.value > 0 else "worse" if difference.value < 0 else "different"
    amount = f"{abs(difference.value):.4f} {direction}" if difference.value else "no different"
    text = f"{value:.4f} is {amount} than champion {bench.champion.version.version}'s {baseline:.4f}"
    text += (
        f" ({check.confidence:.0%} interval {difference.low:+.4f} … {difference.high:+.4f}, margin {check.margin:g},"
        f" {count(difference.rows, 'row')})"
    )
    if verdict is Verdict.INCONCLUSIVE:
        text += f"; the smallest difference that these rows would show is {difference.detectable:.4f}"
    return text


def _slice_comparisons(check: Check, metric: Metric, bench: CheckInputs, slices: Sequence[Slice]) -> list[CheckResult]:
    """Compares slices: one fails only if it is significantly worse after Holm's correction. Passing needs no
    correction, because every slice has to pass."""
    found: list[tuple[Slice, MetricDifference]] = []
    results: list[CheckResult] = []
    for one in slices:
        try:
            candidate, champion = _pair(bench, one)
            found.append((one, differences([metric], candidate, champion, confidence=check.confidence)[metric.name]))
        except Unmeasurable as error:
            results.append(CheckResult(name_of(check), Verdict.ERROR, error.message, rows=one.rows, slice=one.name))
    adjusted = holm([difference.p_below(-check.margin) for _, difference in found])
    for (one, difference), p in zip(found, adjusted, strict=True):
        results.append(_compared(check, metric, bench, one, p < (1 - check.confidence) / 2, difference))
    return results


# -- slices
# --------------------------------------------------------------------------------------------------------------------


class Slice(Frozen):
    name: str
    mask: NDArray[Any]
    rows: int


def _sliced(
    check: Check, bench: CheckInputs, judge_all: Callable[[Sequence[Slice]], list[CheckResult]]
) -> Sequence[CheckResult]:
    small: list[str] = []
    slices: list[Slice] = []
    for one in _slices(check, bench.data):
        if one.rows >= check.min_rows:
            slices.append(one)
        else:
            small.append(one.name)
    if not slices:
        raise Unmeasurable(
            f"no slice by {', '.join(check.slices)} has {count(check.min_rows, 'row')}",
            hint="Lower min_rows, or give the gate more data.",
        )
    results = judge_all(slices)
    if small:
        shown = ", ".join(small[:5]) + (" …" if len(small) > 5 else "")
        message = (
            f"{len(slices)} slices judged; {len(small)} of fewer than {count(check.min_rows, 'row')} were not: {shown}"
        )
        results.append(CheckResult(name_of(check), Verdict.PASS, message, slice="(small slices)"))
    return results


def _slices(check: Check, data: GateData) -> Iterator[Slice]:
    for column in check.slices:
        if column not in data.frame.columns:
            raise Unmeasurable(f"the gate's data has no column {column!r} to slice by")
        values = data.frame[column].astype("string").fillna("(missing)")
        counts = values.value_counts()
        if int((counts >= check.min_rows).sum()) > MAX_SLICES:
            hint = "Raise min_rows, or slice by another column."
            raise Unmeasurable(f"{column!r} has {len(counts)} values; slices are for columns with few", hint=hint)
        for value in sorted(counts.index):
            mask = (values == value).to_numpy(dtype=bool)
            yield Slice(f"{column}={str(value)[:60]}", mask, int(counts[value]))


# -- latency and schema
# --------------------------------------------------------------------------------------------------------------------


def latency(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Judges a percentile of single-row predictions in the model's own process. The cost of network and server is
    measured by the canary."""
    import numpy as np

    taken = latencies(bench.candidate)
    share = float(check.percentile.removeprefix("p"))
    value = float(np.percentile(np.asarray(taken), share))
    limit = check.at_most if check.at_most is not None else float("inf")
    verdict = Verdict.PASS if value <= limit else Verdict.FAIL
    words = "within" if verdict is Verdict.PASS else "above"
    message = f"{check.percentile} {milliseconds(value)} of {len(taken)} single-row predictions"
    message += f" is {words} {milliseconds(limit)}"
    return (CheckResult(name_of(check), verdict, message, value=value, limit=limit, rows=len(taken)),)


def schema(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Judges whether clients of the champion can call the candidate: the same input and output columns and types."""
    name = name_of(check)
    other = bench.nobody(name)
    if other is not None:
        return other
    assert bench.champion is not None
    mine, theirs = bench.candidate.signature, bench.champion.signature
    for subject in (bench.candidate, bench.champion):
        if subject.signature is None:
            hint = "Log the model with signature=mlflow.models.infer_signature(…)."
            raise Unmeasurable(f"version {subject.version.version} has no signature to compare", hint=hint)
    assert mine is not None and theirs is not None
    changes = [*_schema_changes("input", theirs[0], mine[0]), *_schema_changes("output", theirs[1], mine[1])]
    if changes:
        shown = "; ".join(changes[:5]) + (f"; and {len(changes) - 5} more" if len(changes) > 5 else "")
        return (CheckResult(name, Verdict.FAIL, f"against champion {bench.champion.version.version}: {shown}"),)
    return (CheckResult(name, Verdict.PASS, f"the same as champion {bench.champion.version.version}'s"),)


def _schema_changes(what: str, before: str, after: str) -> Iterator[str]:
    if before == after:
        return
    old, new = _fields(before), _fields(after)
    for field in old.keys() - new.keys():
        yield f"{what} {field} is gone"
    for field in new.keys() - old.keys():
        yield f"{what} {field} is new"
    for field in old.keys() & new.keys():
        if old[field] != new[field]:
            yield f"{what} {field} was {old[field]}, is {new[field]}"


def _fields(written: str) -> dict[str, str]:
    entries: list[dict[str, Any]] = json.loads(written) if written else []
    return {str(entry.get("name", f"#{place}")): _type(entry) for place, entry in enumerate(entries)}


def _type(entry: dict[str, Any]) -> str:
    inner = {name: value for name, value in entry.items() if name not in ("name", "required", "type")}
    if "tensor-spec" in entry:
        text = json.dumps(entry["tensor-spec"], sort_keys=True)
    else:  # of arrays, objects and maps also what they are made of
        text = str(entry.get("type", "?")) + (f" {json.dumps(inner, sort_keys=True)}" if inner else "")
    return text if entry.get("required", True) else f"optional {text}"
