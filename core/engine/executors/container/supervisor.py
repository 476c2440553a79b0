"""The process that looks after one step in a container: `python -P -m
podium.core.engine.executors.container.supervisor`, its order on standard input.

A child of the worker, so that the worker loads no Docker. To the worker it looks like the step itself: it prints
what the container prints, ends with its exit code, and does as it is told by signals. What it found out besides goes
into a file for the worker.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from .... import handover
from ....containers.engine.client import Engine, open_engine
from ....containers.engine.errors import Away
from ....containers.engine.hijack import hijack
from ....domain.containers import step_key
from ....domain.models import TAG_KEY
from ....errors import Interrupted, PodiumError
from ..supervised import write_result
from . import orphans as leftover
from .create import description, fingerprint, name, surroundings
from .image import Ready, ready
from .mounts import store_directory
from .output import PATIENCE, End, Follower, Lost, Passed, follow
from .resume import passed_before
from .signals import Control, LetGo
from .spec import StepSpec
from .transfer import bring_back, send
from .wrapper import TOLD_AND_WELL, parted, script

# What the engine itself failed at ends with this, as with docker's own client.
ENGINE_FAILED = 125
_SIGNALLED = 128
_OUT_OF_MEMORY = 137
TERMINATED = 143
_AGAIN = 1.0


@dataclass(slots=True)
class Outcome:
    """What the worker is told besides the exit code; `error` and `hint` where it was not simply the command that
    failed. `lost`: the engine went away, and the container may still run."""

    code: int = ENGINE_FAILED
    error: str = ""
    hint: str = ""
    lost: bool = False
    facts: dict[str, str] = field(default_factory=dict[str, str])


class ContainerStep:
    def __init__(self, order: StepSpec, control: Control) -> None:
        self._order = order
        self._control = control
        self.outcome = Outcome()
        self._engine: Engine | None = None
        self._container = ""
        self._started = False
        self._copies = not order.address.local
        self._shell_missing = False

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self._order.address)
        return self._engine

    def carry_out(self) -> None:
        order = self._order
        image = ready(self.engine, order, say)
        self.outcome.facts.update(
            fingerprint=image.digest, image=order.spec.image or order.spec.build, image_id=image.image_id
        )
        env = dict(order.env)
        if order.base:
            env = _with_key(env, step_key(order.base, image.digest))
        open_, hidden = parted(env, order.secrets)
        mark = fingerprint(order, image.image_id, open_, list(hidden))
        self._control.hold()
        adopted = self._left_by_another(mark)
        if adopted:
            self._container, self._started = adopted, True
            self._copies = not self.engine.inspect(adopted)["HostConfig"].get("Mounts")
            self._told("it went on without a worker and is taken over")
            end = self._follow(None, passed_before(order.log, adopted[:12]))
        else:
            end = self._begin(image, open_, hidden, mark)
        self._finish(end)

    # Starting

    def _left_by_another(self, mark: str) -> str:
        """A container of an earlier worker that does just what is to be done now. All others of this step are
        removed."""
        order, chosen = self._order, ""
        for left in leftover.found(self.engine, order.project, order.home):
            if (left.run, left.step) != (order.run, order.step):
                continue
            if not chosen and not left.kept and left.mark == mark and left.state in ("running", "exited"):
                chosen = left.id
            else:
                leftover.remove(self.engine, left.id)
        return chosen

    def _begin(self, image: Ready, open_: Mapping[str, str], hidden: Mapping[str, str], mark: str) -> End:
        order, engine = self._order, self.engine
        created = self._create(image, open_, mark)
        self._container = str(created["Id"])
        if self._copies:
            if store_directory(order.tracking_uri) is not None:
                say(
                    f"MLflow's store is a file on this machine, out of reach from {order.address}: name a server in"
                    " mlflow.tracking_uri to log from here"
                )
            send(engine, self._container, order, say)
        line, early = hijack(
            engine,
            f"/containers/{self._container}/attach",
            what="attaching to the container",
            query={"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1"},
        )
        try:
            for warning in created.get("Warnings") or ():
                say(str(warning))
            say(f"container {self._container[:12]} of {image.words}")
            with engine.doing("starting the container"):
                engine.api.start(self._container)
            self._started = True
            with engine.doing("handing the command over"):
                line.sendall(script(order.argv, hidden))
        except BaseException:
            line.close()
            raise
        return self._follow((line, early), None)

    def _create(self, image: Ready, open_: Mapping[str, str], mark: str) -> dict[str, Any]:
        order, engine = self._order, self.engine
        info = engine.info()
        while True:
            body = description(order, surroundings(info, local=not self._copies), image.image_id, open_, mark)
            try:
                with engine.doing("creating the container"):
                    return engine.api.create_container_from_config(body, name(order))
            except PodiumError as error:
                # The socket is on this machine, but its engine is not: a forwarded one, or one in a container or
                # virtual machine of its own.
                if self._copies or "bind source path does not exist" not in error.message:
                    raise
                say(f"the engine at {order.address} does not see this machine's files: they are copied")
                self._copies = True

    def _follow(self, line: Any, passed: Passed | None) -> End:
        self._control.attend(self.engine, self._container)
        follower = Follower(self.engine, self._container, passed=passed)
        try:
            return follow(follower, line, reopen=self._reopen, say=self._told)
        finally:
            self._shell_missing = b"exec /bin/sh failed" in follower.last_words

    def _reopen(self) -> Engine:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._control.attend(self.engine, self._container)
        return self.engine

    def _told(self, text: str) -> None:
        say(f"container {self._container[:12]}: {text}")

    # Ending

    def _finish(self, end: End) -> None:
        outcome = self.outcome
        if end.exit_code == TOLD_AND_WELL:
            # An engine that stops ends what runs on it; a command that then leaves with 0 has not done all that it
            # would have.
            end = replace(end, exit_code=TERMINATED if end.lost or self._control.told else 0)
        outcome.code = end.exit_code
        if end.exit_code == 0:
            if self._copies:
                self._bring_back()
            if end.out_of_memory:
                self._told("something in it was ended for want of memory; the command went on without it")
        elif not self._control.told:
            self._explain(end)

    def _bring_back(self) -> None:
        """Lost when the engine goes away meanwhile and does not come back: the container has the only copy, and
        stays."""
        lost_at: float | None = None
        while True:
            try:
                bring_back(self.engine, self._container, self._order, say)
                return
            except Away as error:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > PATIENCE:
                    hint = "its container has them; `podium resume` takes it over"
                    raise Lost(
                        f"the outputs were not fetched: the engine was away for more than {PATIENCE:g} s", hint=hint
                    ) from error
                self._told(f"{error.message}: waiting for it")
                time.sleep(_AGAIN)
                with suppress(PodiumError):
                    self._reopen()

    def _explain(self, end: End) -> None:
        outcome, memory = self.outcome, self._order.spec.memory
        if end.out_of_memory:
            limit = f"its limit of {_size(memory)}" if memory else "the memory of the engine's machine"
            outcome.error = f"out of memory: the container needed more than {limit} (exit code {end.exit_code})"
            outcome.hint = (
                "raise `memory` of the step, or have it use less"
                if memory
                else "set `memory` for the step, or have it use less"
            )
        elif end.lost and end.exit_code > _SIGNALLED:
            outcome.error = (
                f"the engine was stopped while the step ran, and ended its container (exit code {end.exit_code})"
            )
            outcome.hint = (
                f"`podium resume {self._order.run}` does it again; an engine with live-restore leaves containers alone"
            )
        elif end.exit_code == _OUT_OF_MEMORY:
            outcome.error = "killed (exit code 137), but not for want of memory"
            outcome.hint = "somebody, or the command itself, sent SIGKILL; `podium logs` shows its last words"
        elif self._shell_missing:
            outcome.error, outcome.hint = (
                "the image has no /bin/sh, which a step's `run` is given to",
                "use an image with a shell in it",
            )
        elif end.error:
            outcome.error = f"the container could not run: {end.error}"

    def put_away(self) -> None:
        """The container after its step: removed, or kept to be looked at when the step has failed by itself. Never
        raises."""
        if self.outcome.lost:
            with suppress(OSError):
                leftover.lost_marker(self._order.state, self._order.run, self._container).touch(mode=0o600)
            return
        with suppress(PodiumError):
            worth_a_look = (
                self._started and not self._shell_missing and self.outcome.code != 0 and not self._cancelled()
            )
            if worth_a_look and leftover.keep(self.engine, self._container):
                self.outcome.facts["container"] = self._container
            elif self._container:
                leftover.remove(self.engine, self._container)
            leftover.tidy(self.engine, self._order.project, self._order.home)

    def _cancelled(self) -> bool:
        from ....journal import Journal

        if not self._control.told:
            return False
        with Journal.open(self._order.state / "journal.db") as journal:
            return journal.runs.cancel_request(self._order.run) is not None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def say(text: str) -> None:
    """A line into the step's log."""
    os.write(1, text.encode("utf-8", "replace") + b"\n")


def _with_key(env: Mapping[str, str], key: str) -> dict[str, str]:
    """The environment of a step whose key is known now that its image is."""
    context: dict[str, Any] = json.loads(env.get("MLFLOW_RUN_CONTEXT") or "{}")
    return {**env, "PODIUM_STEP_KEY": key, "MLFLOW_RUN_CONTEXT": json.dumps({**context, TAG_KEY: key})}


def _size(memory: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if memory >= factor:
            return f"{memory / factor:.4g} {unit}"
    return f"{memory} bytes"


def main() -> int:
    order = handover.unpack(StepSpec)
    if order is None:
        print("the worker starts this; it is no command", file=sys.stderr)
        return 2
    step: ContainerStep | None = None
    try:
        step = ContainerStep(order, Control(order.worker))
        _carried_out(step)
        step.put_away()
        outcome = step.outcome
        write_result(order.result, {"error": outcome.error, "hint": outcome.hint, **outcome.facts})
        return step.outcome.code
    except (LetGo, BrokenPipeError):
        return Interrupted.exit_code
    finally:
        if step is not None:
            step.close()


def _carried_out(step: ContainerStep) -> None:
    outcome = step.outcome
    try:
        step.carry_out()
    except Interrupted as error:
        outcome.code = error.exit_code
    except PodiumError as error:
        outcome.code = ENGINE_FAILED
        outcome.error, outcome.hint, outcome.lost = error.message, error.hint, isinstance(error, Lost)
    except (LetGo, BrokenPipeError):
        raise
    except Exception as error:
        traceback.print_exc()
        outcome.code, outcome.error = ENGINE_FAILED, f"failed unexpectedly: {type(error).__name__}: {error}"
    if outcome.error:
        os.write(2, "\n".join(filter(None, (outcome.error, outcome.hint))).encode("utf-8", "replace") + b"\n")


if __name__ == "__main__":
    sys.exit(main())
