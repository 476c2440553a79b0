"""Tries a new image before it is used: a container of it loads the model, on a read-only file system and without
privileges, as a replica will.

This is done once for everything that decides whether a model loads; the next version with the same dependencies,
flavour and code is not tried again, because that would take ten times as long as building it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import errors as docker_errors
from requests import exceptions as http_errors

from ...beneath import Directory, walk
from ...containers import Engine, Labels
from ...containers.images.build import SILENCE_TIMEOUT
from ...domain.text import clean
from ...errors import RunFailed
from . import recipe, requirements

Say = Callable[[str], None]
TRIAL_TIMEOUT = 300
_SCRATCH_DIRECTORY = "/tmp"  # noqa: S108 - inside of the container
_MAX_LINES = 20
_EXIT_REASONS = {
    128 + 14: f"it is not loaded after {TRIAL_TIMEOUT} s",
    128 + 9: "it was killed: most likely the engine's machine has too little memory",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """The result. `seconds` is how long loading took, `example` the HTTP status of the model's input example, None
    if it has none."""

    seconds: float
    example: int | None


class ModuleMissing(RunFailed):
    """Raised when a module is missing in the image."""


def key(files: Path, dependencies: str) -> str:
    """Returns 16 hex digits that identify how a model is loaded, without its parameters. Empty if its pickle may
    contain code: such a model is always tried."""
    loader = requirements.loader(files)
    if not loader or loader == "mlflow.pyfunc.model":
        return ""
    whole = hashlib.sha256(f"{dependencies}\0{loader}".encode())
    with Directory.open(files) as top:
        for found in walk(top):
            if found.is_file:
                whole.update(os.fsencode(found.path) + b"\0")
                if found.name.endswith(".py"):
                    with found.open() as code:
                        whole.update(code.read())
    return whole.hexdigest()[:16]


def run(engine: Engine, image_id: str, labels: Labels, *, python: str = "", say: Say) -> Trial:
    """Tries the image. Raises ModuleMissing or RunFailed, with the container's output, if the model cannot be loaded.
    `python` is the version that the model was made with."""
    what = "trying the image"
    for left in engine.containers(labels.filters()):  # of a build that was killed
        if left.get("State") != "running":
            _remove(engine, left["Id"])
    with engine.doing(what):
        api = engine.api
        host = api.create_host_config(
            read_only=True,
            tmpfs={_SCRATCH_DIRECTORY: "size=256m"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            init=True,
        )
        command = ["-m", "podium.core.serving.trial", recipe.MODEL, str(TRIAL_TIMEOUT)]
        made = api.create_container(
            image_id, command, entrypoint=[recipe.PYTHON], host_config=host, labels=labels.all()
        )
        try:
            api.start(made["Id"])
            code = int(api.wait(made["Id"], timeout=min(SILENCE_TIMEOUT, TRIAL_TIMEOUT + 30))["StatusCode"])
            # Apart: what libraries write on the other stream may arrive after the answer.
            answer = api.logs(made["Id"], stderr=False, tail=20).decode("utf-8", "replace")
            words = api.logs(made["Id"], stdout=False, tail=200).decode("utf-8", "replace")
        except http_errors.Timeout as error:
            raise RunFailed(
                f"the model is not loaded after {TRIAL_TIMEOUT} s in its image",
                hint="check what the model does while it loads",
            ) from error
        finally:
            _remove(engine, made["Id"])
    return _judged(answer, words, code, python, say)


def _remove(engine: Engine, container: str) -> None:
    with suppress(docker_errors.APIError, http_errors.RequestException):
        engine.api.remove_container(container, force=True, v=True)


def _judged(answer: str, words: str, code: int, python: str, say: Say) -> Trial:
    lines = words.strip().splitlines() or [""]
    found: dict[str, Any] = {}
    with suppress(ValueError, IndexError, TypeError):
        found = dict(json.loads(answer.strip().splitlines()[-1]))
    here = str(found.get("python", ""))
    other = (
        f"the model was made with Python {clean(python)} and the base image has {clean(here)}"
        if python and here and here != python
        else ""
    )
    if code or "error" in found or not found:
        for line in lines[-_MAX_LINES:]:
            say(f"  {clean(line)}")
        why = _EXIT_REASONS.get(code) or clean(str(found.get("error") or lines[-1]))[:400] or f"exit code {code}"
        kind = ModuleMissing if found.get("missing") else RunFailed
        hint = (
            f"{other}: name one with {clean(python)} in docker.base"
            if other
            else "log it with pip_requirements that name all that it imports"
        )
        raise kind(f"the model cannot be loaded in its image: {why}", hint=hint)
    if other:
        say(f"note: {other}")
    trial = Trial(float(found["seconds"]), found.get("example"))
    told = {None: "it has no example of an input", 200: "its example is answered"}
    say(
        f"tried: the model loads in {trial.seconds:.1f} s;"
        f" {told.get(trial.example, f'its own example is answered with {trial.example}')}"
    )
    return trial
