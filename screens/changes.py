"""What several screens can change: cancel, run again, resume, approve; promote and roll back behind a plan."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..core.cockpit import Cockpit
from ..core.domain.delivery import How, Plan
from ..core.domain.runs import Run
from .cells import run_name

if TYPE_CHECKING:
    from ..tui.widgets.plan_dialog import Decision
    from .base import PodiumScreen as _Base
else:
    _Base = object


class ChangesMixin(_Base):
    def do_cancel(self) -> None:
        run = self.context().run
        assert run is not None

        def decided(why: str | None) -> None:
            if why is not None:
                self.carry_out(
                    f"cancel run {run.id}",
                    lambda cockpit: cockpit.runs.cancel(run.id, why=why),
                    lambda _: self.podium.say(f"run {run.id} was told to stop"),
                )

        lines = ("What its steps have finished is kept; U resumes it later.",)
        self._confirm(
            decided,
            f"Cancel run {run.id}, {run_name(run)}?",
            lines,
            "Cancel the run",
            keep="Let it run",
            command=f"podium cancel {run.id}",
        )

    def do_again(self) -> None:
        run = self.context().run
        assert run is not None

        def decided(why: str | None) -> None:
            if why is None:
                return
            self.carry_out(
                f"run {run.name}",
                lambda cockpit: cockpit.runs.start(
                    run.name, params=dict(run.params), jobs=run.jobs, why=why or f"run {run.id} again"
                ),
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

    def do_resume(self) -> None:
        run = self.context().run
        assert run is not None

        def decided(why: str | None) -> None:
            if why is not None:
                self.carry_out(f"resume run {run.id}", lambda cockpit: cockpit.runs.resume(run.id), self._started)

        lines = ("It goes on after its last finished step, in the same workspace.",)
        self._confirm(
            decided,
            f"Resume run {run.id}, {run_name(run)}?",
            lines,
            "Resume",
            keep="Do not",
            command=f"podium resume {run.id}",
            reason=False,
        )

    def do_approve(self) -> None:
        context = self.context()
        run = context.run
        assert run is not None
        step = context.step.name if context.step is not None and context.step.state == "waiting" else None

        def decided(why: str | None) -> None:
            if why is not None:
                self.carry_out(
                    f"approve run {run.id}",
                    lambda cockpit: cockpit.runs.approve(run.id, step, why=why),
                    lambda _: self.podium.say(f"run {run.id} goes on"),
                )

        what = f"step {step} of run {run.id}" if step else f"what waits in run {run.id}"
        lines = ("The approval is kept in the audit with your name.",)
        command = f"podium approve {run.id}" + (f" {shlex.quote(step)}" if step else "")
        self._confirm(decided, f"Approve {what}?", lines, "Approve", keep="Do not", command=command)

    def do_promote(self) -> None:
        context = self.context()
        version = context.version.version if context.version is not None else None
        environment = context.environment.name if context.environment is not None else None
        self._plan(How.PROMOTE, environment, version)

    def do_rollback(self) -> None:
        context = self.context()
        self._plan(How.ROLLBACK, context.environment.name if context.environment is not None else None, None)

    def _plan(self, how: How, environment: str | None, version: int | None) -> None:
        def make(cockpit: Cockpit) -> Plan:
            return cockpit.environments.plan(how, environment or cockpit.environments.default(), version)

        self.carry_out(f"{how}", make, self._planned)

    def _planned(self, plan: Plan) -> None:
        def decided(decision: Decision | None) -> None:
            if decision is None:
                self.podium.say("nothing was changed")
                return
            self.carry_out(
                f"{plan.how} v{plan.version} to {plan.environment}",
                lambda cockpit: cockpit.environments.apply(plan, why=decision.why, force=decision.force),
                self._started,
            )

        # Dialogs are loaded when the first one opens: the first paint does not pay for them.
        from ..tui.widgets.plan_dialog import PlanDialog

        self.app.push_screen(PlanDialog(plan), decided)

    def _confirm(
        self, decided: Callable[[str | None], None], question: str, lines: Sequence[str], yes: str, **options: Any
    ) -> None:
        from ..tui.widgets.confirm import ConfirmDialog

        self.app.push_screen(ConfirmDialog(question, lines, yes, **options), decided)

    def _started(self, run: Any) -> None:
        if isinstance(run, Run):
            self.podium.go_to_run(run.id)
            self.podium.say(f"run {run.id} started: {run_name(run)}")
