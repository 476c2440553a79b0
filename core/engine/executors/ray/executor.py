"""The executor for steps on a Ray cluster. A child process of the worker looks after each job
(`core/engine/executors/ray/supervisor.py`)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from ....child import adopt_orphans
from ....domain.project import Project, StepSpec
from ....errors import RunFailed
from ....host_queue.resources import Wanted
from ....identity.home import home_id
from ....logs.masking import is_secret
from ... import paths
from .. import ExecutorContext, Task
from ..supervised import SupervisedExecution, result_file, supervise
from .spec import RayStepSpec

if TYPE_CHECKING:
    from ...graph import PlannedStep

SUPERVISOR_MODULE = "podium.core.engine.executors.ray.supervisor"
# Of this machine, and nothing that a node could use. By PODIUM_HOME the processes of a run are known here: a node may
# be this machine, and a job is not to end with the worker.
_LOCAL = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE",
     "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PYTHONPATH", "PODIUM_HOME"}
)  # fmt: skip
# Names of variables whose values are secrets, whoever set them.
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|TOKEN|SECRET|CREDENTIAL|PRIVATE|ACCESS_KEY|API_KEY)", re.IGNORECASE)


class RayExecutor:
    def __init__(self) -> None:
        adopt_orphans()

    def fingerprint(self, step: PlannedStep, setting: ExecutorContext) -> str:
        """Returns a hash of what Ray installs for the step; empty if that is nothing."""
        environment = _runtime_env(setting.project, step.spec)
        return f"ray:{_digest(environment)}" if environment else ""

    def start(self, task: Task) -> SupervisedExecution:
        project = task.project
        if project is None or task.directory is None or task.log is None:
            raise RunFailed(f"step {task.step} has no project")
        if not project.ray.address:
            raise RunFailed("podium.yaml names no Ray cluster", hint="ray: {address: http://HEAD:8265}")
        if project.mlflow.embedded:
            raise RunFailed(
                "MLflow's store is a file on this machine, which jobs on Ray cannot reach",
                hint="run `mlflow server` where the cluster reaches it, and name it in mlflow.tracking_uri",
            )
        spec = _spec(task, project)
        _ensure_no_secrets(task, project, spec)
        return supervise(task, project, SUPERVISOR_MODULE, spec, spec.result, learn=lambda _: None)


def _spec(task: Task, project: Project) -> RayStepSpec:
    assert task.directory is not None and task.log is not None
    step = task.spec
    return RayStepSpec(
        address=project.ray.address.rstrip("/"),
        submission=submission(project, task.run_id, task.step, task.attempt),
        delivered=task.directory / f"{paths.safe_name(task.step)}.ray.count",
        root=task.cwd,
        shared=project.ray.shared,
        argv=tuple(task.argv),
        env={name: value for name, value in task.env.items() if name not in _LOCAL},
        outputs=task.outputs,
        cpus=1.0 if step is None or step.cpus is None else step.cpus,
        memory=(step.memory or 0) if step is not None else 0,
        gpus=_gpus(step),
        resources=step.resources if step is not None else {},
        runtime_env=_runtime_env(project, step),
        metadata={
            "asks": _asks(step),
            "project": project.name,
            "home": str(project.home),
            "run": str(task.run_id),
            "step": task.step,
            "attempt": str(task.attempt),
        },
        state=project.state,
        result=result_file(task, "ray"),
        log=task.log,
        worker=os.getpid(),
    )


def _gpus(step: StepSpec | None) -> int:
    """Returns how many GPUs the step asks for; which ones is Ray's affair."""
    return sum(gpu != "none" for gpu in step.gpus) if step is not None else 0


def _asks(step: StepSpec | None) -> str:
    """Returns what the step asks for, in words."""
    if step is None:
        return Wanted().words
    others = [f"{value:g} {name}" for name, value in step.resources.items()]
    return ", ".join([Wanted(step.cpus or 1.0, step.memory or 0, _gpus(step)).words, *others])


def submission(project: Project, run: int, step: str, attempt: int) -> str:
    """Returns the job's name. Two projects of one name, also at one path of two machines, have other ids, and two steps
    other names, whatever signs are in them and however long they are."""
    whole = "\0".join((home_id(project.home), str(run), step, str(attempt)))
    exact = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    word = re.sub(r"[^A-Za-z0-9]+", "-", f"{project.name}-{run}-{step}-{attempt}").strip("-")
    return f"podium-{word[:80]}-{exact}"


def _runtime_env(project: Project, step: StepSpec | None) -> Mapping[str, object]:
    return {**project.ray.runtime_env, **(step.runtime_env if step is not None else {})}


def _ensure_no_secrets(task: Task, project: Project, spec: RayStepSpec) -> None:
    """Ray's API asks nobody who they are, and shows what a job is made of: what is secret may not be part of it."""
    if project.ray.trusted:
        return
    named, others = shown_secrets(spec.env, (*spec.argv, spec.runtime_env), project.secrets)
    if named or others:
        what = f"the variable{'s' if len(named) > 1 else ''} {', '.join(named)}" if named else "its command"
        raise RunFailed(
            f"{task.step} would show a secret ({what}) to everybody who reaches the Ray cluster",
            hint="take it out; or, if nobody else reaches the cluster, say so: ray: {trusted: true}",
        )


def shown_secrets(env: Mapping[str, str], said: object, secrets: tuple[str, ...]) -> tuple[list[str], bool]:
    """Returns the variables that hold a secret, and whether anything else that is said has one."""
    named = [name for name, value in sorted(env.items())
             if value and (_SECRET_NAME.search(name) or is_secret(name, value, secrets))]  # fmt: skip
    return named, any(is_secret("", text, secrets) for text in _texts(said))


def _texts(found: object) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, Mapping):
        for name, value in cast("Mapping[str, object]", found).items():
            yield name
            yield from _texts(value)
    elif isinstance(found, list | tuple):
        for each in cast("Sequence[object]", found):
            yield from _texts(each)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
