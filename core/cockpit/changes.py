"""`cockpit.changes`: every change that is shown before it is applied, with one plan and one apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import reserve
from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.plans import Plan
    from ..domain.runs import Run

# What keeps or brings back what serves: it is possible on a full disk, too.
_NEED_ROOM = ("rollback", "repair", "restart", "stop", "start", "abort")


class Changes:
    """Plans changes of any kind and applies them. `core/plugins.py` lists the kinds."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def plan(self, verb: str, target: str, **arguments: Any) -> Plan:
        """Returns the plan of a change: `plan("promote", "production", version=3)`.

        deploy, promote, rollback: `version` (None: the challenger, for a rollback the last good one) and `force`;
        restart: `replica`; shell: `name`; prune: `newest` of `images`, `kinds` of `state`; rebuild: of `ledger`. Raises
        NotFound for an unknown verb or target.
        """
        from ..changes import plan

        self._opened.require_own()
        return plan(self._opened.current, self._opened.journal, verb, target, **arguments)

    def apply(self, plan: Plan, *, confirmed: str = "", why: str = "", force: bool = False) -> Run | None:
        """Applies a plan. Returns the run that does it; None for a request to a canary, which obeys within a second.

        Raises Refused if the plan has a refusal that `force` (with a reason) does not override, if `confirmed` is
        not the word that the plan asks a person to type, and if the plan is out of date.
        """
        from ..changes import apply

        self._opened.require_own()
        if plan.verb in _NEED_ROOM:
            reserve.release(self._opened.state)
        return apply(
            self._opened.current,
            self._opened.journal,
            plan,
            who=whoami(),
            confirmed=confirmed,
            why=why,
            force=force,
        )
