"""Applies a repair: makes an environment what the ledger says. The caller holds the environment (`lock.py`).

What is new always comes before what is old goes: while one healthy replica of any version serves, no request is
lost. A part that fails is reported and does not keep the others from being done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ...domain.delivery import Replica
from ...domain.frozen import Frozen
from ...domain.repair import Difference, DifferenceKind
from ...errors import Interrupted, PodiumError
from ..environment import history
from ..environment.runtime import EnvironmentRuntime
from . import parts


class RepairPart(Frozen):
    """One part of a repair: the kinds of differences that it repairs, and the function that does it."""

    kinds: tuple[DifferenceKind, ...]
    carry_out: Callable[[Repair], None]


# All of them are done, in this order, in which traffic never drops.
PARTS = (
    RepairPart((DifferenceKind.INTERRUPTED,), parts.recover_rollouts),
    RepairPart((DifferenceKind.NETWORK,), parts.connect_containers),
    RepairPart((DifferenceKind.PAUSED, DifferenceKind.STOPPED, DifferenceKind.GONE), parts.bring_up_replicas),
    RepairPart((DifferenceKind.MISSING,), parts.start_missing),
    RepairPart((DifferenceKind.PROXY,), parts.repair_proxy),
    RepairPart((DifferenceKind.WEIGHT, DifferenceKind.TRAFFIC), parts.give_traffic),
    RepairPart(
        (DifferenceKind.IMAGE, DifferenceKind.LABELS, DifferenceKind.SETTINGS, DifferenceKind.UNHEALTHY),
        parts.replace_replicas,
    ),
    RepairPart((DifferenceKind.ALIAS,), parts.move_aliases),
    RepairPart((DifferenceKind.STRAY,), parts.remove_strays),
)
# The kinds in the order in which they are repaired.
REPAIRED_KINDS = tuple(kind for part in PARTS for kind in part.kinds)


class Repair:
    """One repair. `remove` are the names of the containers that a person agreed to have removed."""

    def __init__(
        self, runtime: EnvironmentRuntime, differences: Sequence[Difference], *, remove: Collection[str] = ()
    ) -> None:
        self.runtime = runtime
        self.differences = differences
        self.remove = remove
        self.problems: list[str] = []

    def run(self) -> list[str]:
        """Does all parts; returns what could not be done, in words."""
        for part in PARTS:
            self.attempt(lambda part=part: part.carry_out(self))
        return self.problems

    def attempt(self, action: Callable[[], None]) -> None:
        """Does one thing; a failure is noted, and the repair goes on."""
        try:
            action()
        except Interrupted:
            raise
        except (PodiumError, OSError) as error:
            self.problems.append(str(error))
            self.runtime.say(f"not done: {error}")

    def subjects(self, *kinds: DifferenceKind) -> list[str]:
        """Returns the subjects of the differences of these kinds, where a repair can do something about them."""
        return list(dict.fromkeys(each.subject for each in self.differences if each.kind in kinds and each.repairable))

    def row(self, name: str) -> Replica | None:
        """Returns the row of a replica as it is now; None when it is gone."""
        return next((row for row in self.runtime.replicas() if row.id == name), None)

    @property
    def serving(self) -> int | None:
        """Returns the version that should serve, by the ledger."""
        return history.serving(self.runtime.journal, self.runtime.name, self.runtime.model)
