"""What all checks look at, what they are called, and those of latency and schema. Each returns its results, and raises
Unmeasurable if it cannot be judged. Checks of metrics: `metric_checks.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..domain.frozen import Frozen
from ..domain.metrics import is_function
from ..domain.project import Check
from ..domain.text.format import milliseconds
from ..domain.verdicts import CheckResult, Verdict
from .limits import limit_words
from .metrics import Metric, Options, Unmeasurable, asked
from .own.functions import Functions
from .subjects import GateData, JudgedModel, latencies


class CheckInputs(Frozen):
    """Everything that checks look at."""

    data: GateData
    candidate: JudgedModel
    champion: JudgedModel | None
    functions: Functions
    """The project's own metrics."""
    problem: str = ""
    """Why there is no champion although there should be one."""
    itself: bool = False
    """Whether the candidate is the champion."""

    def metric(self, check: Check) -> Metric:
        """Returns the metric that a check asks for, a known one or a function of the project's own."""
        if is_function(check.metric):
            return self.functions.metric(check, self.candidate, self.champion)
        return asked(check)

    def nobody(self, name: str) -> tuple[CheckResult, ...] | None:
        """The result of a comparison that has no other side, None where it has one."""
        if self.problem:
            return (CheckResult(name, Verdict.ERROR, self.problem),)
        if self.itself:
            return (CheckResult(name, Verdict.PASS, "the candidate is the champion"),)
        return (CheckResult(name, Verdict.PASS, "no champion to compare with"),) if self.champion is None else None


def name_of(check: Check) -> str:
    """Returns what a check is called in reports: `roc_auc ≥ 0.65`, `f1 macro against champion`."""
    if check.kind == "schema":
        return "schema unchanged"
    if check.kind == "latency":
        return f"latency {check.percentile} ≤ {milliseconds(check.at_most or 0.0)}"
    if check.data is not None:
        return f"data {', '.join(check.data.kinds)}"
    if check.fairness:
        return f"{check.fairness} by {', '.join(check.slices)}"
    what = f"{check.metric}{Options.of(check)}"
    what += f" of {', '.join(check.prediction)}" if check.prediction else ""
    if check.compare:
        return f"{what} against {check.compare}"
    return f"{what} {limit_words(check)}"


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
