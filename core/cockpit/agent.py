"""`cockpit.agent`: the process that watches the project in the background."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.watching import AgentStatus, ScheduleStatus, Service


class Agent:
    """Starts and stops the agent, and reports whether it is running."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def status(self) -> AgentStatus:
        """Returns whether the agent is running, where, since when, and what it cannot do."""
        from ..attention import agent_status

        return agent_status(self._opened.state, self._opened.journal)

    def schedules(self) -> Sequence[ScheduleStatus]:
        """Returns every schedule of podium.yaml with its next time, its last run and what keeps it; the next one
        first."""
        from ..triggers.schedules import statuses

        opened = self._opened
        broken = opened.latest.error() is not None
        return statuses(opened.config, opened.journal, time.time(), broken=broken)

    def run(self, *, listen: str = "", metrics: str = "") -> None:
        """Runs the agent in this process until it is stopped. `listen` is where it receives webhooks, `metrics` where
        it shows /metrics. Raises Refused if another one is running."""
        from ..triggers.agent import run

        run(self._opened.home, listen=listen, metrics=metrics)

    def start(self, *, listen: str = "", metrics: str = "") -> AgentStatus:
        """Starts the agent in the background and waits until it is running."""
        from ..triggers.daemon import start

        self._opened.require_own()
        return start(self._opened.config, self._opened.journal, listen, metrics)

    def stop(self) -> bool:
        """Stops the agent; returns whether there was one. The agent of several that watches the project watches it no
        longer, and goes on with the others. It needs no podium.yaml that can be used."""
        from ..triggers.daemon import stop
        from ..triggers.several import leave

        self._opened.require_own()
        left = leave((self._opened.home,))
        return stop(self._opened.journal) or bool(left)

    def install(self, *, listen: str = "", metrics: str = "") -> Service:
        """Has systemd start the agent at boot; `listen` is where it receives webhooks, `metrics` where it shows
        /metrics. Raises Unreachable where there is no systemd, and Refused for webhooks without a secret, or metrics
        that others could read."""
        from ..triggers.service import install

        self._opened.require_own()
        return install(self._opened.config, self._opened.journal, listen=listen, metrics=metrics)

    def uninstall(self) -> Service:
        """Removes the agent's unit. Raises NotFound if there is none."""
        from ..triggers.service import uninstall

        return uninstall(self._opened.config)
