"""The environment variables of steps: a clean environment, so that a run does not depend on who started it
(docs/pipelines.md lists them)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..domain.models import TAG_COMMIT, TAG_DIRTY, TAG_KEY, TAG_RUN, TAG_STEP
from ..domain.project import ARTIFACT_ROOT, Project
from ..domain.runs import Run
from ..http_client import without_proxy_for_loopback

_KEPT_VARIABLES = (
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "LD_LIBRARY_PATH",
    "MLFLOW_WORKSPACE",
    "MLFLOW_REGISTRY_URI",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_TENANT_ID",
)
# What MLflow needs to talk to the server, and to the bucket of its artifacts, as Podium itself does.
SERVER_PREFIXES = (
    *("MLFLOW_TRACKING_", "MLFLOW_S3_", "MLFLOW_HTTP_REQUEST_"),
    *("AWS_", "AZURE_STORAGE_", "AZURE_CLIENT_", "AZURE_TENANT_"),
)
_KEPT_PREFIXES = ("LANG", "LC_", *SERVER_PREFIXES)
# What people set for what they start themselves, and miss in a step.
_MISSED = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "SSH_AUTH_SOCK",
    "HF_HOME",
    "UV_CACHE_DIR",
    "PIP_INDEX_URL",
    "CONDA_PREFIX",
    "PYTHONPATH",
)
_GPUS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy"})


def inherited(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the variables that are taken over from the caller."""
    source = os.environ if source is None else source
    kept = {
        name: value
        for name, value in source.items()
        if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES) or name.lower() in _PROXY_VARIABLES
    }
    tools = str(Path(source["VIRTUAL_ENV"]) / "bin") if source.get("VIRTUAL_ENV") else str(Path(sys.executable).parent)
    path = source.get("PATH") or os.defpath
    kept["PATH"] = path if path.split(os.pathsep)[0] == tools else tools + os.pathsep + path
    return without_proxy_for_loopback(kept)


def inherited_by_containers(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the same for a step in a container, without paths of this machine: the image has its own."""
    kept = inherited(source)
    return {
        name: value
        for name, value in kept.items()
        if name in ("USER", "LOGNAME", "TZ")
        or name.lower() in _PROXY_VARIABLES
        or (name.startswith(("MLFLOW_", *SERVER_PREFIXES)) and not value.startswith("/"))
    }


def not_passed_on(env: Mapping[str, str], source: Mapping[str, str] | None = None) -> str:
    """Returns a sentence about variables of the caller that people expect in a step and that `env` does not have; empty
    if there are none."""
    source = os.environ if source is None else source
    names = [name for name in _MISSED if source.get(name) and name not in env]
    if not names:
        return ""
    return f"not passed on: {', '.join(names)}; `pass: [{names[0]}]` in podium.yaml passes one on"


def fixed(project: Project, run: Run, *, contained: bool = False) -> dict[str, str]:
    """Returns the variables that all `run:` steps of a run share; with `contained`, all those that run in
    containers."""
    return {
        **(inherited_by_containers() if contained else inherited()),
        **passed(project),
        **_artifact_root(project),
        **project.env,
        "PODIUM_RUN": str(run.id),
        "PODIUM_COMMIT": run.commit,
        "PODIUM_ROOT": run.workspace or str(project.root),
        "PODIUM_HOME": str(project.home),
        "MLFLOW_TRACKING_URI": project.mlflow.tracking_uri,
        **({"MLFLOW_REGISTRY_URI": project.mlflow.registry_uri} if project.mlflow.registry_uri else {}),
        "MLFLOW_EXPERIMENT_NAME": project.mlflow.experiment,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONUNBUFFERED": "1",
    }


def passed(project: Project, source: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the caller's variables that `pass` of podium.yaml names."""
    source = os.environ if source is None else source
    return {name: value for name, value in source.items() if project.passes(name)}


def gpus(chosen: Sequence[str]) -> dict[str, str]:
    """Returns what has a process on this machine see these GPUs alone."""
    if not chosen:
        return {}
    return dict.fromkeys(_GPUS, "" if "none" in chosen else ",".join(chosen))


def _artifact_root(project: Project) -> dict[str, str]:
    """Sets where MLflow keeps the artifacts of an experiment that a script creates in an embedded store. MLflow's
    default is ./mlruns, which would be removed with the run's worktree."""
    if not project.mlflow.embedded:
        return {}
    return {ARTIFACT_ROOT: project.mlflow.artifact_directory(project.state).resolve().as_uri()}


def for_step(shared: Mapping[str, str], run: Run, step: str, key: str, declared: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of one step. `declared` (the pipeline's and the step's `env`) overrides what is
    inherited, but never what links the step to its run."""
    tags = {
        TAG_RUN: str(run.id),
        TAG_STEP: step,
        TAG_COMMIT: run.commit,
        TAG_KEY: key,
        TAG_DIRTY: "true" if run.dirty else "false",
    }
    return {
        **shared,
        **declared,
        "PODIUM_RUN": shared["PODIUM_RUN"],
        "PODIUM_HOME": shared["PODIUM_HOME"],
        "PODIUM_STEP": step,
        "PODIUM_STEP_KEY": key,
        "MLFLOW_RUN_CONTEXT": json.dumps(tags),
    }


def threads(cpus: float | None, *, local: bool) -> dict[str, str]:
    """Returns how many threads numeric libraries start: as many as the step may use CPUs, rounded down, so that none of
    them waits for its share of one. They would start one for each CPU of the machine."""
    if cpus is None:
        return {}
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    number = max(1, min(int(cpus), there) if local else int(cpus))
    return dict.fromkeys(_THREADS, str(number))


def for_builtin(project: Project) -> dict[str, str]:
    """Returns the variables of built-in steps, which are Podium's own code. They see everything that Podium was
    started with, except the `PODIUM_RUN` by which orphans of a step are found: what a deployment starts is meant to
    stay."""
    dropped = ("PODIUM_RUN", "PODIUM_STEP", "PODIUM_STEP_KEY", "MLFLOW_RUN_CONTEXT")
    own = {name: value for name, value in os.environ.items() if name not in dropped}
    own = without_proxy_for_loopback(own)
    return {
        **own,
        **project.env,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONUNBUFFERED": "1",
    }
