"""Carries out `data:` checks of a table of rows: those of a gate, and those of the step `data-check`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...domain.gates.checks import DataCheck
from ...domain.project import Check
from ...domain.verdicts import CheckResult, Verdict
from ...errors import Interrupted
from ..checks import CheckInputs
from ..metrics import Unmeasurable
from ..outside.datasets import NoChampion
from ..reasons import reason, told
from ..subjects import Locate
from .content import categories, duplicates, missing, ranges
from .drift import drift
from .leakage import leakage
from .profile import Profile, profile
from .rows import Judge, Rows
from .schema import schema

_JUDGES: Mapping[str, Judge] = {
    "schema": schema,
    "missing": missing,
    "ranges": ranges,
    "categories": categories,
    "duplicates": duplicates,
    "leakage": leakage,
    "drift": drift,
}


def of_gate(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Judges the rows of a gate."""
    assert check.data is not None
    data = bench.data
    frame = data.frame.drop(columns=list(data.targets[1:]))  # other labels are no features
    return judge(check.data, frame, target=data.targets[0], shown=data.shown, locate=data.locate)


def judge(spec: DataCheck, frame: Any, *, target: str, shown: str, locate: Locate) -> Sequence[CheckResult]:
    """Returns at least one result for each kind of the check. `shown` is the table's name in podium.yaml; `locate`
    finds the training data. Raises Unmeasurable if that cannot be read."""
    rows = Rows(frame, target, shown, locate, spec)
    found: list[CheckResult] = []
    try:
        rows = replace(rows, training=_training(rows, locate))
    except NoChampion as error:
        found.append(CheckResult("data training", Verdict.PASS, error.message))
        kinds = tuple(kind for kind in spec.kinds if not needs_training(kind, spec))
        rows = replace(rows, spec=replace(spec, kinds=kinds, time=""))
    for kind in rows.spec.kinds:
        found += _judged(kind, rows)
    return found


def needs_training(kind: str, spec: DataCheck) -> bool:
    """Tells whether this kind of check cannot do without training data."""
    if kind == "missing":
        return spec.max_missing is None
    return kind in ("ranges", "categories", "drift") or (kind == "schema" and not spec.pandera)


def _training(rows: Rows, locate: Locate) -> Profile | None:
    spec = rows.spec
    if not spec.training:
        return None
    if "leakage" not in spec.kinds:
        return profile(locate(spec.training), spec.training)
    return profile(locate(spec.training), spec.training, rows.frame, rows.columns())


def _judged(kind: str, rows: Rows) -> Iterator[CheckResult]:
    try:
        yield from _JUDGES[kind](rows)
    except Unmeasurable as error:
        yield CheckResult(f"data {kind}", Verdict.ERROR, told(error))
    except Interrupted:
        raise
    except Exception as error:  # columns of lists and the like, which pandas and numpy refuse in a dozen ways
        yield CheckResult(f"data {kind}", Verdict.ERROR, f"{type(error).__name__}: {reason(error)}")
