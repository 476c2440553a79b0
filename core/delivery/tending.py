"""Bringing back what has died: replicas with their weight, and the proxy. For callers that hold the environment (guard.py)."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from ..domain.delivery import Replica, ReplicaState
from .site import Site, noted

# A replica that lives but fails its health check for this long is ended and started again.
_HUNG_SECONDS = 20
_STABLE_SECONDS = 60.0
_LONGEST_PAUSE = 60.0


def tend(site: Site, *, skip: Collection[str] = ()) -> list[str]:
    """What was done, in words; empty when all was well, and then nothing was written. `skip` are ids that somebody else looks after."""
    rows = [row for row in site.replicas() if row.id not in skip and row.state is not ReplicaState.STOPPED]
    done = _tend_proxy(site)
    servers = [stat for stat in site.proxy.stats() if stat.kind == "server"]
    down = {stat.name for stat in servers if stat.status.startswith("DOWN") and stat.lasting > _HUNG_SECONDS}
    for row in rows:
        done += _tend_replica(site, row, hung=row.slot in down)
    if rows and (done or _drifted(site)):
        site.sync()
    return done


def _tend_proxy(site: Site) -> list[str]:
    if site.proxy.whole() or not any(row.state is not ReplicaState.STOPPED for row in site.replicas()):
        return []
    part = "an instance of the proxy" if site.proxy.alive() else "the proxy"
    site.sync()
    return [f"{site.name}: {part} was gone; started it again"]


def _tend_replica(site: Site, row: Replica, *, hung: bool) -> list[str]:
    if site.driver.alive(row):
        found = site.driver.whereabouts(row)
        if found != row.address:
            site.journal.replicas.put(replace(row, address=found))
            return [f"{site.name}: {row.id} was started again and is now at {found}"]
        if row.state is ReplicaState.STARTING:
            return _starting(site, row)
        lived = time.time() - (row.started or 0.0)
        if not (hung and lived > _HUNG_SECONDS and row.state is not ReplicaState.DRAINING and not site.healthy(row)):
            return []
        site.driver.stop(row, grace=1.0)
        return [*_again(site, row), f"{site.name}: {row.id} lived but did not answer"]
    if site.driver.returning(row):
        return []
    if not noted(row) and row.state is ReplicaState.STARTING and time.time() - (row.started or 0.0) < 1.0:
        return []
    return _again(site, row) if time.time() >= _not_before(row) else []


def _starting(site: Site, row: Replica) -> list[str]:
    if site.healthy(row, timeout=0.3):
        site.driver.trust(row)
        site.journal.replicas.put(replace(row, state=ReplicaState.READY if row.weight else ReplicaState.WARM))
        return [f"{site.name}: {row.id} is healthy again"]
    if time.time() - (row.started or 0.0) > site.environment.health_timeout:
        site.driver.stop(row, grace=1.0)
    return []


def _again(site: Site, row: Replica) -> list[str]:
    stable = row.started is not None and time.time() - row.started > _STABLE_SECONDS
    site.proxy.fell(row.slot)
    site.launch(replace(row, restarts=1 if stable else row.restarts + 1))
    return [f"{site.name}: {row.id} was gone; started it again"]


def _not_before(row: Replica) -> float:
    """One that dies again and again is started ever more seldom: at once, at once, then after 2, 4, 8 … 60 s."""
    pause = 0.0 if row.restarts < 2 else min(_LONGEST_PAUSE, 2.0 ** (row.restarts - 1))
    return (row.started or 0.0) + pause


def _drifted(site: Site) -> bool:
    """Whether the proxy does something else than the rows say."""
    wanted = {server.slot: (server.weight, server.at) for server in site.layout().servers}
    for stats in site.proxy.readings().values():
        servers = [stat for stat in stats if stat.kind == "server" and not stat.status.startswith("MAINT")]
        if servers and {stat.name: (stat.weight, stat.address) for stat in servers} != wanted:
            return True
    return False
