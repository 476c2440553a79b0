"""A shell in a step's container: in the one that runs, or in a copy of the one that a failed step left, with the
same files, limits and rights.

The copy is an image of what the container had written, and a container of it that lives as long as the connection to
it: when whoever opened it goes away, in whatever way, the engine ends and removes it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ....containers.engine.client import Engine, open_engine
from ....containers.engine.exec_shell import ExecShell
from ....containers.engine.hijack import hijack
from ....containers.engine.labels import HOME, PROJECT, ROLE, RUN, STEP, Labels, home_id
from ....containers.images import store
from ....errors import NotFound, PodiumError
from .create import description, name, surroundings
from .orphans import KEEP_SECONDS, MAX_KEPT, SHELL_ROLE, Orphan, find
from .spec import ContainerStepSpec
from .wrapper import split_secrets

# Ends when nobody holds its standard input any more.
_PLACEHOLDER = ("/bin/sh", "-c", "read -r line || true")
AUTO_REMOVE_TIMEOUT = 5.0


class CopyShell(ExecShell):
    """A shell in a copy: `holding` is the connection that keeps the copy alive, `image` what was made for it. Both
    go with it."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        *,
        holding: socket.socket,
        image: str,
        words: str,
        terminal: str,
        env: Mapping[str, str],
        directory: str,
    ) -> None:
        super().__init__(engine, container, words=words, terminal=terminal, env=env, directory=directory)
        self._holding, self._image = holding, image

    def close(self) -> None:
        self._holding.close()
        with suppress(PodiumError):
            _remove_image(self._engine, self._image)
        super().close()


def open_shell(spec: ContainerStepSpec, *, terminal: str = "xterm-256color") -> ExecShell:
    """NotFound when nothing is left of the step's container."""
    engine = open_engine(spec.address)
    try:
        orphan = _newest(engine, spec)
        where = f"the container of step {spec.step} of run {spec.run}"
        if orphan.state == "running":
            words = f"a shell in {where}, which runs; leaving it does not end the step"
            return ExecShell(
                engine, orphan.id, words=words, terminal=terminal, env=_hidden(spec), directory=str(spec.root)
            )
        return _in_a_copy(
            engine,
            orphan,
            spec,
            terminal,
            f"a shell in a copy of {where}; what it writes outside of {spec.root} is gone afterwards",
        )
    except BaseException:
        engine.close()
        raise


def _newest(engine: Engine, spec: ContainerStepSpec) -> Orphan:
    mine = [
        orphan for orphan in find(engine, spec.project, spec.home) if (orphan.run, orphan.step) == (spec.run, spec.step)
    ]
    chosen = next(
        (orphan for orphan in mine if orphan.state == "running" or orphan.kept or orphan.state == "exited"), None
    )
    if chosen is None:
        hint = (
            f"the containers of the last {MAX_KEPT} failed steps are kept, for {KEEP_SECONDS / 86400:g} days; `podium"
            f" resume {spec.run}` does the step again"
        )
        raise NotFound(f"nothing is left of the container of step {spec.step} of run {spec.run}", hint=hint)
    return chosen


def _in_a_copy(engine: Engine, orphan: Orphan, spec: ContainerStepSpec, terminal: str, words: str) -> ExecShell:
    labels = Labels(spec.project, spec.home, SHELL_ROLE, {RUN: str(spec.run), STEP: spec.step}).all()
    with engine.doing("making a copy of the step's container"):
        changes = [f"LABEL {key}={_quoted(labels[key])}" for key in (PROJECT, HOME, ROLE)]
        image = str(
            engine.api.commit(
                orphan.id, repository=f"podium-shell/{home_id(spec.home)}", tag=orphan.id[:12], changes=changes
            )["Id"]
        )
    line: socket.socket | None = None
    try:
        container = _placeholder(engine, image, spec, labels)
        line, _ = hijack(
            engine,
            f"/containers/{container}/attach",
            what="attaching to the shell's container",
            query={"stream": "1", "stdin": "1"},
        )
        with engine.doing("starting the shell's container"):
            engine.api.start(container)
        return CopyShell(
            engine,
            container,
            holding=line,
            image=image,
            words=words,
            terminal=terminal,
            env=_hidden(spec),
            directory=str(spec.root),
        )
    except BaseException:
        if line is not None:
            line.close()
        with suppress(PodiumError):
            _remove_image(engine, image)
        raise


def _hidden(spec: ContainerStepSpec) -> dict[str, str]:
    return split_secrets(spec.env, spec.secrets)[1]


def _placeholder(engine: Engine, image: str, spec: ContainerStepSpec, labels: dict[str, str]) -> str:
    around = surroundings(engine.info(), local=spec.address.local)
    open_, _ = split_secrets(spec.env, spec.secrets)
    body: dict[str, Any] = description(spec, around, image, open_, "")
    body.update(Entrypoint=list(_PLACEHOLDER), Labels=labels, AttachStdout=False, AttachStderr=False)
    body["HostConfig"]["AutoRemove"] = True
    with engine.doing("creating the shell's container"):
        return str(engine.api.create_container_from_config(body, f"{name(spec)}-shell")["Id"])


def _remove_image(engine: Engine, image: str) -> None:
    """Once its container is gone, which goes by itself as soon as nobody holds it; else that is removed first."""
    with engine.doing("removing the shell's container"):
        deadline = time.monotonic() + AUTO_REMOVE_TIMEOUT
        while left := engine.api.containers(all=True, filters={"ancestor": image}):
            if time.monotonic() > deadline:
                for container in left:
                    engine.api.remove_container(container["Id"], force=True)
                break
            time.sleep(0.05)
    store.remove(engine, image)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
