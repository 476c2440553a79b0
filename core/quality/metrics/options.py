"""What a check says about its metric: which average, which class, how many places, which quantile, how far ahead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...domain.frozen import Frozen
from .model import ModelAnswers, Unmeasurable

if TYPE_CHECKING:
    from ...domain.project import Check


class Options(Frozen):
    average: str = ""
    """macro, micro or weighted."""
    of_class: Any = None
    """A class, as podium.yaml writes it."""
    k: int | None = None
    """How many of a query's rows count."""
    quantile: float | None = None
    horizon: int | None = None

    @classmethod
    def of(cls, check: Check) -> Options:
        """Makes them of a check's keys."""
        return cls(check.average, check.of_class, check.k, check.quantile, check.horizon)

    def __str__(self) -> str:
        """Returns what follows the metric's name: `@10`, ` macro`, ` of class a`, ` 0.9`, ` 7 ahead`."""
        text = f"@{self.k}" if self.k is not None else ""
        text += f" {self.average}" if self.average else ""
        text += f" of class {str(self.of_class)[:40]}" if self.of_class is not None else ""
        text += f" {self.quantile:g}" if self.quantile is not None else ""
        return text + (f", {self.horizon} ahead" if self.horizon is not None else "")


def same(said: Any, value: Any) -> bool:
    """Tells whether a class of podium.yaml is that of the data: 1 is 1.0 and "1", true is True, but 1 is not true."""
    if isinstance(said, bool) or isinstance(value, bool):
        return str(said).lower() == str(value).lower()
    return said == value or str(said) == str(value)


def place_of(said: Any, answers: ModelAnswers) -> int:
    """Returns the place of a class that a check names. Raises Unmeasurable if the target has no such class."""
    found = next((place for place, value in enumerate(answers.classes) if same(said, value)), None)
    if found is None:
        raise Unmeasurable(f"the target has no class {str(said)[:40]!r}", hint=f"It has: {listed(answers.classes)}.")
    return found


def listed(values: Iterable[Any], most: int = 20) -> str:
    """Returns the values as a list that is read in one look, each shortened."""
    shown = [str(value)[:40] for value in values]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
