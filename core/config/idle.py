"""Keys that are read and checked, and that nothing acts on yet: a sentence about each that a project uses, for
`podium validate`."""

from __future__ import annotations

from ..domain.project import Project
from .kinds import plugins
from .reader import Record

_SECTIONS = ("git", "monitors", "alerts", "infra")
_NOTHING = "read and checked, nothing acts on it yet"
_NOBODY = "read and checked, but no installed package brings it yet"


def idle(record: Record, project: Project) -> tuple[str, ...]:
    """Sections first, then single keys, in the order of the file."""
    lines = [f"{key}: {_NOTHING}" for key in _SECTIONS if record.has(key)]
    lines += [
        f"pipelines.{name}.on.alert: {_NOTHING}" for name, pipeline in project.pipelines.items() if pipeline.on.alerts
    ]
    steps = [
        (f"pipelines.{name}.steps.{step.name}", step.executor)
        for name, pipeline in project.pipelines.items()
        for step in pipeline.steps.values()
    ]
    rays = [
        f"{where}.executor: ray: {_NOBODY}, so the step will fail" for where, executor in steps if executor == "ray"
    ]
    drivers = [(f"environments.{name}", environment.driver) for name, environment in project.environments.items()]
    swarms = [
        f"{where}.driver: swarm: {_NOBODY}, so a change there will fail"
        for where, driver in drivers
        if driver == "swarm"
    ]
    lines += rays if rays and "ray" not in plugins("podium.executors") else []
    return (*lines, *(swarms if swarms and "swarm" not in plugins("podium.drivers") else []))
