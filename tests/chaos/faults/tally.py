"""What was lost to what, and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .effects import Effect, Excuse

Failure = tuple[float, str]


@dataclass
class Tally:
    """Of a whole run. `findings` are rounds in which something did not hold, in words."""

    run: Counter[str] = field(default_factory=Counter[str])
    late: Counter[str] = field(default_factory=Counter[str])
    lost: Counter[str] = field(default_factory=Counter[str])
    ended: Counter[str] = field(default_factory=Counter[str])
    findings: list[str] = field(default_factory=list[str])
    asked: int = 0
    rounds: int = 0

    @property
    def faults(self) -> int:
        return self.run.total()

    def report(self, skipped: dict[str, str]) -> str:
        lines = [f"{self.faults} faults in {self.rounds} rounds, {self.asked} requests, {self.lost.total()} lost"]
        lines += [f"  {count:5}  {cause}" for cause, count in self.lost.most_common()]
        lines += ["faults that were run:", *(f"  {count:5}  {name}" for name, count in sorted(self.run.items()))]
        if self.late:
            lines.append("that came when nobody was there to be struck, and do not count:")
            lines += [f"  {count:5}  {name}" for name, count in sorted(self.late.items())]
        lines += [f"not run: {name}: {why}" for name, why in sorted(skipped.items())]
        lines += ["how the changes ended:", *(f"  {count:5}  {how}" for how, count in self.ended.most_common())]
        lines += [f"{len(self.findings)} findings", *self.findings]
        return "\n".join(lines)


def attribute(failures: Sequence[Failure], effects: Sequence[Effect]) -> tuple[Counter[str], list[Failure]]:
    """Returns what was lost by cause, and what nothing excuses."""
    causes: Counter[str] = Counter()
    excused: Counter[Excuse] = Counter()
    left: list[Failure] = []
    for begun, words in failures:
        excuse = next(
            (
                each
                for effect in effects
                for each in effect.excuses
                if excused[each] < each.most and each.covers(begun, effect.at, words)
            ),
            None,
        )
        if excuse is None:
            left.append((begun, words))
        else:
            excused[excuse] += 1
            causes[excuse.cause] += 1
    return causes, left
