"""Keys that are accepted but not implemented yet: a sentence about each that a project uses, for `podium validate`."""

from __future__ import annotations

from .. import plugins
from ..domain.project import Project

_NO_PACKAGE = "accepted, but no installed package implements it"


def idle(project: Project) -> tuple[str, ...]:
    """Returns the sentences: in the order of the file."""
    steps = [
        (f"pipelines.{name}.steps.{step.name}", step.executor)
        for name, pipeline in project.pipelines.items()
        for step in pipeline.steps.values()
    ]
    drivers = [(f"environments.{name}", environment.driver) for name, environment in project.environments.items()]
    lines = [
        f"{where}.executor: {name}: {_NO_PACKAGE}, so the step will fail"
        for where, name in steps
        if not plugins.installed("executors", name)
    ]
    lines += [
        f"{where}.driver: {name}: {_NO_PACKAGE}, so a change there will fail"
        for where, name in drivers
        if not plugins.installed("drivers", name)
    ]
    return tuple(lines)
