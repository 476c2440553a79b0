"""The part of the façade that is about containers and canaries; `Cockpit` has it all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .domain.containers import USAGE, EngineSnapshot, Image, Unneeded, usage_series
from .domain.runs import Run
from .errors import NotFound, PodiumError
from .identity.account import whoami

if TYPE_CHECKING:
    from functools import cached_property

    from .delivery.environment.replica_logs import Following
    from .domain.delivery import CanaryRequest, CanaryStatus
    from .domain.project import Environment, Project
    from .domain.repair import RepairPlan
    from .domain.replay import ReplayLimits
    from .domain.shells import LocalShell, ShellSession
    from .domain.watching import Series
    from .journal import Journal


class Containers:
    """`home`, `project` and `journal` are Cockpit's."""

    home: Path

    if TYPE_CHECKING:

        @cached_property
        def project(self) -> Project: ...

        @property
        def journal(self) -> Journal: ...

    def canary(self, environment: str) -> CanaryStatus | None:
        """The canary under way in an environment, from the journal; None when there is none."""
        from .delivery.rollout.canary import status

        return status(self.journal, environment)

    def order(self, environment: str, what: CanaryRequest, *, why: str = "") -> CanaryStatus:
        """Ask the canary under way to pause, resume, take all traffic, or go back; what it was doing. Refused when
        there is none.

        It obeys within a second; `canary` shows it.
        """
        from .delivery.rollout.canary import order

        return order(self.journal, environment, what, who=whoami(), why=why)

    def forget_containers(self, run_id: int) -> None:
        """Have the containers removed that a run has left for a later worker, if it is over for good. In the
        background; needs podium.yaml."""
        from .engine.container_cleanup import tidy

        run = self.journal.runs.get(run_id)
        if run.state.finished:
            with suppress(PodiumError):
                tidy(self.project, run)

    # Shells where steps ran

    def shell(self, run_id: int, step: str | None = None) -> LocalShell | ShellSession:
        """A shell in a step's container (the one that runs, or a copy of the one that its failure left), or how to
        start one in the directory of a step that was a process. `step` None: the only one that failed. NotFound when
        nothing is left. Loads Docker. A session is to be closed."""
        from .engine.shell import shell

        return shell(self.project, self.journal, run_id, step)

    def shell_command(self, run_id: int, step: str) -> list[str]:
        """The command that gives a person that shell, on a terminal that nobody else uses meanwhile."""
        return [sys.executable, "-P", "-m", "podium.cli", "-C", str(self.home), "shell", str(run_id), step]

    def replica_shell(self, environment: str, name: str) -> ShellSession:
        """A shell in a running container of an environment: a replica's id, a container's name, or `proxy`. Loads
        Docker; to be closed."""
        from .delivery.environment.replica_shell import open_shell
        from .delivery.environment.runtime import EnvironmentRuntime

        return open_shell(EnvironmentRuntime(self.project, self.journal, self._environment(environment)), name)

    def container_shell(self, environment: str, name: str) -> list[str]:
        """The command that gives a person that shell, on a terminal that nobody else uses meanwhile."""
        return [sys.executable, "-P", "-m", "podium.cli", "-C", str(self.home), "shell", "-e", environment, name]

    # What engines run, as it was last seen: from the journal, so that it costs nothing and works while the engine does
    # not.

    def snapshots(self) -> list[EngineSnapshot]:
        """Of each environment with containers that was looked at; the agent looks whenever something changes."""
        names = [
            environment.name for environment in self.project.environments.values() if environment.driver != "process"
        ]
        return [picture for name in names if (picture := self.journal.snapshots.get(name)) is not None]

    def images(self, model: str | None = None) -> list[Image]:
        """The serving images of every version on every engine, the newest version first."""
        return self.journal.images.of(model or self.project.mlflow.model)

    def unneeded_images(self, newest: int, *, say: Callable[[str], None]) -> list[Unneeded]:
        """The serving images that nothing needs any more, on every engine of the project; the `newest` versions stay
        in any case. Asks the engines: loads Docker's package into this process."""
        from .delivery.status.image_prune import find

        return find(self.project, self.journal, newest=newest, say=say)

    def prune_images(self, which: Sequence[Unneeded], *, say: Callable[[str], None]) -> list[Unneeded]:
        """Remove these; those that went. What has come to be needed meanwhile stays."""
        from .delivery.status.image_prune import prune

        gone = prune(self.project, self.journal, which, say=say)
        self.journal.audit.add(whoami(), "prune", f"{len(gone)} images", ", ".join(one.name for one in gone)[:500])
        return gone

    # Repair

    def plan_repair(self, environment: str) -> RepairPlan:
        """What would make an environment again what the ledger says: asks its engine, changes nothing. NotFound
        without the environment."""
        from .delivery.repair.plan import plan

        return plan(self.project, self.journal, self._environment(environment))

    def plan_restart(self, environment: str, name: str) -> RepairPlan:
        """What the restart of one replica (its id, or its container's name), or of the `proxy`, would do."""
        from .delivery.repair.plan import plan_restart

        return plan_restart(self.project, self.journal, self._environment(environment), name)

    def repair(self, plan: RepairPlan, *, why: str = "") -> Run:
        """Carry out either plan as a run of its own, whose step's results say what was done and what is left.
        Refused when the plan says so."""
        from .delivery.repair.plan import parameters
        from .engine.submit import submit_operation

        return submit_operation(
            self.project, self.journal, "repair", plan.environment, params=parameters(plan), who=whoami(), why=why
        )

    def _environment(self, name: str) -> Environment:
        found = self.project.environments.get(name)
        if found is None:
            raise NotFound(
                f"there is no environment {name!r}",
                hint=f"podium.yaml has: {', '.join(self.project.environments) or 'none'}",
            )
        return found

    # Shadow replay

    def replay(self, environment: str, version: int, limits: ReplayLimits, *, why: str = "") -> Run:
        """Send captured requests to a replica of `version` that has no traffic, beside one of what serves, as a run
        of its own.

        The report is in the results of its one step, under `report`, whatever its verdict. NotFound without the
        environment.
        """
        from .delivery.replay.replay_step import parameters
        from .engine.submit import submit_operation

        target = self.project.environment(environment).name
        params = {"version": str(version), **parameters(limits)}
        return submit_operation(self.project, self.journal, "replay", target, params=params, who=whoami(), why=why)

    # What runs

    def look_at_containers(self, environment: str) -> EngineSnapshot | None:
        """What an environment's engine runs now: as the agent knows it, else asked. None where no engine serves it;
        a picture with a message where the engine does not answer."""
        from .delivery.environment.observed import picture
        from .delivery.environment.runtime import EnvironmentRuntime

        return picture(EnvironmentRuntime(self.project, self.journal, self._environment(environment)))

    # Logs

    def follow_logs(self, environment: str, *, replica: str = "", tail: int | None = None) -> Following:
        """The logs of an environment's replicas as one, kept up to date until it is closed; `tail` is how many of
        the newest lines of each come first."""
        from .delivery.environment.replica_logs import Following

        return Following(self.project, self.journal, self._environment(environment), only=replica, tail=tail)

    def replica_log(self, environment: str, replica: str) -> Path:
        """Where the log of a replica (or of the proxy) is, or will be."""
        from .delivery.host.paths import safe

        return self.project.state / "environments" / safe(environment) / f"{safe(replica)}.log"

    def usage(
        self, environment: str, containers: Collection[str], *, start: float, end: float, points: int
    ) -> dict[str, dict[str, Series]]:
        """{container: {signal: series}} of what the containers of an environment used; `domain.containers.USAGE`
        names the signals."""
        series = self.journal.samples.series
        return {
            name: {
                signal: series(usage_series(environment, name), signal, start=start, end=end, points=points)
                for signal in USAGE
            }
            for name in containers
        }
