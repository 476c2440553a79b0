"""What podium.yaml declares, beside how it is: one row for each environment and each infrastructure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..frozen import Frozen

if TYPE_CHECKING:
    from ..plans import Plan


class DeclaredKind(StrEnum):
    """What is declared."""

    INFRA = "infra"
    ENVIRONMENT = "environment"


class DeclaredState(StrEnum):
    """How one of them is."""

    AS_DECLARED = "as declared"
    DIFFERS = "differs"
    STOPPED = "stopped"
    """A person stopped it: it stays so, and is no difference."""
    EMPTY = "empty"
    """Nothing serves, and there is no version that could."""


class Declared(Frozen):
    """One environment or infrastructure: how it is, and the change that makes it what podium.yaml declares."""

    kind: DeclaredKind
    name: str
    words: str
    """How it is, in a few words: `v3 serves as declared`."""
    state: DeclaredState = DeclaredState.AS_DECLARED
    plan: Plan | None = None
    """The change that makes it so; None where nothing is to be changed, or only a person can."""
    command: str = ""
    """The command for what no plan does: to start what was stopped, to plan infrastructure anew; empty if there is
    nothing."""

    @property
    def differs(self) -> bool:
        """Tells whether it is something else than what is declared, which a change could end."""
        return self.state is DeclaredState.DIFFERS

    @property
    def applies(self) -> bool:
        """Tells whether there is a change to be applied, which may refuse itself."""
        return self.plan is not None and (bool(self.plan.refusal) or not self.plan.nothing_to_do)
