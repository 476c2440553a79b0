"""Making true again what the ledger says, and restarting one replica: both behind the same kind of plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.domain.repair import RepairPlan
from ..core.domain.runs import Run

if TYPE_CHECKING:
    from ..tui.widgets.plan_dialog import Decision, Proposal
    from .base import PodiumScreen as _Base
else:
    _Base = object


def proposal(plan: RepairPlan) -> Proposal:
    from ..tui.widgets.plan_dialog import Proposal

    what = f"the proxy of {plan.environment}" if plan.restart == "proxy" else plan.restart
    verb, title = ("Restart", f"Restart {what}") if plan.restart else ("Repair", f"Repair {plan.environment}")
    nothing = "" if plan.steps or plan.refusal else "there is nothing that could be done"
    return Proposal(
        title,
        verb,
        plan.command,
        steps=plan.steps,
        warnings=plan.warnings,
        refusal=plan.refusal or nothing,
        type_to_confirm=plan.type_to_confirm,
        expected_seconds=plan.expected_seconds,
        reason="kept in the audit",
        differences=tuple(
            each for each in plan.differences if each.repairable
        ),  # what cannot be mended is among the warnings
    )


class MendingMixin(_Base):
    def do_repair(self) -> None:
        status = self.context().environment
        assert status is not None
        self.carry_out(
            f"repair {status.name}", lambda cockpit: cockpit.environments.plan_repair(status.name), self._repair_planned
        )

    def plan_restart(self, environment: str, replica: str) -> None:
        self.carry_out(
            f"restart {replica}",
            lambda cockpit: cockpit.environments.plan_restart(environment, replica),
            self._repair_planned,
        )

    def _repair_planned(self, plan: RepairPlan) -> None:
        what = f"restart {plan.restart}" if plan.restart else f"repair {plan.environment}"

        def decided(decision: Decision | None) -> None:
            if decision is None:
                self.podium.say("nothing was changed")
                return
            self.carry_out(
                what, lambda cockpit: cockpit.environments.repair(plan, why=decision.why), self._repair_begun
            )

        from ..tui.widgets.plan_dialog import PlanDialog

        self.app.push_screen(PlanDialog(proposal(plan)), decided)

    def _repair_begun(self, run: object) -> None:
        if isinstance(run, Run):
            self.podium.go_to_run(run.id)
            self.podium.say(f"run {run.id} started")
