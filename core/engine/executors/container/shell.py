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
from .orphans import KEPT, KEPT_SECONDS, SHELL_ROLE, Left, found
from .spec import StepSpec
from .wrapper import parted

# Ends when nobody holds its standard input any more.
_PLACEHOLDER = ("/bin/sh", "-c", "read -r line || true")
_GOES_BY_ITSELF = 5.0


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


def open_shell(order: StepSpec, *, terminal: str = "xterm-256color") -> ExecShell:
    """NotFound when nothing is left of the step's container."""
    engine = open_engine(order.address)
    try:
        left = _newest(engine, order)
        where = f"the container of step {order.step} of run {order.run}"
        if left.state == "running":
            words = f"a shell in {where}, which runs; leaving it does not end the step"
            return ExecShell(
                engine, left.id, words=words, terminal=terminal, env=_hidden(order), directory=str(order.root)
            )
        return _in_a_copy(
            engine,
            left,
            order,
            terminal,
            f"a shell in a copy of {where}; what it writes outside of {order.root} is gone afterwards",
        )
    except BaseException:
        engine.close()
        raise


def _newest(engine: Engine, order: StepSpec) -> Left:
    mine = [
        left for left in found(engine, order.project, order.home) if (left.run, left.step) == (order.run, order.step)
    ]
    chosen = next((left for left in mine if left.state == "running" or left.kept or left.state == "exited"), None)
    if chosen is None:
        hint = (
            f"the containers of the last {KEPT} failed steps are kept, for {KEPT_SECONDS / 86400:g} days; `podium"
            f" resume {order.run}` does the step again"
        )
        raise NotFound(f"nothing is left of the container of step {order.step} of run {order.run}", hint=hint)
    return chosen


def _in_a_copy(engine: Engine, left: Left, order: StepSpec, terminal: str, words: str) -> ExecShell:
    labels = Labels(order.project, order.home, SHELL_ROLE, {RUN: str(order.run), STEP: order.step}).all()
    with engine.doing("making a copy of the step's container"):
        changes = [f"LABEL {key}={_quoted(labels[key])}" for key in (PROJECT, HOME, ROLE)]
        image = str(
            engine.api.commit(
                left.id, repository=f"podium-shell/{home_id(order.home)}", tag=left.id[:12], changes=changes
            )["Id"]
        )
    line: socket.socket | None = None
    try:
        container = _placeholder(engine, image, order, labels)
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
            env=_hidden(order),
            directory=str(order.root),
        )
    except BaseException:
        if line is not None:
            line.close()
        with suppress(PodiumError):
            _remove_image(engine, image)
        raise


def _hidden(order: StepSpec) -> dict[str, str]:
    return parted(order.env, order.secrets)[1]


def _placeholder(engine: Engine, image: str, order: StepSpec, labels: dict[str, str]) -> str:
    around = surroundings(engine.info(), local=order.address.local)
    open_, _ = parted(order.env, order.secrets)
    body: dict[str, Any] = description(order, around, image, open_, "")
    body.update(Entrypoint=list(_PLACEHOLDER), Labels=labels, AttachStdout=False, AttachStderr=False)
    body["HostConfig"]["AutoRemove"] = True
    with engine.doing("creating the shell's container"):
        return str(engine.api.create_container_from_config(body, f"{name(order)}-shell")["Id"])


def _remove_image(engine: Engine, image: str) -> None:
    """Once its container is gone, which goes by itself as soon as nobody holds it; else that is removed first."""
    with engine.doing("removing the shell's container"):
        deadline = time.monotonic() + _GOES_BY_ITSELF
        while left := engine.api.containers(all=True, filters={"ancestor": image}):
            if time.monotonic() > deadline:
                for container in left:
                    engine.api.remove_container(container["Id"], force=True)
                break
            time.sleep(0.05)
    store.remove(engine, image)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
