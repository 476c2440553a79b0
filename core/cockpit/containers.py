"""`cockpit.containers`: containers on engines, images, shells, logs and usage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import plugins
from ..domain.containers import USAGE, EngineSnapshot, Image, usage_series
from .opened import OpenProject

if TYPE_CHECKING:
    from ..delivery.environment.replica_logs import LogFollower
    from ..domain.engines.shells import ShellSession
    from ..domain.plans import Plan
    from ..domain.watching import Series


class Containers:
    """Reads the engines' last snapshots from the journal, which is cheap and works while an engine does not answer;
    `look`, shells and logs ask the engines."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def environments(self) -> tuple[str, ...]:
        """Returns the names of the environments that an engine serves; the others have no containers."""
        return tuple(
            one.name
            for one in self._opened.config.environments.values()
            if plugins.driver_capabilities(one.driver).engine
        )

    def snapshots(self) -> Sequence[EngineSnapshot]:
        """Returns the last snapshot of each environment with containers; the agent takes one whenever something
        changes."""
        from ..attention import snapshots

        return snapshots(self._opened.config, self._opened.journal)

    def look(self, environment: str) -> EngineSnapshot | None:
        """Returns the current snapshot of an environment's engine: the agent's if it follows the engine, else the
        engine is asked. Returns None if no engine serves the environment, and a snapshot with a message if the
        engine does not answer."""
        from ..delivery.environment.observed import snapshot
        from ..delivery.environment.runtime import EnvironmentRuntime

        found = self._opened.config.environment(environment)
        return snapshot(EnvironmentRuntime(self._opened.config, self._opened.journal, found))

    # Images

    def images(self, model: str | None = None) -> Sequence[Image]:
        """Returns the serving images of every version on every engine, the newest version first."""
        return self._opened.journal.images.of(model or self._opened.config.mlflow.model)

    # Shells

    def shell(self, environment: str, name: str, *, confirmed: str = "") -> ShellSession:
        """Opens a shell in a running container of an environment: a replica's id, a container's name, or `proxy`.
        Loads Docker; the caller closes the session. Raises Refused as `shell_command` does."""
        self._opened.require_own()
        self._agreed_shell(environment, name, confirmed)
        from ..delivery.environment.replica_shell import open_shell
        from ..delivery.environment.runtime import EnvironmentRuntime

        found = self._opened.config.environment(environment)
        return open_shell(EnvironmentRuntime(self._opened.config, self._opened.journal, found), name)

    def shell_command(
        self, environment: str, name: str, *, program: Sequence[str], confirmed: str = ""
    ) -> Sequence[str]:
        """Returns the command that opens that shell on a terminal of its own. `program` starts Podium's command
        line, which the front end knows. Raises Refused if the environment is protected and `confirmed` is not its
        name."""
        self._opened.require_own()
        agreed = self._agreed_shell(environment, name, confirmed)
        confirm = ["--confirm", confirmed] if agreed.type_to_confirm else []
        return [*program, "-C", str(self._opened.home), "shell", *confirm, "-e", environment, name]

    def _agreed_shell(self, environment: str, name: str, confirmed: str) -> Plan:
        from ..changes import ensure_agreed, plan

        found = plan(self._opened.config, self._opened.journal, "shell", environment, name=name)
        ensure_agreed(found, confirmed=confirmed)
        return found

    # Logs and usage

    def follow_logs(self, environment: str, *, replica: str = "", tail: int | None = None) -> LogFollower:
        """Returns the logs of an environment's replicas as one, kept up to date until it is closed; `tail` is how
        many of the newest lines of each come first."""
        from ..delivery.environment.replica_logs import LogFollower

        found = self._opened.config.environment(environment)
        return LogFollower(self._opened.config, self._opened.journal, found, only=replica, tail=tail)

    def log(self, environment: str, replica: str) -> Path:
        """Returns the path of the log of a replica (or of the proxy), which may not exist yet."""
        from ..delivery.host.paths import safe

        return self._opened.config.state / "environments" / safe(environment) / f"{safe(replica)}.log"

    def usage(
        self, environment: str, containers: Collection[str], *, start: float, end: float, points: int
    ) -> dict[str, dict[str, Series]]:
        """Returns {container: {signal: series}} of the resources that the containers of an environment used;
        `domain.containers.USAGE` names the signals."""
        series = self._opened.journal.samples.series
        return {
            name: {
                signal: series(usage_series(environment, name), signal, start=start, end=end, points=points)
                for signal in USAGE
            }
            for name in containers
        }
