"""`cockpit.agent`: the process that watches the project in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.watching import AgentStatus


class Agent:
    """Starts and stops the agent, and reports whether it is running."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def status(self) -> AgentStatus:
        """Returns whether the agent is running, where, and since when."""
        return self._opened.journal.agent.status()

    def run(self) -> None:
        """Runs the agent in this process until it is stopped. Raises Refused if another one is running."""
        from ..triggers.agent import run

        run(self._opened.home)

    def start(self) -> AgentStatus:
        """Starts the agent in the background and waits until it is running."""
        from ..triggers.daemon import start

        self._opened.require_own()
        return start(self._opened.config, self._opened.journal)

    def stop(self) -> bool:
        """Stops the agent; returns whether there was one."""
        from ..triggers.daemon import stop

        self._opened.require_own()
        return stop(self._opened.config, self._opened.journal)
