"""The agent's jobs besides pushes: one small class per job, called repeatedly with the project and a journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import reserve
from ..containers.observe.by_engine import ByEngine
from ..domain.project import Environment, Project
from ..domain.runs import RunState
from ..domain.watching import Sample
from ..errors import PodiumError, Refused
from ..journal import Journal
from ..monitoring.signals import Sampler
from . import schedules
from .troubles import note

if TYPE_CHECKING:
    from ..alerts.sender import Sender as Notifier
    from ..delivery.environment.halted import Halted
    from ..hosting.sender import Sender

Say = Callable[[str], None]


class Scheduling:
    """Starts the runs whose cron time has come. While podium.yaml cannot be used (`error`) they wait."""

    def __init__(self, say: Say, error: Callable[[], PodiumError | None] = lambda: None) -> None:
        self._say, self._error = say, error

    def __call__(self, project: Project, journal: Journal) -> None:
        if self._error() is not None:
            return
        now = time.time()
        for pipeline in schedules.due(project, journal, now):
            schedules.start(project, journal, pipeline, now, self._say)


class Recovery:
    """Finds runs and rollouts whose process is gone; marks the runs interrupted and finishes or undoes the rollouts."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..delivery.rollout.recovery import recover as recover_rollouts
        from ..engine.recovery import recover as recover_runs

        for run in recover_runs(journal):
            self._say(f"run {run}: its worker is gone; marked interrupted, continue it with `podium resume {run}`")
        for line in recover_rollouts(project, journal):
            self._say(line)


class Reserve:
    """Keeps room for what has to go on when the disk is full."""

    def __call__(self, project: Project, journal: Journal) -> None:
        reserve.keep(project.state)


class Anchoring:
    """Keeps the audit's head outside of the journal, where podium.yaml names a place. Asked to first when there is
    something new."""

    def __init__(self, say: Say) -> None:
        self._say, self._failed = say, ""

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..anchoring import anchoring

        if not anchoring.due(project, journal):
            return
        try:
            anchoring.anchor(project, journal, "the agent")
        except PodiumError as error:
            if error.message != self._failed:
                self._say(f"the audit is not anchored: {error.message}")
            self._failed = error.message
            note(journal, "audit anchor", error.message)
            return
        if self._failed:
            self._failed = ""
        note(journal, "audit anchor", "")


class ExpiredPlans:
    """Removes saved plans of infrastructure that have expired: they hold secrets."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        if not project.infra:
            return
        from ..infra.saved import remove_expired

        for name in remove_expired(project.state, time.time()):
            self._say(f"the plan of {name} has expired, and is removed")


class KeptCommits:
    """Releases the commits of runs that are over: workers do that themselves, except those that were killed. While no
    run becomes another one, git is not asked."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, RunState]] | None = None

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..engine.run.checkout import release_ended

        seen = [(run.id, run.state) for run in journal.runs.page(limit=100)]
        if seen != self._seen:
            release_ended(project.home, journal)
            self._seen = seen


class StepCleanup:
    """Removes step containers that nothing needs any more, in a separate process."""

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..engine.container_cleanup import tidy

        tidy(project)


class ShadowCleanup:
    """Ends the shadow replicas of replays that were killed. It is a job of its own, so that an engine that does not
    answer delays nothing else."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..delivery.replay.shadows import sweep

        for line in sweep(project, journal):
            self._say(line)


class Healing:
    """Restarts replicas and proxies that have died. An environment whose engine does not answer is reported once and
    does not delay the others."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._trouble: dict[str, str] = {}
        self._each = ByEngine(self._heal)

    def __call__(self, project: Project, journal: Journal) -> None:
        self._each(project, journal)
        for name in self._trouble.keys() - project.environments.keys():
            del self._trouble[name]
            note(journal, name, "")

    def _heal(self, project: Project, journal: Journal, environment: Environment) -> None:
        from ..delivery.environment.healing import heal_environment

        name = environment.name
        try:
            lines = heal_environment(project, journal, environment)
        except (PodiumError, OSError) as error:
            if released := reserve.release(project.state):
                self._say(released)
            if self._trouble.get(name) != str(error):
                self._say(f"{name}: {error}")
            note(journal, name, f"it cannot be healed: {error}")
            self._trouble[name] = str(error)
            return
        if self._trouble.pop(name, ""):
            self._say(f"{name}: healing works again")
            note(journal, name, "")
        for line in lines:
            self._say(line)


class Leases:
    """Renews the leases of proxies on several hosts, beside whatever changes their environments."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._trouble: dict[str, str] = {}
        self._each = ByEngine(self._renew)

    def __call__(self, project: Project, journal: Journal) -> None:
        self._each(project, journal)

    def _renew(self, project: Project, journal: Journal, environment: Environment) -> None:
        from ..delivery.environment.leases import leased, renew

        name = environment.name
        if not leased(environment):
            return
        try:
            renew(project, journal, environment)
        except (PodiumError, OSError) as error:
            if self._trouble.get(name) != str(error):
                self._say(f"{name}: leases cannot be renewed: {error}")
            self._trouble[name] = str(error)
        else:
            self._trouble.pop(name, None)


class EndingHalted:
    """Ends processes of environments that are found stopped twice in a row, so that their connections go elsewhere."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._seen: dict[str, Halted] = {}

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..delivery.environment import halted

        seen, self._seen = self._seen, {}
        for name, environment in project.environments.items():
            found = self._seen[name] = halted.halted(project, journal, environment)
            again = {each: what for each, what in found.items() if each in seen.get(name, {})}
            for line in halted.end(environment, again):
                self._say(line)


class Sampling:
    """Measures each environment that has a deployment."""

    def __init__(self) -> None:
        self._samplers: dict[str, Sampler] = {}
        self._samples: list[Sample] = []
        self._each = ByEngine(self._measure)

    def __call__(self, project: Project, journal: Journal) -> None:
        self._each(project, journal)
        if samples := [self._samples.pop() for _ in range(len(self._samples))]:
            journal.samples.add(samples)

    def _measure(self, project: Project, journal: Journal, environment: Environment) -> None:
        from ..delivery.environment.runtime import EnvironmentRuntime

        name = environment.name
        replicas = journal.replicas.of(name)
        if not replicas:
            self._samplers.pop(name, None)
            return
        sampler = self._samplers.setdefault(name, Sampler(name))
        runtime = EnvironmentRuntime(project, journal, environment)
        try:
            answer = runtime.proxy.totals()
        except PodiumError:
            return  # the engine is away: healing, which cannot do without it, says so
        self._samples += sampler.sample(answer, replicas, transport=runtime.transport)


class Monitoring:
    """Evaluates the monitors whose time has come: those that read no rows (`light`), or those that do, of which one may
    take minutes."""

    def __init__(self, say: Say, *, light: bool, infra: bool = False) -> None:
        self._say, self._light, self._infra = say, light, infra

    def __call__(self, project: Project, journal: Journal) -> None:
        if project.monitors:
            from ..monitoring.evaluate import evaluate_due

            evaluate_due(project, journal, self._say, light=self._light, infra=self._infra)


class RegistrySnapshots:
    """Keeps the journal's snapshot of the registry up to date, in a separate process if MLflow would have to be
    loaded.

    A SQLite store is read once it has not changed between two checks: writers write several times in a row, and
    Podium's own steps refresh the snapshot themselves.
    """

    def __init__(self) -> None:
        self._last: str | None = None

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..registry import tables
        from ..registry.snapshot import refresh_apart, stale

        if not stale(project, journal):
            return
        found = tables.digest(project.mlflow)
        if found is not None and found != self._last:
            self._last = found
            return
        refresh_apart(project, journal)


class Telling:
    """Tells the Git host what has changed. What tells is loaded when a host is named, and not before."""

    def __init__(self) -> None:
        self._sender: Sender | None = None

    def __call__(self, project: Project, journal: Journal) -> None:
        if self._sender is None:
            if project.git.host is None and not journal.telling.active():
                return
            from ..hosting.sender import Sender

            self._sender = Sender()
        self._sender(project, journal)

    def close(self) -> None:
        """Ends the connection to the host."""
        if self._sender is not None:
            self._sender.close()


class Alerting:
    """Brings the alerts up to date with what was measured, and notes who has to be told."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..alerts.evaluate import evaluate
        from ..alerts.telling import tell

        journal.silences.correct(time.time())
        for event in evaluate(project, journal, time.time()):
            if event.state in ("firing", "resolved"):
                value = "" if event.value is None else f": {event.shown}, fires {event.threshold}"
                self._say(f"alert {event.name} on {event.environment} {event.state}{value}")
        tell(project, journal, time.time())


class FeedingBack:
    """Starts what alerts start, and follows it to whether it helped. While podium.yaml cannot be used (`error`) nothing
    is started."""

    def __init__(self, say: Say, error: Callable[[], PodiumError | None] = lambda: None) -> None:
        self._say, self._error = say, error

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..feedback.loop import look

        if self._error() is None:
            look(project, journal, time.time(), self._say)


class Notifying:
    """Sends messages about alerts to the sinks. What sends is loaded when there is a sink, or when a message waits for
    one that is gone, and not before."""

    def __init__(self) -> None:
        self._sender: Notifier | None = None

    def __call__(self, project: Project, journal: Journal) -> None:
        if self._sender is None:
            from ..alerts.telling import PREFIX

            if not project.notify.sinks and not journal.outbox.waits(PREFIX):
                return
            from ..alerts.sender import Sender

            self._sender = Sender()
        self._sender(project, journal)


class Compaction:
    """Thins out old samples and measurements, so that the journal's size is bounded."""

    def __call__(self, project: Project, journal: Journal) -> None:
        journal.samples.compact(time.time(), project.retain.samples)
        journal.measurements.thin_out(time.time())


class Retention:
    """Removes in the night what `retain:` has no use for any more. What could not be removed is told once, until it is
    another thing."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._trouble = ""

    def __call__(self, project: Project, journal: Journal) -> None:
        from ..retention.prune import Nightly, prune_nightly

        now = time.time()
        night = Nightly(project, journal)
        try:
            if not night.due(now):
                return
        except Refused as error:
            self._say(f"retention: {error}; {error.hint}")
            note(journal, "retention", error.message)
            return
        done, troubles = prune_nightly(project, journal, schedules.WHO, now)
        night.done(now)
        if done:
            self._say(f"retention: removed {', '.join(f'{each.entries} of {each.kind}' for each in done)}")
        if troubles and troubles[0] != self._trouble:
            self._say(f"retention: {troubles[0]}")
        self._trouble = troubles[0] if troubles else ""
        note(journal, "retention", self._trouble)
