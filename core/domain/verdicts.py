"""Verdicts and reports: the result type that gates, canaries, monitors and drift share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """The result of a check. Errors and missing data never pass; inconclusive stops and asks a person."""

    PASS = "pass"  # noqa: S105
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ERROR = "error"


_SEVERITY = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.ERROR: 2, Verdict.FAIL: 3}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Returns the verdict of the whole. Without any verdict it is an error, never a pass; a failure outranks an
    error."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.ERROR)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check of a gate."""

    name: str
    verdict: Verdict
    message: str
    value: float | None = None
    """The candidate's value."""
    baseline: float | None = None
    """The champion's value."""
    low: float | None = None
    """The lower bound of the interval (95 % unless configured) of candidate − champion, in the direction where more
    is better."""
    high: float | None = None
    """The upper bound of the same interval."""
    limit: float | None = None
    """The limit that the check is configured with."""
    rows: int | None = None
    """How many rows the check read."""
    slice: str = ""
    """The slice of the data that was checked; empty for all rows."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """The report of a gate about one candidate version."""

    gate: str
    model: str
    version: int
    champion: int | None
    """The version that the candidate was compared with; None if there was none."""
    verdict: Verdict
    checks: tuple[CheckResult, ...]
    at: float
    run_id: int | None = None
    data: str = ""
    rows: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
