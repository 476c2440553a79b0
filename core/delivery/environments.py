"""What an environment serves and whether everything agrees about it; and the end of it. Reads the journal, /proc and the proxy's socket only."""

from __future__ import annotations

from ..domain.delivery import Deployment, EnvironmentStatus, Replica, ReplicaState
from ..domain.models import CHAMPION
from ..domain.project import Environment, Project
from ..journal import Journal
from ..journal.identity import whoami
from . import past, proxy
from .guard import lock_name
from .site import Say, Site, quiet

_ROLLBACK_SECONDS = 0.5
_START_SECONDS = 5.0


def status(project: Project, journal: Journal, environment: Environment) -> EnvironmentStatus:
    """Everything a screen shows about one environment, in a few milliseconds."""
    site = Site(project, journal, environment)
    current = journal.ledger.current(environment.name)
    serving = current.to_version if current else None
    replicas = tuple(_seen(site, replica) for replica in site.replicas())
    holder = journal.locks.holder(lock_name(environment.name))
    back = past.good_before(project, journal, environment.name)
    seconds, note = _readiness(site, back, replicas)
    return EnvironmentStatus(
        name=environment.name,
        driver=environment.driver,
        url=f"http://{f'[{environment.bind}]' if ':' in environment.bind else environment.bind}:{environment.port}",
        protected=environment.protected,
        carries=past.carries(project, environment.name),
        strategy=environment.strategy.kind,
        serving=serving,
        previous=next(iter(past.earlier(journal, environment.name)), None),
        deployment=current,
        replicas=replicas,
        differences=tuple(_differences(site, serving, replicas, busy=holder is not None and holder.alive)),
        rollback_to=back,
        rollback_seconds=seconds,
        rollback_note=note,
        proxy_alive=proxy.alive(site.directory),
        locked_by=str(holder) if holder is not None and holder.alive else "",
    )


def history(journal: Journal, environment: str, *, limit: int = 50) -> list[Deployment]:
    """The ledger of an environment, newest first."""
    return journal.ledger.history(environment, limit=limit)


def stop(project: Project, journal: Journal, environment: Environment, *, say: Say = quiet) -> list[str]:
    """End the proxy and every replica of an environment, and forget them; what was stopped, in words. Refused while something changes it.

    The ledger keeps saying what was served: the next deploy or promote starts it again.
    """
    site = Site(project, journal, environment, say=say)
    stopped: list[str] = []
    with journal.locks.take(lock_name(environment.name), whoami(), "stop"):
        if proxy.stop(site.directory):
            stopped.append(f"the proxy of {environment.name}")
        for replica in site.replicas():
            site.retire([replica], grace=2.0)
            stopped.append(replica.id)
        # Taking a replica out tells the proxy its new weights, and starts it for that where it does not run.
        proxy.stop(site.directory)
        if stopped:
            journal.audit.add(whoami(), "stop", environment.name, ", ".join(stopped))
    return stopped


def _seen(site: Site, replica: Replica) -> Replica:
    """The row, with the state dead when its process is gone."""
    from dataclasses import replace

    return replica if site.driver.alive(replica) else replace(replica, state=ReplicaState.DEAD)


def _readiness(site: Site, back: int | None, replicas: tuple[Replica, ...]) -> tuple[float | None, str]:
    """(expected seconds until it takes traffic, why) for the version that a rollback brings back."""
    if back is None:
        return None, "there is no earlier version to go back to"
    if _warm(site, back, replicas):
        return past.typical_seconds(site.journal, site.name, "traffic_seconds", _ROLLBACK_SECONDS), f"version {back} is warm"
    start = past.typical_seconds(site.journal, site.name, "start_seconds", _START_SECONDS)
    if site.fetched(back):
        return start + _ROLLBACK_SECONDS, f"version {back} has to be started first"
    return start + _ROLLBACK_SECONDS + 2.0, f"version {back} has to be fetched and started first"


def _warm(site: Site, version: int, replicas: tuple[Replica, ...]) -> bool:
    ready = [r for r in replicas if r.version == version and r.state in (ReplicaState.WARM, ReplicaState.READY, ReplicaState.DRAINING)]
    return len(ready) >= site.environment.replicas


def _differences(site: Site, serving: int | None, replicas: tuple[Replica, ...], *, busy: bool) -> list[str]:
    """In words, where ledger, replicas, proxy and aliases disagree. While a change is under way only what it does not explain."""
    found = [] if busy else _interrupted(site)
    if serving is None and not replicas:
        return found
    found += _replica_differences(site, serving, replicas, busy=busy)
    found += _proxy_differences(site, replicas, busy=busy)
    if not busy and serving is not None:
        found += _alias_differences(site, serving)
    return found


def _interrupted(site: Site) -> list[str]:
    rows = [row for row in site.journal.ledger.open() if row.environment == site.name]
    return [f"the {row.how} of version {row.to_version} was interrupted; the agent or the next change finishes or undoes it" for row in rows]


def _replica_differences(site: Site, serving: int | None, replicas: tuple[Replica, ...], *, busy: bool) -> list[str]:
    found: list[str] = []
    ready = [r for r in replicas if r.version == serving and r.state is ReplicaState.READY]
    wanted = site.environment.replicas
    if serving is not None and not busy and len(ready) != wanted:
        found.append(f"{len(ready)} of {wanted} replicas of version {serving} serve")
    for version in sorted({r.version for r in replicas if r.weight and r.version != serving}):
        if not busy:
            found.append(f"version {version} takes traffic, and the ledger says version {serving} does")
    found += [f"{r.id} is dead" for r in replicas if r.state is ReplicaState.DEAD and r.pid is not None]
    return found


def _proxy_differences(site: Site, replicas: tuple[Replica, ...], *, busy: bool) -> list[str]:
    if not replicas:
        return []
    servers = {stat.name: stat for stat in proxy.stats(site.directory) if stat.kind == "server"}
    if not servers:
        return ["the proxy does not run"] if not proxy.alive(site.directory) else ["the proxy does not answer"]
    found: list[str] = []
    for replica in replicas:
        server = servers.get(replica.slot)
        if server is None:
            if not busy:
                found.append(f"the proxy does not know {replica.id}")
        elif server.weight != replica.weight and not busy:
            found.append(f"the proxy gives {replica.id} weight {server.weight} instead of {replica.weight}")
        elif not server.up and replica.weight and replica.state is ReplicaState.READY:
            found.append(f"{replica.id} fails its health check ({server.status})")
    return found


def _alias_differences(site: Site, serving: int) -> list[str]:
    versions = {v.version: v for v in site.journal.versions.of(site.project.mlflow.model)}
    if not versions:
        return []
    found = [] if serving in versions else [f"version {serving} serves but was deleted from the registry"]
    if past.carries(site.project, site.name):
        champion = past.known_aliases(site.project, site.journal).get(CHAMPION)
        if champion is None:
            found.append(f"the alias {CHAMPION} points nowhere, and version {serving} serves")
        elif champion != serving:
            found.append(f"the alias {CHAMPION} is on version {champion}, and version {serving} serves")
    return found
