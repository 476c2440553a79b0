"""The check `logged: NAME`: a metric that training logged to the version's MLflow run.

It is one number that Podium did not measure: there is no interval, and the result says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...domain.metrics import MINIMIZE
from ...domain.models import CHAMPION, MetricPoint, Version
from ...domain.project import Check
from ...domain.verdicts import CheckResult, Verdict
from ...errors import PodiumError
from ...registry import Registry, open_registry
from ..limits import broken_limit, limit_words
from ..metrics import Unmeasurable
from ..reasons import told

if TYPE_CHECKING:
    from ...engine.context import StepContext

# MLflow's databases keep an infinite value as the largest number that there is.
_INFINITE = sys.float_info.max
_UNPROVEN = "as training logged it, without an interval"


def gate_check(context: StepContext, check: Check, candidate: Version) -> Sequence[CheckResult]:
    """Carries out the check. A metric that was not logged is an error."""
    name = f"logged {check.metric}"
    registry = open_registry(context.project.mlflow, context.project.state)
    try:
        value = _last(registry, candidate, check.metric)
        found: list[CheckResult] = []
        if check.at_least is not None or check.at_most is not None:
            found.append(_limited(name, check, value))
        if check.compare:
            found.append(_compared(f"{name} against {check.compare}", check, value, registry, candidate))
        return found
    except PodiumError as error:
        if error.exit_code == 130:
            raise
        return (CheckResult(name, Verdict.ERROR, told(error)),)
    finally:
        registry.close()


def _last(registry: Registry, version: Version, metric: str) -> float:
    """Returns the last finite value. Training that ends in NaN has been of some quality before."""
    who = f"version {version.version}"
    if not version.mlflow_run:
        raise Unmeasurable(f"{who} has no MLflow run, which could have logged {metric!r}")
    history: list[MetricPoint] = registry.metric_history(version.mlflow_run, metric)
    if not history:
        raise Unmeasurable(
            f"the MLflow run of {who} has no metric {metric!r}", hint=f"Log it: mlflow.log_metric({metric!r}, …)."
        )
    finite = [point.value for point in history if abs(point.value) < _INFINITE]
    if not finite:
        raise Unmeasurable(f"none of the {len(history)} values of {metric!r} that {who} logged is finite")
    return finite[-1]


def _limited(name: str, check: Check, value: float) -> CheckResult:
    broken, limit = broken_limit(check, value)
    message = f"{value:.6g} is {broken}" if broken else f"{value:.6g}"
    verdict = Verdict.FAIL if broken else Verdict.PASS
    return CheckResult(f"{name} {limit_words(check)}", verdict, f"{message}, {_UNPROVEN}", value=value, limit=limit)


def _compared(name: str, check: Check, value: float, registry: Registry, candidate: Version) -> CheckResult:
    number = registry.aliases(candidate.model).get(CHAMPION)
    if number is None:
        return CheckResult(name, Verdict.PASS, "no champion to compare with")
    if number == candidate.version:
        return CheckResult(name, Verdict.PASS, "the candidate is the champion")
    baseline = _last(registry, registry.version(candidate.model, number), check.metric)
    better = baseline - value if check.goal == MINIMIZE else value - baseline
    verdict = Verdict.PASS if better >= -check.margin else Verdict.FAIL
    direction = "better" if better > 0 else "worse" if better < 0 else "different"
    amount = f"{abs(better):.6g} {direction}" if better else "no different"
    message = f"{value:.6g} is {amount} than champion {number}'s {baseline:.6g} (margin {check.margin:g}), {_UNPROVEN}"
    return CheckResult(name, verdict, message, value=value, baseline=baseline, limit=-check.margin)
