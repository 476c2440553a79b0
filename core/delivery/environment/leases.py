"""Renews the leases of an environment's proxies: of one with several hosts. Unlike healing, it goes on beside a change,
for it changes nothing: a lease is renewed for a proxy that is as the journal's rows say, and for no other."""

from __future__ import annotations

from ...domain.project import Environment, Project
from ...journal import Journal
from .history import stopped
from .runtime import EnvironmentRuntime


def leased(environment: Environment) -> bool:
    """Tells whether the proxies of an environment have leases: it needs an agent."""
    return bool(environment.hosts) and environment.stale != "serve"


def renew(project: Project, journal: Journal, environment: Environment) -> None:
    """Renews them where they are due. A host that does not answer keeps what it has."""
    if leased(environment) and journal.replicas.of(environment.name) and stopped(journal, environment.name) is None:
        runtime = EnvironmentRuntime(project, journal, environment)
        runtime.driver.renew(runtime.traffic.layout())
