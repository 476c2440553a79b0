"""A shell beside the cockpit: the terminal is the shell's until it ends, and then the cockpit's again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...core.cockpit import Cockpit
from ...core.domain.plans import Plan
from .changes import ask

if TYPE_CHECKING:
    from ...tui.widgets.plan_dialog import Decision
    from ..base import PodiumScreen

__all__ = ["ShellKeys"]


class ShellKeys:
    """Opens shells for a screen."""

    def __init__(self, screen: PodiumScreen) -> None:
        self._screen = screen

    def open(self, what: str, command: Callable[[Cockpit], Sequence[str]]) -> None:
        """Asks the façade for the command (in the pool: it may look at an engine), then hands the terminal over to
        it."""
        podium = self._screen.podium

        def found(argv: Sequence[str]) -> None:
            code = podium.run_outside(
                list(argv), f"{what}: a shell of its own; leaving it (exit, ctrl+d) comes back to the cockpit"
            )
            if code:
                podium.say(f"the shell in {what} ended with {code}", "warn")
            else:
                podium.say(f"back from {what}")

        self._screen.carry_out(f"shell in {what}", command, found)

    def open_in_container(self, environment: str, name: str, *, program: Sequence[str]) -> None:
        """Opens a shell in a container of an environment. Asks first where that is protected: what is done in there
        is in no ledger, and it may be serving."""

        def open_it(confirmed: str) -> None:
            self.open(
                name,
                lambda cockpit: cockpit.containers.shell_command(
                    environment, name, program=program, confirmed=confirmed
                ),
            )

        def planned(plan: Plan) -> None:
            def agreed(decision: Decision) -> None:
                open_it(decision.confirmed)

            if plan.type_to_confirm:
                ask(self._screen, plan, agreed)
            else:
                open_it("")

        self._screen.carry_out(
            f"shell in {name}", lambda cockpit: cockpit.changes.plan("shell", environment, name=name), planned
        )
