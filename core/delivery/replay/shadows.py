"""Shadow replicas: one of the candidate and one of the champion, started by the environment's driver for a replay
and ended with it. They have no row in the journal and are not in the proxy, so that they are not counted, healed or
routed to. An environment has one replay at a time and its shadows have fixed names: the markers of the shadows find
what a killed replay left behind.

While shadows may run, the journal notes their environment. Where a replay was killed, or could not end them because
their engine was away, the note stays, and the agent ends them (`sweep`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from types import TracebackType
from typing import Self

from ...domain.delivery import Replica, ReplicaState
from ...domain.project import Project
from ...domain.text.format import count
from ...errors import Interrupted, PodiumError, Refused, RunFailed, Unreachable
from ...journal import Journal
from ...journal.locks import Lock, LockHolder
from .. import drivers
from ..environment.runtime import EnvironmentRuntime
from ..host.paths import private

SIDES = ("champion", "candidate")
_LOCK_PREFIX = "replay on "
_NOTE_PREFIX = "shadows "
_STOP_GRACE = 0.2  # seconds; no client waits for their answers
_SWEEPER, _SWEEPING = "the agent", "ending shadows that a replay left behind"
# How long a replay waits for a sweep that had begun.
_SWEEP_TIMEOUT = 30.0
_POLL_INTERVAL = 0.05


class Shadows:
    """Holds the environment's replay lock while it is open (raises Refused if another replay has it), and ends its
    replicas when it is left. Those that cannot be ended then, `sweep` ends later."""

    def __init__(self, runtime: EnvironmentRuntime, *, who: str, why: str) -> None:
        self._runtime, self._who, self._why = runtime, who, why
        self._lock: Lock | None = None
        self._running: list[Replica] = []
        self._empty: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        runtime, name = self._runtime, _lock_name(self._runtime.name)
        self._wait_for_sweep()
        # Who had the lock before, and loses it to this replay, was killed.
        left = _is_noted(runtime) or runtime.journal.locks.holder(name) is not None
        self._lock = runtime.journal.locks.take(name, self._who, self._why)
        try:
            if left:
                _note(runtime, left=True)
            end_strays(runtime)
            # Hosts that were away before anything was started here have none of it.
            self._empty = frozenset() if left else frozenset(runtime.driver.absent())
            _note(runtime, left=True)
        except BaseException:
            self._lock.release()
            raise
        return self

    def _wait_for_sweep(self) -> None:
        """Waits until a sweep is over that had begun, so that it refuses nobody a replay."""
        locks, deadline = self._runtime.journal.locks, time.monotonic() + _SWEEP_TIMEOUT
        while time.monotonic() < deadline:
            holder = locks.holder(_lock_name(self._runtime.name))
            if holder is None or not holder.alive or (holder.who, holder.why) != (_SWEEPER, _SWEEPING):
                return
            time.sleep(_POLL_INTERVAL)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        with self._lock:
            self._end()

    def start(self, side: str, version: int, digest: str) -> Replica:
        """Starts one side's replica and returns without waiting for its health."""
        runtime = self._runtime
        taken = (
            runtime.journal.replicas.ports()
            | {row.port for row in self._running}
            | {each.port for each in runtime.project.environments.values()}
        )
        port = runtime.driver.port(0, taken)
        row = Replica(
            _id(runtime, side),
            runtime.name,
            version,
            f"shadow-{side}",
            port,
            ReplicaState.STARTING,
            digest=digest,
            started=time.time(),
        )
        known = runtime.version(version)
        spec = drivers.ReplicaSpec(
            id=row.id,
            environment=runtime.name,
            model=runtime.model,
            version=version,
            port=port,
            files=runtime.files.directory(version),
            digest=digest,
            commit=known.commit,
            capture_dir=private(runtime.directory / "shadow"),
            capture_rate=0.0,
            log=runtime.log(row),
            marker=runtime.marker(row.id),
            slot=row.slot,
            mlflow_run=known.mlflow_run,
            run_id=known.run_id,
            shadow=True,
            taken=drivers.addresses_beside(row.id, runtime.replicas()),
        )
        runtime.log(row).unlink(missing_ok=True)
        row = runtime.driver.start(spec).written_to(row)
        self._running.append(row)
        runtime.say(f"started a shadow of version {version}, the {side}: it gets no traffic")
        return row

    def wait(self) -> None:
        """Waits until all replicas answer /ping. Raises RunFailed with the end of the log if one ends or takes
        longer than `health_timeout`."""
        runtime, deadline = self._runtime, time.monotonic() + self._runtime.environment.health_timeout
        for row in self._running:
            while not runtime.lifecycle.healthy(row):
                if not runtime.driver.alive(row):
                    report = runtime.lifecycle.failure_report(row)
                    raise RunFailed(
                        f"the shadow of version {row.version} ended while it was starting.{report}",
                        hint=f"its log: {runtime.log(row)}",
                    )
                if time.monotonic() > deadline:
                    text = (
                        f"the shadow of version {row.version} is not healthy after"
                        f" {runtime.environment.health_timeout:g} s."
                    )
                    raise RunFailed(
                        f"{text}{runtime.lifecycle.failure_report(row)}", hint=f"its log: {runtime.log(row)}"
                    )
                time.sleep(0.05)

    def _end(self) -> None:
        """Ends the replicas. That some cannot be ended now is said, and is no reason to lose what was measured."""
        for row in self._running:
            with contextlib.suppress(PodiumError):
                self._runtime.driver.stop(row, grace=_STOP_GRACE)
        try:
            # The interruption may have come between the start of a replica and its entry here.
            end_all(self._runtime, empty=self._empty - {row.host for row in self._running})
        except Interrupted:
            raise
        except PodiumError as error:
            self._runtime.say(f"{error.message}; the agent ends them later, or the next replay does")


def _id(runtime: EnvironmentRuntime, side: str) -> str:
    return f"{runtime.name}-shadow-{side}"


def _lock_name(environment: str) -> str:
    return f"{_LOCK_PREFIX}{environment}"


def _is_noted(runtime: EnvironmentRuntime) -> bool:
    return runtime.journal.values.get(f"{_NOTE_PREFIX}{runtime.name}") is not None


def _note(runtime: EnvironmentRuntime, *, left: bool) -> None:
    """Notes that the environment may have shadows, or that it has none."""
    runtime.journal.values.set(f"{_NOTE_PREFIX}{runtime.name}", "may run" if left else None)


def end_strays(runtime: EnvironmentRuntime) -> int:
    """Ends shadows that no replay uses, wherever something answers, and returns how many. The caller has the replay
    lock."""
    return sum(runtime.driver.stop_lost(runtime.marker(_id(runtime, side))) for side in SIDES)


def end_all(runtime: EnvironmentRuntime, *, empty: Collection[str] = ()) -> int:
    """Does the same, and notes that there are none any more. Raises Unreachable, and leaves the note, if some may be
    left: the engine does not answer, or a host that is none of `empty`."""
    before = set(runtime.driver.absent())  # one that comes back meanwhile was asked for a part of them only
    try:
        ended = end_strays(runtime)
    except Interrupted:
        raise
    except PodiumError as error:
        raise Unreachable(
            f"shadows of a replay on {runtime.name} could not be ended: {error.message}", hint=error.hint
        ) from error
    away = sorted((before | runtime.driver.absent().keys()) - set(empty))
    if away:
        raise Unreachable(
            f"shadows of a replay on {runtime.name} may be left on {', '.join(away)}, where nothing answers",
            hint="check that the machines are running",
        )
    _note(runtime, left=False)
    return ended


def sweep(project: Project, journal: Journal) -> list[str]:
    """Ends what killed replays left behind, and others could not end, and returns descriptions of it. Costs a read of
    the locks and one of the notes if there is nothing. Raises the first error if nothing could be done."""
    done: list[str] = []
    failed: PodiumError | None = None
    for name, killed in _left_behind(journal).items():
        try:
            done += _sweep(project, journal, name, killed)
        except Interrupted:
            raise
        except PodiumError as error:
            failed = failed or error
    if failed is not None and not done:
        raise failed
    return done


def _left_behind(journal: Journal) -> dict[str, LockHolder | None]:
    """Returns the environments that may have shadows and where no replay runs, with the holder of the lock, if that was
    killed."""
    holders = {each.name: each for each in journal.locks.all() if each.name.startswith(_LOCK_PREFIX)}
    names = {key.removeprefix(_NOTE_PREFIX) for key in journal.values.all(_NOTE_PREFIX)}
    names |= {each.removeprefix(_LOCK_PREFIX) for each in holders}
    found = {name: holders.get(_lock_name(name)) for name in sorted(names)}
    return {name: holder for name, holder in found.items() if holder is None or not holder.alive}


def _sweep(project: Project, journal: Journal, name: str, killed: LockHolder | None) -> list[str]:
    """Ends the shadows of one environment. A replay that began meanwhile has the lock, and ends them itself."""
    config = project.environments.get(name)
    if config is None:  # nobody knows where its engine is; the note stays for the day when podium.yaml has it again
        if killed is None:
            return []
        journal.locks.give_back(killed)
        return [f"{name}: a replay was killed, and podium.yaml has the environment no longer"]
    try:
        lock = journal.locks.take(_lock_name(name), _SWEEPER, _SWEEPING)
    except Refused:
        return []
    with lock:
        runtime = EnvironmentRuntime(project, journal, config)
        if not _is_noted(runtime):  # by the lock alone, as of an earlier version of Podium
            _note(runtime, left=True)
        ended = end_all(runtime)
    if killed is not None:
        return [f"{name}: a replay was killed; {ended} of its shadow replicas were ended"]
    return [f"{name}: ended {count(ended, 'shadow replica')} that a replay left behind"] if ended else []
