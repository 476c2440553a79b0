"""Versions and runs side by side: what is compared, in which order, and what each difference means. Front ends show
these values; `core/comparison/` makes them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..frozen import Frozen
from ..text.format import number, signed

if TYPE_CHECKING:
    from ..models import Version
    from ..runs import Run
    from ..verdicts import Flips, Verdict

MOST = 6
"""How many can stand side by side."""


class Kind(StrEnum):
    """What a row of a comparison is about. Commands print the names, so names are only ever added."""

    VERDICT = "verdict"
    GATE = "gate"
    """Measured by a gate, on rows that the model has not learned from."""
    SLICE = "slice"
    """The same on a part of those rows."""
    METRIC = "metric"
    """Logged by training."""
    PARAM = "param"
    MODEL = "model"
    """What the model is: commit, data, signature, requirements, size."""
    TAG = "tag"


TITLES = {
    Kind.VERDICT: "verdict",
    Kind.GATE: "gate",
    Kind.SLICE: "slice",
    Kind.METRIC: "training",
    Kind.PARAM: "param",
    Kind.MODEL: "model",
    Kind.TAG: "tag",
}
"""What people read for a kind."""


class Change(StrEnum):
    """What a value is beside the baseline's."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"
    """Its interval holds both better and worse."""
    OTHER = "differs"
    """It differs, and nothing says which way is better."""
    SAME = "same"
    MISSING = "missing"
    """It has no such value, or the baseline has none."""


class ComparedCell(Frozen):
    """One value, beside the baseline's."""

    value: str | float | None = None
    change: Change | None = None
    """None for the baseline itself."""
    delta: float | None = None
    """The value less the baseline's. Of a gate that measured both on the same rows, that difference."""
    low: float | None = None
    """The lower bound of the interval of `delta`; None where none was measured."""
    high: float | None = None
    """The upper bound of the same interval."""
    verdict: Verdict | None = None
    """The verdict of the gate's check on this value."""
    words: str = ""
    """What the gate said, or from where the value comes."""
    flips: Flips | None = None
    """The rows that are answered better and worse than by the baseline, where the row is about them."""

    @property
    def text(self) -> str:
        """Returns the value as people read it: the verdict, where a check has no value; empty without either."""
        if self.value is None:
            return str(self.verdict or "")
        return self.value if isinstance(self.value, str) else number(self.value)

    @property
    def difference(self) -> str:
        """Returns the difference with its sign; empty without one."""
        return "" if self.delta is None or self.change is Change.SAME else signed(self.delta)

    @property
    def interval(self) -> str:
        """Returns the interval of the difference; empty without one."""
        return "" if self.low is None or self.high is None else f"{signed(self.low)} … {signed(self.high)}"

    @property
    def change_words(self) -> str:
        """Returns what the value is beside the baseline's, in words; empty for the baseline."""
        parts = (str(self.change or ""), self.difference, f"({self.interval})" if self.interval else "")
        return " ".join(part for part in parts if part)


class ComparedRow(Frozen):
    """One line of a comparison, with one cell per subject, the baseline's first."""

    kind: Kind
    name: str
    cells: tuple[ComparedCell, ...]
    differs: bool
    goal: str = ""
    """`maximize` or `minimize`; empty where nothing says which way is better."""
    of: str = ""
    """The gate that measured it."""
    part: str = ""
    """The slice of the rows; empty for all."""
    chosen: bool = False
    """`register` chooses by it, or a gate checks it."""
    noise: bool = False
    """A tag of MLflow's or Podium's own."""

    @property
    def values(self) -> tuple[str | float | None, ...]:
        return tuple(cell.value for cell in self.cells)

    @property
    def title(self) -> str:
        """Returns its name with its slice."""
        return f"{self.name} [{self.part}]" if self.part else self.name


class Subject(Frozen):
    """A version or a run that is compared. A run stands for the version that it made, where it made one."""

    label: str
    """`v3`, `run 41`."""
    aliases: tuple[str, ...] = ()
    version: Version | None = None
    run: Run | None = None


class Comparison(Frozen):
    """Subjects side by side; the first is the baseline."""

    subjects: tuple[Subject, ...]
    rows: tuple[ComparedRow, ...]
    why: str = ""
    """Why the first is the baseline."""

    @property
    def versions(self) -> tuple[Version, ...]:
        return tuple(each.version for each in self.subjects if each.version is not None)

    @property
    def differing(self) -> int:
        return sum(row.differs for row in self.rows)

    def shown(self, *, differing: bool = False, noise: bool = False) -> tuple[ComparedRow, ...]:
        """Returns the rows that are to be seen: only those that differ, and those of noise only where asked for."""
        return tuple(row for row in self.rows if (row.differs or not differing) and (noise or not row.noise))
