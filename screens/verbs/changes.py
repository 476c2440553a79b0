"""What several screens can change. Every change of what serves is shown as a plan first; the rest is confirmed.

A screen makes the objects that it needs (`self.changes = ChangeKeys(self)`) and says which key means what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...core.cockpit import Cockpit
from ...core.domain.delivery import EnvironmentStatus
from ...core.domain.models import Version
from ...core.domain.plans import Plan
from ...core.domain.runs import Run, Step

if TYPE_CHECKING:
    from ...tui.widgets.plan_dialog import Decision
    from ..base import PodiumScreen


class ChangeKeys:
    """Plans what is under the cursor of a screen, puts the plan before the user, and applies it."""

    def __init__(self, screen: PodiumScreen) -> None:
        self._screen = screen

    def promote(self) -> None:
        self._roll_out("promote", self._version())

    def deploy(self) -> None:
        self._roll_out("deploy", self._version())

    def rollback(self) -> None:
        self._roll_out("rollback", None)

    def repair(self) -> None:
        self._about_environment("repair")

    # A run that goes on: what it changes in an environment is in the same kind of plan.

    def resume_run(self) -> None:
        run = self._screen.context().find(Run)
        assert run is not None
        self.propose(f"resume run {run.id}", lambda cockpit: cockpit.runs.plan_resume(run.id))

    def approve(self) -> None:
        run, chosen = self._screen.context().find(Run), self._screen.context().find(Step)
        assert run is not None
        step = chosen.name if chosen is not None and not chosen.why_not_approve() else None
        self.propose(f"approve run {run.id}", lambda cockpit: cockpit.runs.plan_approve(run.id, step))

    def stop(self) -> None:
        self._about_environment("stop")

    def start(self) -> None:
        self._about_environment("start")

    def restart(self, environment: str, replica: str) -> None:
        self.propose(
            f"restart {replica}", lambda cockpit: cockpit.changes.plan("restart", environment, replica=replica)
        )

    # The running canary

    def pause(self) -> None:
        self._about_environment("pause")

    def resume(self) -> None:
        self._about_environment("resume")

    def full(self) -> None:
        self._about_environment("full")

    def abort(self) -> None:
        self._about_environment("abort")

    def _version(self) -> int | None:
        """Returns the version under the cursor; None on screens that list none, where the core chooses one."""
        found = self._screen.context().find(Version)
        return found.version if found is not None else None

    def _roll_out(self, verb: str, version: int | None) -> None:
        context = self._screen.context()
        status, chosen = context.find(EnvironmentStatus), context.find(Version)

        def plan(cockpit: Cockpit) -> Plan:
            model = chosen.model if chosen is not None else None
            environment = status.name if status is not None else cockpit.environments.default(model)
            return cockpit.changes.plan(verb, environment, version=version)

        self.propose(verb, plan)

    def _about_environment(self, verb: str) -> None:
        status = self._screen.context().find(EnvironmentStatus)
        assert status is not None
        self.propose(f"{verb} {status.name}", lambda cockpit: cockpit.changes.plan(verb, status.name))

    def propose(self, what: str, make: Callable[[Cockpit], Plan]) -> None:
        """Makes the plan in the pool and shows it; applies it when the user agrees."""
        self._screen.carry_out(what, make, self._show)

    def _show(self, plan: Plan) -> None:
        def agreed(decision: Decision) -> None:
            self._screen.carry_out(
                plan.title,
                lambda cockpit: cockpit.changes.apply(
                    plan, confirmed=decision.confirmed, why=decision.why, force=decision.force
                ),
                lambda run: self._applied(plan, run),
                awaited=False,
            )

        ask(self._screen, plan, agreed)

    def _applied(self, plan: Plan, run: object) -> None:
        if isinstance(run, Run):
            self._screen.show_started(run)
        else:
            self._screen.podium.say(f"requested: {plan.title}")


def ask(screen: PodiumScreen, plan: Plan, agreed: Callable[[Decision], None]) -> None:
    """Shows the plan; calls `agreed` with what the user gave, or says that nothing was changed."""

    def decided(decision: Decision | None) -> None:
        if decision is None:
            screen.podium.say("nothing was changed")
        else:
            agreed(decision)

    # Dialogs are loaded when the first one opens: the first paint does not pay for them.
    from ...tui.widgets.plan_dialog import PlanDialog

    screen.app.push_screen(PlanDialog(plan), decided)
