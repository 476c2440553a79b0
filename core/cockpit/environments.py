"""`cockpit.environments`: the state of environments. `cockpit.changes` changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..domain.access.roles import Role
from ..domain.runs import Run
from ..errors import UsageError
from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from pathlib import Path

    from ..domain.delivery import CanaryStatus, Deployment, EnvironmentStatus
    from ..domain.engines.exports import Exported, ExportFormat
    from ..domain.replay import ReplayLimits
    from ..domain.watching import LiveView, Series


class Environments:
    """Reads the state of environments, stops them, and replays requests to a candidate."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self) -> Sequence[EnvironmentStatus]:
        """Returns the status of every environment of podium.yaml, in its order; several engines are asked at once."""
        from ..delivery.status.status import status

        opened, project = self._opened, self._opened.config
        if len(project.environments) < 2:  # most commands know one, and need nothing for several
            return [status(project, opened.journal, each) for each in project.environments.values()]
        from ..delivery.status.of_each import of_each

        return of_each(project, project.environments.values(), lambda each: status(project, opened.journal, each))

    def get(self, name: str) -> EnvironmentStatus:
        """Returns the status of one environment. Raises NotFound if there is none of that name."""
        from ..delivery.status.status import status

        project = self._opened.config
        return status(project, self._opened.journal, project.environment(name))

    def chosen(self, name: str | None) -> str:
        """Returns the environment that is meant by a name, or by none. An empty name is one: a script's variable that
        was not set must not change the default environment. Raises NotFound and what `default` does."""
        return self.default() if name is None else self._opened.config.environment(name).name

    def default(self, model: str | None = None) -> str:
        """Returns the environment to use if none is named, of those that serve the model where one is given: the one
        that carries `champion`. Raises UsageError if that is not exactly one."""
        from ..delivery.environment.history import carries

        project = self._opened.config
        names = [name for name in project.environments if model in (None, project.model_of(name))]
        candidates = [name for name in names if carries(project, name)] or names
        if len(candidates) == 1:
            return candidates[0]
        if not candidates and project.environments:
            raise UsageError(
                f"no environment of podium.yaml serves {model}", hint=f"write `model: {model}` for the one that does"
            )
        if not candidates:
            raise UsageError(
                "podium.yaml has no environments", hint="`environments: {production: {port: 5100}}` is one"
            )
        raise UsageError("more than one environment could be meant", hint=f"name one with -e: {', '.join(candidates)}")

    def model_of(self, environment: str) -> str:
        """Returns the registered model whose versions the environment serves."""
        from ..delivery.environment.history import model_of

        return model_of(self._opened.config, self._opened.journal, environment)

    def history(self, environment: str, *, limit: int = 50) -> Sequence[Deployment]:
        """Returns the ledger of an environment, newest first."""
        return self._opened.journal.ledger.history(environment, limit=limit)

    def series(self, environment: str, signal: str, *, start: float, end: float, points: int) -> Series:
        """Returns one live signal of an environment over time."""
        return self._opened.journal.samples.series(environment, signal, start=start, end=end, points=points)

    def live(self, environment: str, *, start: float, end: float, points: int) -> LiveView:
        """Returns all live signals of an environment over time, with what was deployed meanwhile and which values
        alerts fire beyond."""
        from ..monitoring.live_view import live_view

        return live_view(self._opened.config, self._opened.journal, environment, start, end, points)

    def stop(self) -> Sequence[str]:
        """Stops every proxy and replica of this project; returns what was stopped, in words."""
        from ..delivery.status.status import stop
        from ..engine.roles import ensure_everywhere

        self._opened.require_own()
        project, journal = self._opened.config, self._opened.journal
        ensure_everywhere(project, Role.STOP)
        return [line for environment in project.environments.values() for line in stop(project, journal, environment)]

    def export(self, environment: str, form: ExportFormat, directory: Path) -> Exported:
        """Writes what an environment serves as files for another engine; changes nothing here. Raises NotFound and
        Refused as `core/export/facts.py` says, Unreachable if a file cannot be written."""
        from ..export.write import write

        return write(self._opened.config, self._opened.journal, environment, form, directory)

    # Canaries

    def canary(self, environment: str) -> CanaryStatus | None:
        """Returns the running canary in an environment, from the journal; None when there is none."""
        from ..delivery.rollout.canary import status

        return status(self._opened.journal, environment)

    # Shadow replay

    def replay(self, environment: str, version: int, limits: ReplayLimits, *, why: str = "") -> Run:
        """Sends captured requests to a replica of `version` that has no traffic, beside one of the serving version,
        as a run of its own.

        The report is in the results of its one step, under `report`, whatever its verdict. Raises NotFound if there
        is no such environment.
        """
        from ..delivery.replay.replay_step import parameters
        from ..engine.submit import submit_operation

        self._opened.require_own()
        project, journal = self._opened.current, self._opened.journal
        target = project.environment(environment).name
        params = {"version": str(version), **parameters(limits)}
        return submit_operation(project, journal, "replay", target, params=params, who=whoami(), why=why)
