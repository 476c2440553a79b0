"""The one language in which gates, canaries, monitors and drift say how it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """Error and missing data never pass; inconclusive stops and asks a person."""

    PASS = "pass"  # noqa: S105
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ERROR = "error"


_SEVERITY = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.ERROR: 2, Verdict.FAIL: 3}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of the whole. Nothing measured is an error, never a pass; a failure wins over an error."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.ERROR)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of a gate.

    `value` is the candidate's figure and `baseline` the champion's; `low` and `high` bound the 95 % (or as
    configured) interval of (candidate − champion) in the direction where more is better; `limit` is what the check
    asked for. `rows` is how many rows it saw.
    """

    name: str
    verdict: Verdict
    message: str
    value: float | None = None
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    rows: int | None = None
    slice: str = ""


@dataclass(frozen=True, slots=True)
class GateReport:
    """What a gate found about one candidate version. `champion` is None when there was none to compare with."""

    gate: str
    model: str
    version: int
    champion: int | None
    verdict: Verdict
    checks: tuple[CheckResult, ...]
    at: float
    run_id: int | None = None
    data: str = ""
    rows: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
