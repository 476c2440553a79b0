"""The built-in step `data-check`: is this table fit to be learned from?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from ...domain.gates.checks import DataCheck
from ...domain.models import CHAMPION, Version
from ...domain.verdicts import CheckResult, Verdict, worst
from ...errors import NotFound, RunFailed
from ...logs.masking import masked_fields
from ...registry import open_registry
from ..metrics import Unmeasurable
from ..outside.datasets import PREFIX, locator, of_run
from ..reasons import told
from ..subjects import Locate
from ..tables import read
from .judge import judge

if TYPE_CHECKING:
    from ...engine.context import StepContext


class DataRefused(RunFailed):
    """The verdict is not a pass. `results` are the step's results, which are kept."""

    def __init__(self, shown: str, checks: Sequence[CheckResult]) -> None:
        bad = [check for check in checks if check.verdict is not Verdict.PASS]
        words = "; ".join(f"{check.name}: {check.message}" for check in bad[:3])
        more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
        super().__init__(
            f"the data {shown}: {worst(each.verdict for each in checks)}: {words}{more}",
            hint="correct the data, or the limits of the step",
        )
        self.results = results_of(checks)


def results_of(checks: Sequence[CheckResult]) -> dict[str, Any]:
    """Returns the step's results."""
    return {"verdict": str(worst(each.verdict for each in checks)), "checks": [asdict(each) for each in checks]}


def data_check(context: StepContext) -> Mapping[str, Any]:
    """Carries out the step. Its options are `data`, the table; `checks`, what is checked of it; `target`; and the other
    keys of a `data:` check. Raises DataRefused unless the verdict is a pass."""
    options = context.options
    shown, project = str(options["data"]), context.project
    named = any(str(value).startswith(PREFIX) for value in options.values())
    locate = _locate(context) if named else partial(of_run, project.root, project.home)
    path = locate(shown)
    if not path.exists():
        raise NotFound(f"the data {shown} does not exist", hint="let a step before this one make it")
    spec = spec_of(options)
    try:
        frame = read(path, shown)
        if not len(frame):
            raise Unmeasurable(f"{shown} has no rows")
        checks = judge(spec, frame, target=_target(options, frame), shown=shown, locate=locate)
    except Unmeasurable as error:
        checks = [CheckResult("data", Verdict.ERROR, told(error))]
    checks = [masked_fields(each, context.project.secrets, "name", "message") for each in checks]
    for check in checks:
        context.log(f"{check.verdict:12} {check.name}: {check.message}")
    if worst(each.verdict for each in checks) is not Verdict.PASS:
        raise DataRefused(shown, checks)
    return results_of(checks)


def spec_of(options: Mapping[str, Any]) -> DataCheck:
    """Returns the check from the options of a step."""
    given = {each.name: options[each.name] for each in fields(DataCheck) if each.name in options}
    for name, value in given.items():
        if name == "columns":
            given[name] = tuple(value)
        elif name.startswith("max_"):
            given[name] = float(value)
    return DataCheck(tuple(options["checks"]), **given)


def _target(options: Mapping[str, Any], frame: Any) -> str:
    target = str(options.get("target", ""))
    if target and target not in frame.columns:
        named = ", ".join(map(str, list(frame.columns)[:20]))
        raise Unmeasurable(f"the data has no column {target!r}", hint=f"It has: {named}.")
    return target


def _locate(context: StepContext) -> Locate:
    """Returns what finds datasets of the champion's run: there is no candidate before training."""
    project = context.project
    registry = open_registry(project.mlflow, project.state)
    model = context.model
    champion: Version | None = None
    try:
        number = registry.aliases(model).get(CHAMPION)
        champion = registry.version(model, number) if number is not None else None
    except NotFound:
        pass
    return locator(registry, project.root, project.home, None, champion)
