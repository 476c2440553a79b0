"""A shell beside the cockpit: the terminal is the shell's until it ends, and then the cockpit's again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..core.cockpit import Cockpit

if TYPE_CHECKING:
    from .base import PodiumScreen as _Base
else:
    _Base = object


class ShellMixin(_Base):
    def open_shell(self, what: str, command: Callable[[Cockpit], Sequence[str]]) -> None:
        """Ask the façade for the command (in the pool: it may look at an engine), then hand the terminal over to it."""

        def found(argv: Sequence[str]) -> None:
            code = self.podium.run_outside(
                list(argv), f"{what}: a shell of its own; leaving it (exit, ctrl+d) comes back to the cockpit"
            )
            if code:
                self.podium.say(f"the shell in {what} ended with {code}", "warn")
            else:
                self.podium.say(f"back from {what}")

        self.carry_out(f"shell in {what}", command, found)

    def agree_to_shell(self, what: str, environment: str, open_it: Callable[[], None]) -> None:
        """Ask first, where the environment is protected: what a shell does there is in no ledger and may reach
        whoever is served."""
        from ..tui.widgets.plan_dialog import PlanDialog, Proposal

        proposal = Proposal(
            f"Open a shell in {what}",
            "Open",
            f"podium shell -e {shlex.quote(environment)} {shlex.quote(what)}",
            warnings=("What is done in there is in no ledger, and this one may be serving.",),
            type_to_confirm=environment,
            reason="",
        )

        def decided(decision: object) -> None:
            if decision is None:
                self.podium.say("nothing was opened")
            else:
                open_it()

        self.app.push_screen(PlanDialog(proposal), decided)
