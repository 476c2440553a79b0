"""A shell where a step ran, with what the step saw: in its container, or in its directory if it was a process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..domain.engines.shells import LocalShell
from ..domain.project import Project
from ..domain.runs import Run, Step, StepState
from ..errors import NotFound, Refused, UsageError
from ..journal import Journal
from . import environment, paths
from .graph import PlannedStep, build
from .orphans import SHELL_MARK
from .run.cause import alert_values

if TYPE_CHECKING:
    from ..domain.engines.shells import ShellSession


def shell(project: Project, journal: Journal, run_id: int, name: str | None = None) -> LocalShell | ShellSession:
    """Opens a shell for the step called `name`; without a name, for the only step that failed. Raises NotFound if
    the step, its directory or its container is gone, Refused for a built-in step. Loads Docker for a step in a
    container."""
    run = journal.runs.get(run_id)
    step = _chosen(journal, run, name)
    root = Path(run.workspace or project.home)
    if not root.is_dir():
        hint = (
            f"the directory of a pushed commit's run goes when it has succeeded; `podium run --commit {run.commit[:9]}`"
            " makes it again"
        )
        raise NotFound(f"the directory of run {run_id} is gone", hint=hint)
    if root != project.home and (root / "podium.yaml").is_file():
        from ..config import load

        project = load(root, home=project.home)
    planned = _planned(project, journal, run, step)
    contained = planned.container is not None
    shared = environment.fixed(project, run, contained=contained)
    env = environment.for_step(shared, run, step.name, step.key, {**planned.env, **planned.values})
    if not contained:
        argv = (os.environ.get("SHELL") or "/bin/sh",)
        words = f"a shell with the environment of step {step.name} of run {run_id}, which ran as a process, in {root}"
        return LocalShell(argv, {**env, SHELL_MARK: str(run_id), "TERM": os.environ.get("TERM", "dumb")}, root, words)
    return _in_container(project, run, planned, env, root)


def _chosen(journal: Journal, run: Run, name: str | None) -> Step:
    if name is not None:
        return journal.steps.get(run.id, name)
    failed = [step for step in journal.steps.of(run.id) if step.state is StepState.FAILED]
    if len(failed) == 1:
        return failed[0]
    names = ", ".join(step.name for step in failed or journal.steps.of(run.id))
    raise UsageError(f"{len(failed) or 'no'} steps of run {run.id} failed: which one?", hint=f"name one of: {names}")


def _planned(project: Project, journal: Journal, run: Run, step: Step) -> PlannedStep:
    if step.uses:
        raise Refused(step.why_no_shell(), hint=f"podium logs {run.id} {step.name}")
    pipeline = project.pipelines.get(run.name)
    values = alert_values(journal, run)
    planned = {each.name: each for each in build(pipeline, run.params, values)} if pipeline else {}
    if step.name not in planned:
        raise NotFound(
            f"podium.yaml has no step {step.name} in {run.name} any more",
            hint="a shell needs to know its image and environment",
        )
    return planned[step.name]


def _in_container(project: Project, run: Run, planned: PlannedStep, env: dict[str, str], root: Path) -> ShellSession:
    from ..containers.engine import address
    from .executors.container.shell import open_shell
    from .executors.container.spec import ContainerStepSpec

    assert planned.container is not None
    step_spec = ContainerStepSpec(
        address=address.of_project(project),
        project=project.name,
        home=project.home,
        state=project.state,
        root=root,
        run=run.id,
        step=planned.name,
        attempt=0,
        argv=(),
        env=env,
        container=planned.container,
        outputs=(),
        stores=project.mlflow.stores,
        secrets=project.secrets,
        base="",
        key="",
        build=(),
        build_hash="",
        result=Path(os.devnull),
        log=paths.step_log(project.state, run.id, planned.name),
        worker=os.getpid(),
    )
    return open_shell(step_spec, terminal=os.environ.get("TERM") or "xterm-256color")
