"""What several screens can change. Every change of what serves is shown as a plan first; the rest is confirmed.

A screen makes the objects that it needs (`self.changes = ChangeKeys(self)`) and says which key means what.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..core.cockpit import Cockpit
from ..core.domain.plans import Plan
from ..core.domain.runs import Run

if TYPE_CHECKING:
    from ..tui.widgets.plan_dialog import Decision
    from .base import PodiumScreen


class ChangeKeys:
    """Plans what is under the cursor of a screen, puts the plan before the user, and applies it."""

    def __init__(self, screen: PodiumScreen) -> None:
        self._screen = screen

    def promote(self) -> None:
        context = self._screen.context()
        self._roll_out("promote", context.version.version if context.version is not None else None)

    def rollback(self) -> None:
        self._roll_out("rollback", None)

    def repair(self) -> None:
        self._about_environment("repair")

    def restart(self, environment: str, replica: str) -> None:
        self.propose(
            f"restart {replica}", lambda cockpit: cockpit.changes.plan("restart", environment, replica=replica)
        )

    # The canary under way

    def pause(self) -> None:
        self._about_environment("pause")

    def resume(self) -> None:
        self._about_environment("resume")

    def full(self) -> None:
        self._about_environment("full")

    def abort(self) -> None:
        self._about_environment("abort")

    def _roll_out(self, verb: str, version: int | None) -> None:
        status = self._screen.context().environment

        def plan(cockpit: Cockpit) -> Plan:
            environment = status.name if status is not None else cockpit.environments.default()
            return cockpit.changes.plan(verb, environment, version=version)

        self.propose(verb, plan)

    def _about_environment(self, verb: str) -> None:
        status = self._screen.context().environment
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
            )

        ask(self._screen, plan, agreed)

    def _applied(self, plan: Plan, run: object) -> None:
        if isinstance(run, Run):
            show_started(self._screen, run)
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
    from ..tui.widgets.plan_dialog import PlanDialog

    screen.app.push_screen(PlanDialog(plan), decided)


def show_started(screen: PodiumScreen, run: object) -> None:
    if isinstance(run, Run):
        screen.podium.go_to_run(run.id)
        screen.podium.say(f"run {run.id} started: {run.title}")


class RunKeys:
    """Cancels, resumes, repeats and approves the run under the cursor of a screen."""

    def __init__(self, screen: PodiumScreen) -> None:
        self._screen = screen

    @property
    def _run(self) -> Run:
        run = self._screen.context().run
        assert run is not None
        return run

    def cancel(self) -> None:
        run = self._run

        def decided(why: str | None) -> None:
            if why is not None:
                self._screen.carry_out(
                    f"cancel run {run.id}",
                    lambda cockpit: cockpit.runs.cancel(run.id, why=why),
                    lambda _: self._screen.podium.say(f"run {run.id} was asked to stop"),
                )

        lines = ("What its steps have finished is kept; U resumes it later.",)
        self._confirm(
            decided,
            f"Cancel run {run.id}, {run.title}?",
            lines,
            "Cancel the run",
            keep="Let it run",
            command=f"podium cancel {run.id}",
        )

    def again(self) -> None:
        run = self._run

        def decided(why: str | None) -> None:
            if why is None:
                return
            given = why or f"run {run.id} again"
            self._screen.carry_out(
                f"run {run.name}",
                lambda cockpit: cockpit.runs.start(run.name, params=dict(run.params), jobs=run.jobs, why=given),
                self._started,
            )

        lines = ["With the working tree as it is now; steps whose inputs did not change come from the cache."]
        lines += [f"{name} = {value}" for name, value in run.params.items()]
        flags = "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in run.params.items())
        self._confirm(
            decided,
            f"Run {run.name} again?",
            lines,
            "Run again",
            keep="Do not",
            command=f"podium run {shlex.quote(run.name)}{flags}",
        )

    def resume(self) -> None:
        run = self._run

        def decided(why: str | None) -> None:
            if why is not None:
                self._screen.carry_out(
                    f"resume run {run.id}", lambda cockpit: cockpit.runs.resume(run.id), self._started
                )

        lines = ("It continues after its last finished step, in the same workspace.",)
        self._confirm(
            decided,
            f"Resume run {run.id}, {run.title}?",
            lines,
            "Resume",
            keep="Do not",
            command=f"podium resume {run.id}",
            reason=False,
        )

    def approve(self) -> None:
        run, chosen = self._run, self._screen.context().step
        step = chosen.name if chosen is not None and not chosen.why_not_approve() else None

        def decided(why: str | None) -> None:
            if why is not None:
                self._screen.carry_out(
                    f"approve run {run.id}",
                    lambda cockpit: cockpit.runs.approve(run.id, step, why=why),
                    lambda _: self._screen.podium.say(f"run {run.id} continues"),
                )

        what = f"step {step} of run {run.id}" if step else f"what waits in run {run.id}"
        lines = ("The approval is kept in the audit with your name.",)
        command = f"podium approve {run.id}" + (f" {shlex.quote(step)}" if step else "")
        self._confirm(decided, f"Approve {what}?", lines, "Approve", keep="Do not", command=command)

    def _started(self, run: object) -> None:
        show_started(self._screen, run)

    def _confirm(
        self, decided: Callable[[str | None], None], question: str, lines: Sequence[str], yes: str, **options: Any
    ) -> None:
        from ..tui.widgets.confirm import ConfirmDialog

        self._screen.app.push_screen(ConfirmDialog(question, lines, yes, **options), decided)
