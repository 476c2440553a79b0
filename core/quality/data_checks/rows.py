"""What a data check looks at, and its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...domain.frozen import Frozen
from ...domain.gates.checks import DataCheck
from ...domain.text import one_line
from ...domain.text.format import count
from ...domain.verdicts import CheckResult, Verdict
from ..metrics import Unmeasurable
from ..subjects import Locate
from .profile import Profile

# A result names so many columns at most.
_NAMED = 5
# A share has to be above what chance explains by a test at this level, after Holm's correction for the columns.
SIGNIFICANT = 0.01


class Rows(Frozen):
    """The rows that are judged."""

    frame: Any
    """The table, the target among its columns."""
    target: str
    """The column with the truth; empty for none."""
    shown: str
    """The table's name in podium.yaml."""
    locate: Locate
    """Finds what podium.yaml names by a path."""
    spec: DataCheck
    """What is checked."""
    training: Profile | None = None
    """The training data; None where the check names none."""

    def columns(self, *, target: bool = True) -> list[str]:
        """Returns the columns that are looked at. Raises Unmeasurable for one that the table does not have."""
        present = list(map(str, self.frame.columns))
        for name in self.spec.columns:
            if name not in present:
                raise Unmeasurable(f"{self.shown} has no column {name!r}", hint=f"It has: {', '.join(present[:20])}.")
        chosen = self.spec.columns or tuple(present)
        return [name for name in chosen if target or name != self.target]

    def known(self) -> Profile:
        """Returns the training data. Raises Unmeasurable without it."""
        if self.training is None:
            raise Unmeasurable("there is nothing to compare with", hint="Say `training:` beside `data:`.")
        return self.training


Judge = Callable[[Rows], Sequence[CheckResult]]


def result(name: str, rows: Rows, verdict: Verdict, message: str, **more: float | None) -> CheckResult:
    """Returns a result about all rows."""
    return CheckResult(f"data {name}", verdict, message, rows=len(rows.frame), **more)  # type: ignore[arg-type]


def by_column(
    name: str, rows: Rows, shares: dict[str, float], limit: float, what: str, details: dict[str, str] | None = None
) -> CheckResult:
    """Returns the result of a share per column with one limit. `what` follows the share in the sentence, `details`
    the column."""
    if not shares:
        return result(name, rows, Verdict.PASS, "no column of the kind that this is about", limit=limit)
    bad = {column: share for column, share in shares.items() if share > limit}
    worst = max(shares, key=lambda column: shares[column])
    verdict = Verdict.FAIL if bad else Verdict.PASS
    if bad:
        words = named({column: f"{share:.2%}{(details or {}).get(column, '')}" for column, share in bad.items()})
        message = f"{what} above {limit:.2%}: {words}"
    else:
        message = f"{what}: at most {shares[worst]:.2%} ({shown(worst)}), in {count(len(shares), 'column')}"
    return result(name, rows, verdict, message, value=shares[worst], limit=limit)


def named(words: dict[str, str]) -> str:
    """Returns the first few columns with a word about each."""
    listed = ", ".join(f"{shown(column)} {word}" for column, word in list(words.items())[:_NAMED])
    return listed + (f", and {len(words) - _NAMED} more" if len(words) > _NAMED else "")


def shown(text: Any) -> str:
    """Returns a column's name or a value as it may stand in a message."""
    return one_line(str(text))[:60]
