"""Code from a fork: it runs in containers that have no network, no credential and nothing but the run's directory, or
after a person has approved that commit."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from ... import plugins
from ...domain.project import Pipeline, Project, StepSpec
from .. import environment

APPROVAL: Final = "fork"
# A store that no container without a network can reach, and whose directory is not mounted.
NO_STORE: Final = "http://no-store.invalid"


def of_fork(project: Project, trusted: Project, name: str) -> tuple[Project, str]:
    """Returns the project with the pipeline of a fork's commit as it may run by itself; or why it may not."""
    pipeline = project.pipelines.get(name)
    if pipeline is None:
        return project, ""
    why_not = _why_not_alone(pipeline, trusted)
    if why_not:
        return project, why_not
    alone = replace(pipeline, steps={key: _alone(step) for key, step in pipeline.steps.items()})
    mlflow = replace(project.mlflow, tracking_uri=NO_STORE, registry_uri="", artifacts="", variables=(), named=True)
    return replace(project, mlflow=mlflow, passed=(), pipelines={**project.pipelines, name: alone}), ""


def after_approval(project: Project, name: str, reason: str) -> Project:
    """Returns the project with a pipeline whose first step waits for a person."""
    pipeline = project.pipelines.get(name)
    if pipeline is None:
        return project
    return replace(project, pipelines={**project.pipelines, name: _after_approval(pipeline, reason)})


def is_alone(project: Project, name: str) -> bool:
    """Tells whether every step of a pipeline runs in a container that has nothing but the run's directory."""
    pipeline = project.pipelines.get(name)
    return pipeline is not None and all(step.container and step.container.alone for step in pipeline.steps.values())


def forget_credentials() -> None:
    """Takes what steps inherit of this process's environment, and what could be a credential, out of it."""
    server = ("MLFLOW_", "GOOGLE_APPLICATION_CREDENTIALS", *environment.SERVER_PREFIXES)
    for variable in [each for each in os.environ if each.startswith(server) or each.lower().endswith("_proxy")]:
        del os.environ[variable]


def _why_not_alone(pipeline: Pipeline, trusted: Project) -> str:
    """Returns why the pipeline cannot run by itself; empty if it can. An image is pulled with the engine's credentials,
    so it has to be one that the trusted file names; a build has a network."""
    known = {
        step.container.image
        for each in trusted.pipelines.values()
        for step in each.steps.values()
        if step.container is not None and step.container.image
    }
    for step in pipeline.steps.values():
        if step.container is None or not plugins.executor_capabilities(step.executor).needs_image:
            return f"and {step.name} runs in no container"
        if step.container.build or "${{" in step.container.image or step.container.image not in known:
            return f"and the image of {step.name} is none that the trusted podium.yaml names"
    return ""


def _alone(step: StepSpec) -> StepSpec:
    """Returns the step without a network and without the cache: what it makes must not become another run's input."""
    assert step.container is not None
    return replace(step, cache=False, container=replace(step.container, network=False, alone=True))


def _after_approval(pipeline: Pipeline, reason: str) -> Pipeline:
    name = APPROVAL
    while name in pipeline.steps:
        name += "-approval"
    first = StepSpec(name, run=":", cache=False, approval=True, approval_reason=reason, guards=True)
    rest = {key: step if step.needs else replace(step, needs=(name,)) for key, step in pipeline.steps.items()}
    return replace(pipeline, steps={name: first, **rest})
