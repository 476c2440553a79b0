"""Gates and their checks as podium.yaml describes them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from ..frozen import Frozen

if TYPE_CHECKING:
    from ..gates.checks import CommandCheck, DataCheck, LoadCheck
    from ..replay import ReplayLimits


class Check(Frozen):
    """One check of a gate.

    A metric check has `metric` (a known one, or a function such as `metrics.py:profit`) and either bounds (`at_least`,
    `at_most`) or `compare: champion` with a margin and a confidence.
    """

    kind: str
    """The key that says what is checked: `metric`, `latency`, `schema`, `replay`, `run`, `logged`, `data`,
    `fairness`, `load`."""
    metric: str = ""
    at_least: float | None = None
    at_most: float | None = None
    """For `latency` it is seconds."""
    compare: str = ""
    margin: float = 0.0
    """An absolute difference."""
    confidence: float = 0.95
    goal: str = ""
    """maximize or minimize: taken from the metric if it is a known one, required otherwise."""
    average: str = ""
    """Over classes: macro, micro or weighted."""
    of_class: str | int | float | None = field(default=None, metadata={"key": "class"})
    """The class that is measured against the rest."""
    k: int | None = None
    """How many rows of a query count."""
    quantile: float | None = None
    """The quantile that is forecast, of `pinball`."""
    horizon: int | None = None
    """How far ahead the rows look that are measured."""
    prediction: tuple[str, ...] = ()
    """The answer's columns that are measured; empty for those of the gate."""
    slices: tuple[str, ...] = ()
    """Columns; the check is repeated for each of their values."""
    min_rows: int = 1
    """The number of rows that a slice needs to be checked."""
    percentile: str = field(default="", metadata={"key": "latency"})
    """The percentile of `latency`: p50, p95 or p99."""
    environment: str = ""
    """The environment whose captured requests are replayed."""
    replay: ReplayLimits | None = None
    """The limits for those requests."""
    command: CommandCheck | None = None
    """What `run` runs."""
    data: DataCheck | None = None
    """What `data` checks of the gate's rows."""
    fairness: str = ""
    """What `fairness` measures between the slices: one of FAIRNESS (domain/gates/checks.py)."""
    load: LoadCheck | None = None
    """What is sent by `load`, and what has to hold."""
    cpus: float | None = None
    """The CPUs that the process of a function of the project's own may use; None for all."""
    memory: int | None = None
    """The memory that it may use, in bytes; None for all."""
    line: int = 0


class Series(Frozen):
    """What the rows of a forecast's gate are: the columns that hold the series, the time and how far ahead a row looks;
    the table of the series before these rows; and the number of times after which a season repeats."""

    by: str = ""
    time: str = ""
    horizon: str = ""
    history: str = ""
    season: int = 1


class Gate(Frozen):
    """What a candidate has to pass, and what its data and the models' answers mean."""

    name: str
    data: str
    target: str
    """The column that holds the truth; of several the first."""
    checks: tuple[Check, ...]
    answers: str = ""
    """What the model answers for classes: `label` or `probability`; empty where its answers tell."""
    targets: tuple[str, ...] = ()
    """All columns of the truth of several labels; empty for one column."""
    task: str = ""
    """One of `metrics.TASKS`; empty where data and metrics tell."""
    classes: tuple[str | int | float, ...] = ()
    """The target's classes in order, of two the positive one last; empty for their natural order."""
    prediction: tuple[str, ...] = ()
    """The columns of the answer that are meant, in the order of the classes; empty where its columns tell."""
    group: str = ""
    """The column of what belongs together, such as the query of a ranking; empty if rows are independent."""
    series: Series | None = field(default=None, metadata={"section": Series})
    line: int = 0
