"""Heals an environment: replicas that died are started again, with their weight, and so is the proxy."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from ...clock import elapsed
from ...domain.delivery import Replica, ReplicaState
from ...domain.project import Environment, Project
from ...journal import Journal
from ...signatures.allowed import Unsigned
from ..drivers import noted_absent
from ..proxy.haproxy import ServerStat
from ..proxy.proxy import together
from . import halted, late, restarts
from .history import stopped
from .lifecycle import noted
from .lock import healing
from .runtime import EnvironmentRuntime

# A replica that runs but fails its health check for this long is stopped and started again.
HUNG_SECONDS = 20
# One that has run for this long counts as stable: its restarts are counted from one again.
STABLE_SECONDS = 60.0
MAX_RESTART_DELAY = 60.0
# How long a replica without a process or container in its row may be one that is being started at this moment.
START_GRACE = 1.0


def heal_environment(project: Project, journal: Journal, environment: Environment) -> list[str]:
    """Heals an environment unless an operation changes it or a person stopped it; returns what was done, in words."""
    name = environment.name
    if not journal.replicas.of(name) and not late.unwanted(journal, name) and not noted_absent(journal, name):
        return []
    runtime = EnvironmentRuntime(project, journal, environment)
    if environment.hosts and stopped(journal, name) is None:
        runtime.driver.equip(runtime.replicas())  # nobody who wants to roll back waits for an image on its way
    with healing(journal, runtime.directory, environment.name) as allowed:
        if not allowed:
            return []
        done = late.end_late(runtime)
        # Asked while it is held: a stop that was carried out a moment ago is seen.
        if stopped(journal, name) is None and runtime.replicas():
            return [*done, *heal(runtime)]
        # What was stopped while a host was away ends there when it answers again.
        return [*done, *(runtime.driver.tend(runtime.replicas(), runtime.traffic.layout) if environment.hosts else [])]


def heal(runtime: EnvironmentRuntime, *, skip: Collection[str] = ()) -> list[str]:
    """Starts again what died; the caller holds the environment (`lock.py`). Returns what was done, in words; empty
    when all was well, and then nothing was written. `skip` are ids of replicas that the caller waits for itself."""
    done = runtime.driver.tend(runtime.replicas(), runtime.traffic.layout)
    rows = [row for row in runtime.replicas() if row.id not in skip and row.state is not ReplicaState.STOPPED]
    done += _heal_proxy(runtime)
    readings = runtime.proxy.readings()
    done += halted.end_silent(runtime, readings)
    servers = [stat for stat in together(readings) if stat.kind == "server"]
    down = {stat.name for stat in servers if stat.status.startswith("DOWN") and stat.lasting > HUNG_SECONDS}
    for row in rows:
        done += _heal_replica(runtime, row, hung=row.slot in down)
    # While nothing was done, what was read a moment ago is what there is.
    if rows and (done or runtime.proxy.drifted(runtime.traffic.layout(), readings)):
        runtime.traffic.sync()
    elif drained := _drained(runtime, servers):
        return drained
    return [*done, *(_renew(runtime) if rows else [])]


def _drained(runtime: EnvironmentRuntime, servers: Collection[ServerStat]) -> list[str]:
    """Notes as warm what lost its traffic and has answered all it had: an undo that was cut short itself left it."""
    left = [row for row in runtime.replicas() if row.state is ReplicaState.DRAINING and not row.weight]
    if not left or any(row.environment == runtime.name for row in runtime.journal.ledger.open()):
        return []
    busy = {stat.name for stat in servers if stat.sessions}
    rest = [row for row in left if row.slot not in busy]
    for row in rest:
        runtime.journal.replicas.put(replace(row, state=ReplicaState.WARM))
    return [f"{runtime.name}: {row.id} has answered its last request, and is warm" for row in rest]


def _renew(runtime: EnvironmentRuntime) -> list[str]:
    """Gives the proxy a renewed certificate, and the tokens that were made or removed meanwhile."""
    front = runtime.traffic.layout().front
    if front.plain or runtime.proxy.secured(front):
        return []
    runtime.proxy.secure(front)
    return [f"{runtime.name}: the proxy has the certificate and tokens of now"]


def _heal_proxy(runtime: EnvironmentRuntime) -> list[str]:
    if runtime.proxy.whole() or not any(row.state is not ReplicaState.STOPPED for row in runtime.replicas()):
        return []
    part = "an instance of the proxy" if runtime.proxy.alive() else "the proxy"
    runtime.traffic.sync()
    return [f"{runtime.name}: {part} was gone; started it again"]


def _heal_replica(runtime: EnvironmentRuntime, row: Replica, *, hung: bool) -> list[str]:
    if runtime.environment.hosts and (gone := _elsewhere(runtime, row)) is not None:
        return gone
    if runtime.driver.displaced(row):
        runtime.proxy.fell(row.slot)  # a machine that is only frozen takes requests, and answers none
    if runtime.driver.alive(row):
        if runtime.driver.cut_off(row):
            return _connect(runtime, row)
        found = runtime.driver.current_address(row)
        if found != row.address:
            runtime.journal.replicas.put(replace(row, address=found))
            return [f"{runtime.name}: {row.id} was started again and is now at {found}"]
        if row.state is ReplicaState.STARTING:
            return _check_starting(runtime, row)
        lived = _lived(row)
        if not (hung and lived > HUNG_SECONDS and row.state is not ReplicaState.DRAINING):
            return _forget(runtime, row, lived)
        return _replace(runtime, row)
    if runtime.driver.is_restarting(row):
        return []
    if not noted(row) and row.state is ReplicaState.STARTING and _lived(row) < START_GRACE:
        return []
    return _restart(runtime, row) if _lived(row) >= _pause(row) else []


def _connect(runtime: EnvironmentRuntime, row: Replica) -> list[str]:
    """Also one without traffic: another replica might get its address, and a rollback would find that there."""
    runtime.driver.connect(row)
    found = runtime.driver.current_address(row)
    if found != row.address:
        runtime.journal.replicas.put(replace(row, address=found))
    return [f"{runtime.name}: {row.id} was cut off from its network; connected it again"]


def _elsewhere(runtime: EnvironmentRuntime, row: Replica) -> list[str] | None:
    """Starts a replica elsewhere whose host does not answer for long enough, or is none of the environment's any more.
    Returns None for one whose host answers."""
    absent = runtime.driver.absent().get(row.host)
    named = {host.name for host in runtime.environment.hosts}
    if absent is None and (not row.host or row.host in named):
        return None
    if absent is not None:
        after = runtime.environment.replace
        if after is None or elapsed(absent.since, time.time()) < after:
            return []
        words = f"was on {row.host}, which does not answer"
    else:
        words = f"was on {row.host}, which is none of its hosts any more"
    return _launch(runtime, replace(row, address="", container="", restarts=0), words)


def _check_starting(runtime: EnvironmentRuntime, row: Replica) -> list[str]:
    if runtime.lifecycle.healthy(row, timeout=0.3):
        runtime.driver.enable_restart(row)
        runtime.journal.replicas.put(replace(row, state=ReplicaState.READY if row.weight else ReplicaState.WARM))
        return [f"{runtime.name}: {row.id} is healthy again"]
    if _lived(row) > runtime.environment.health_timeout:
        runtime.driver.stop(row, grace=1.0)
    return []


def _replace(runtime: EnvironmentRuntime, row: Replica) -> list[str]:
    """Stops a replica that runs and cannot predict, and starts it again."""
    reason = runtime.lifecycle.complaint(row)
    if not reason:
        return []
    runtime.driver.stop(row, grace=1.0)
    return _launch(runtime, row, f"was stopped: {reason}")


def _restart(runtime: EnvironmentRuntime, row: Replica) -> list[str]:
    ending = runtime.driver.ending(row, runtime.log(row)) if noted(row) else ""
    return _launch(runtime, row, f"was gone: {ending}" if ending else "was gone")


def _launch(runtime: EnvironmentRuntime, row: Replica, what: str) -> list[str]:
    stable = row.started is not None and _lived(row) > STABLE_SECONDS
    times = restarts.note(runtime.directory, row.id)
    often = f" ({times} times in the last hour)" if times > 1 else ""
    runtime.proxy.fell(row.slot)
    again = replace(row, restarts=1 if stable else row.restarts + 1)
    try:
        runtime.lifecycle.launch(again, message=f"it {what}{often}")
    except Unsigned as error:
        return _left(runtime, again, error.message)
    return [f"{runtime.name}: {row.id} {what}; started it again{often}"]


def _left(runtime: EnvironmentRuntime, row: Replica, why: str) -> list[str]:
    """Leaves a replica dead whose version may not be served any more; others are healed all the same. It is looked at
    again after the usual pause."""
    said = row.message == why
    runtime.journal.replicas.put(replace(row, started=time.time(), message=why))
    return [] if said else [f"{runtime.name}: {row.id} is not started again: {why}"]


def _forget(runtime: EnvironmentRuntime, row: Replica, lived: float) -> list[str]:
    """Takes what is said of a restart out of the row of a replica that has lived long enough since."""
    if row.message and lived > restarts.WINDOW_SECONDS:
        runtime.journal.replicas.put(replace(row, message=""))
    return []


def _lived(row: Replica) -> float:
    """Returns how many seconds ago it was started."""
    return elapsed(row.started or 0.0, time.time())


def _pause(row: Replica) -> float:
    """Returns how long after its last start a dead replica may be started: at once, at once, then 2, 4, 8 … 60 s."""
    return 0.0 if row.restarts < 2 else min(MAX_RESTART_DELAY, 2.0 ** (row.restarts - 1))
