"""`cockpit.environments`: what serves where, and every change to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..domain.runs import Run, Trigger
from ..errors import Refused, UsageError
from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.delivery import CanaryRequest, CanaryStatus, Deployment, EnvironmentStatus, How, Plan
    from ..domain.repair import RepairPlan
    from ..domain.replay import ReplayLimits
    from ..domain.watching import Alert, Series


class Environments:
    """Reads the state of environments; plans changes and has them carried out, each as a run of its own."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self) -> Sequence[EnvironmentStatus]:
        """Returns the status of every environment of podium.yaml, in its order."""
        from ..delivery.status.status import status

        project, journal = self._opened.config, self._opened.journal
        return [status(project, journal, environment) for environment in project.environments.values()]

    def get(self, name: str) -> EnvironmentStatus:
        """Returns the status of one environment. NotFound when there is none of that name."""
        from ..delivery.status.status import status

        return status(self._opened.config, self._opened.journal, self._opened.config.environment(name))

    def default(self) -> str:
        """Returns the environment that is meant when none is named: the one that carries `champion`. UsageError where
        that is not one."""
        from ..delivery.environment.history import carries

        project = self._opened.config
        names = list(project.environments)
        candidates = [name for name in names if carries(project, name)] or names
        if len(candidates) == 1:
            return candidates[0]
        raise UsageError(
            "more than one environment could be meant",
            hint=f"name one with -e: {', '.join(candidates) or 'podium.yaml has none'}",
        )

    def history(self, environment: str, *, limit: int = 50) -> Sequence[Deployment]:
        """Returns the ledger of an environment, newest first."""
        return self._opened.journal.ledger.history(environment, limit=limit)

    def series(self, environment: str, signal: str, *, start: float, end: float, points: int) -> Series:
        """Returns one live signal of an environment over time."""
        return self._opened.journal.samples.series(environment, signal, start=start, end=end, points=points)

    def alerts(self, *, limit: int = 50) -> Sequence[Alert]:
        """Returns the newest alerts of all environments."""
        return self._opened.journal.alerts.recent(limit)

    def stop(self) -> Sequence[str]:
        """Stops every proxy and replica of this project; returns what was stopped, in words."""
        from ..delivery.status.status import stop

        project, journal = self._opened.config, self._opened.journal
        return [line for environment in project.environments.values() for line in stop(project, journal, environment)]

    # Rollouts

    def plan(self, how: How, environment: str, version: int | None = None, *, force: bool = False) -> Plan:
        """Returns what a change would do. `version` None: the challenger for a promotion, the last good one for a
        rollback. NotFound without the environment."""
        from ..delivery.rollout.plans import plan

        return plan(self._opened.config, self._opened.journal, how, environment, version, force=force)

    def apply(self, plan: Plan, *, why: str = "", force: bool = False) -> Run:
        """Carries a plan out as a run of its own. Refused when the plan says so and `force` (with a reason) does not
        override it."""
        from ..engine.submit import submit_operation

        if plan.refusal and not (plan.force and force and why):
            hint = (
                "give --force and --why REASON to do it all the same; both are kept in the ledger" if plan.force else ""
            )
            raise Refused(plan.refusal, hint=hint)
        params = {
            "version": str(plan.version),
            "environment": plan.environment,
            **{f"seen.{key}": value for key, value in plan.seen.items()},
        }
        if force:
            params["force"] = why
        return submit_operation(
            self._opened.config,
            self._opened.journal,
            plan.how.value,
            plan.environment,
            params=params,
            who=whoami(),
            why=why,
            trigger=Trigger.PERSON,
        )

    # Canaries

    def canary(self, environment: str) -> CanaryStatus | None:
        """Returns the canary under way in an environment, from the journal; None when there is none."""
        from ..delivery.rollout.canary import status

        return status(self._opened.journal, environment)

    def request(self, environment: str, what: CanaryRequest, *, why: str = "") -> CanaryStatus:
        """Asks the canary under way to pause, resume, take all traffic, or abort; returns what it was doing. Refused
        when there is none.

        It obeys within a second; `canary` shows it.
        """
        from ..delivery.rollout.canary import order

        return order(self._opened.journal, environment, what, who=whoami(), why=why)

    # Repair

    def plan_repair(self, environment: str) -> RepairPlan:
        """Returns what would make an environment match the ledger again: asks its engine, changes nothing. NotFound
        without the environment."""
        from ..delivery.repair.plan import plan

        return plan(self._opened.config, self._opened.journal, self._opened.config.environment(environment))

    def plan_restart(self, environment: str, name: str) -> RepairPlan:
        """Returns what the restart of one replica (its id, or its container's name), or of the `proxy`, would do."""
        from ..delivery.repair.plan import plan_restart

        return plan_restart(
            self._opened.config, self._opened.journal, self._opened.config.environment(environment), name
        )

    def repair(self, plan: RepairPlan, *, why: str = "") -> Run:
        """Carries out either plan as a run of its own, whose step's results say what was done and what is left.
        Refused when the plan says so."""
        from ..delivery.repair.plan import parameters
        from ..engine.submit import submit_operation

        project, journal = self._opened.config, self._opened.journal
        return submit_operation(
            project, journal, "repair", plan.environment, params=parameters(plan), who=whoami(), why=why
        )

    # Shadow replay

    def replay(self, environment: str, version: int, limits: ReplayLimits, *, why: str = "") -> Run:
        """Sends captured requests to a replica of `version` that has no traffic, beside one of what serves, as a run
        of its own.

        The report is in the results of its one step, under `report`, whatever its verdict. NotFound without the
        environment.
        """
        from ..delivery.replay.replay_step import parameters
        from ..engine.submit import submit_operation

        project, journal = self._opened.config, self._opened.journal
        target = project.environment(environment).name
        params = {"version": str(version), **parameters(limits)}
        return submit_operation(project, journal, "replay", target, params=params, who=whoami(), why=why)
