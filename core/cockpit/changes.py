"""`cockpit.changes`: every change that is shown before it is made. One plan, one apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.plans import Plan
    from ..domain.runs import Run


class Changes:
    """Plans changes of any kind and applies them. `core/plugins.py` says which kinds there are."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def plan(self, verb: str, target: str, **arguments: Any) -> Plan:
        """Returns what a change would do: `plan("promote", "production", version=3)`.

        deploy, promote, rollback: `version` (None: the challenger, for a rollback the last good one) and `force`;
        restart: `replica`; shell: `name`. NotFound for a verb that nothing plans and a target that is not there.
        """
        from ..changes import plan

        return plan(self._opened.config, self._opened.journal, verb, target, **arguments)

    def apply(self, plan: Plan, *, confirmed: str = "", why: str = "", force: bool = False) -> Run | None:
        """Carries a plan out. Returns the run that does it; None for a request to a canary, which obeys within a
        second.

        Refused when the plan says so and `force` (with a reason) does not override it; when `confirmed` is not the
        word that the plan asks a person to type; and when the plan is out of date.
        """
        from ..changes import apply

        return apply(
            self._opened.config,
            self._opened.journal,
            plan,
            who=whoami(),
            confirmed=confirmed,
            why=why,
            force=force,
        )
