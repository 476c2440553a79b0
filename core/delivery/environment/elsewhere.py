"""Whether an environment's replicas run on this machine."""

from __future__ import annotations

from ... import plugins
from ...domain.project import Environment, Project


def elsewhere(project: Project, environment: Environment) -> bool:
    """Tells whether the replicas run on another machine's engine."""
    can = plugins.driver_capabilities(environment.driver)
    if not can.engine or can.services:
        return can.services
    from ...containers.engine.address import of_environment

    return bool(environment.hosts) or not of_environment(project, environment).local
