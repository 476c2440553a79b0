"""The supervisor of one step in a container: `python -P -m podium.core.engine.executors.container.supervisor`, its
spec on standard input.

A child of the worker, so that the worker loads no Docker. To the worker it looks like the step itself: it prints
what the container prints, ends with its exit code, and obeys signals (`signals.py`). What it found out besides goes
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
from dataclasses import dataclass, field
from typing import Any

from .... import handover
from ....containers.engine.client import Engine, open_engine
from ....containers.engine.errors import EngineAway
from ....containers.engine.hijack import hijack
from ....domain.containers import step_key
from ....domain.models import TAG_KEY
from ....errors import Interrupted, PodiumError
from ..supervised import write_result
from . import orphans
from .create import description, fingerprint, name, surroundings
from .ending import ContainerEnd, ContainerExitCode, explain, step_exit_code
from .image import ReadyImage, ready
from .mounts import store_directory
from .output import ENGINE_TIMEOUT, EngineLost, ForwardedOutput, OutputFollower, follow
from .resume import forwarded_before
from .signals import SignalForwarder, WorkerGone
from .spec import ContainerStepSpec
from .transfer import bring_back, send
from .wrapper import script, split_secrets

RETRY_INTERVAL = 1.0


@dataclass(slots=True)
class StepOutcome:
    """What the worker gets besides the exit code. `error` and `hint` are set if it was not simply the command that
    failed. `lost`: the engine went away, and the container may still be running. `facts` become results of the step."""

    code: int = ContainerExitCode.ENGINE_FAILED
    error: str = ""
    hint: str = ""
    lost: bool = False
    facts: dict[str, str] = field(default_factory=dict[str, str])


class ContainerStep:
    def __init__(self, spec: ContainerStepSpec, control: SignalForwarder) -> None:
        self._spec = spec
        self._control = control
        self.outcome = StepOutcome()
        self._engine: Engine | None = None
        self._container = ""
        self._started = False
        self._copies = not spec.address.local
        self._shell_missing = False

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self._spec.address)
        return self._engine

    def carry_out(self) -> None:
        spec = self._spec
        image = ready(self.engine, spec, say)
        self.outcome.facts.update(
            fingerprint=image.digest, image=spec.container.image or spec.container.build, image_id=image.image_id
        )
        env = dict(spec.env)
        if spec.base:
            env = _with_key(env, step_key(spec.base, image.digest))
        open_, hidden = split_secrets(env, spec.secrets)
        mark = fingerprint(spec, image.image_id, open_, list(hidden))
        self._control.defer_signals()
        adopted = self._find_orphan(mark)
        if adopted:
            self._container, self._started = adopted, True
            self._copies = not self.engine.inspect(adopted)["HostConfig"].get("Mounts")
            self._say("it went on without a worker and is taken over")
            end = self._follow(None, forwarded_before(spec.log, adopted[:12]))
        else:
            end = self._begin(image, open_, hidden, mark)
        self._finish(end)

    # Starting

    def _find_orphan(self, mark: str) -> str:
        """Returns the container of an earlier worker that does just what is to be done now, empty when there is none;
        removes all others of this step."""
        spec, chosen = self._spec, ""
        for orphan in orphans.find(self.engine, spec.project, spec.home):
            if (orphan.run, orphan.step) != (spec.run, spec.step):
                continue
            if not chosen and not orphan.kept and orphan.mark == mark and orphan.state in ("running", "exited"):
                chosen = orphan.id
            else:
                orphans.remove(self.engine, orphan.id)
        return chosen

    def _begin(self, image: ReadyImage, open_: Mapping[str, str], hidden: Mapping[str, str], mark: str) -> ContainerEnd:
        spec, engine = self._spec, self.engine
        created = self._create(image, open_, mark)
        self._container = str(created["Id"])
        if self._copies:
            if any(map(store_directory, spec.stores)):
                say(
                    f"MLflow's store is a file on this machine, out of reach from {spec.address}: name a server in"
                    " mlflow.tracking_uri to log from here"
                )
            send(engine, self._container, spec, say)
        line, early = hijack(
            engine,
            f"/containers/{self._container}/attach",
            what="attaching to the container",
            query={"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1"},
        )
        try:
            for warning in map(str, created.get("Warnings") or ()):
                if not _about_weights(warning):
                    say(warning)
            say(f"container {self._container[:12]} of {image.words}")
            with engine.doing("starting the container"):
                engine.api.start(self._container)
            self._started = True
            with engine.doing("handing the command over"):
                line.sendall(script(spec.argv, hidden))
        except BaseException:
            line.close()
            raise
        return self._follow((line, early), None)

    def _create(self, image: ReadyImage, open_: Mapping[str, str], mark: str) -> dict[str, Any]:
        spec, engine = self._spec, self.engine
        info = engine.info()
        while True:
            body = description(spec, surroundings(info, local=not self._copies), image.image_id, open_, mark)
            try:
                with engine.doing("creating the container"):
                    return engine.api.create_container_from_config(body, name(spec))
            except PodiumError as error:
                # The socket is on this machine, but its engine is not: a forwarded one, or one in a container or
                # virtual machine of its own.
                if self._copies or "bind source path does not exist" not in error.message:
                    raise
                say(f"the engine at {spec.address} does not see this machine's files: they are copied")
                self._copies = True

    def _follow(self, line: Any, forwarded: ForwardedOutput | None) -> ContainerEnd:
        self._control.control(self.engine, self._container)
        follower = OutputFollower(self.engine, self._container, forwarded=forwarded)
        try:
            return follow(follower, line, reopen=self._reopen, say=self._say)
        finally:
            self._shell_missing = b"exec /bin/sh failed" in follower.last_words

    def _reopen(self) -> Engine:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._control.control(self.engine, self._container)
        return self.engine

    def _say(self, text: str) -> None:
        say(f"container {self._container[:12]}: {text}")

    # Ending

    def _finish(self, end: ContainerEnd) -> None:
        outcome, signalled = self.outcome, self._control.signalled
        outcome.code = step_exit_code(end, signalled=signalled)
        if outcome.code == 0:
            if self._copies:
                self._bring_back()
            if end.out_of_memory:
                self._say("something in it was ended for want of memory; the command went on without it")
        elif not signalled:
            memory, run = self._spec.container.memory, self._spec.run
            found = explain(end, outcome.code, run=run, memory=memory, shell_missing=self._shell_missing)
            outcome.error, outcome.hint = found.error, found.hint

    def _bring_back(self) -> None:
        """EngineLost when the engine goes away meanwhile and does not come back: the container has the only copy, and
        stays."""
        lost_at: float | None = None
        while True:
            try:
                bring_back(self.engine, self._container, self._spec, say)
                return
            except EngineAway as error:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > ENGINE_TIMEOUT:
                    hint = "its container has them; `podium resume` takes it over"
                    raise EngineLost(
                        f"the outputs were not fetched: the engine was away for more than {ENGINE_TIMEOUT:g} s",
                        hint=hint,
                    ) from error
                self._say(f"{error.message}: waiting for it")
                time.sleep(RETRY_INTERVAL)
                with suppress(PodiumError):
                    self._reopen()

    def clean_up(self) -> None:
        """Removes the step's container, or keeps it for a person to look at when the step has failed by itself. Never
        raises a PodiumError."""
        if self.outcome.lost:
            with suppress(OSError):
                orphans.lost_marker(self._spec.state, self._spec.run, self._container).touch(mode=0o600)
            return
        with suppress(PodiumError):
            worth_a_look = (
                self._started and not self._shell_missing and self.outcome.code != 0 and not self._cancelled()
            )
            if worth_a_look and orphans.keep(self.engine, self._container):
                self.outcome.facts["container"] = self._container
            elif self._container:
                orphans.remove(self.engine, self._container)
            orphans.remove_unneeded(self.engine, self._spec.project, self._spec.home)

    def _cancelled(self) -> bool:
        from ....journal import Journal

        if not self._control.signalled:
            return False
        with Journal.open(self._spec.state / "journal.db") as journal:
            return journal.runs.cancel_request(self._spec.run) is not None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def say(text: str) -> None:
    """Writes a line to the step's log."""
    os.write(1, text.encode("utf-8", "replace") + b"\n")


def _about_weights(warning: str) -> bool:
    """Tells whether an engine only says that its machine has no such weights: they are never needed."""
    return "discarded" in warning and ("weight" in warning or "shares" in warning)


def _with_key(env: Mapping[str, str], key: str) -> dict[str, str]:
    """Returns the environment of a step whose key is known now that its image is."""
    context: dict[str, Any] = json.loads(env.get("MLFLOW_RUN_CONTEXT") or "{}")
    return {**env, "PODIUM_STEP_KEY": key, "MLFLOW_RUN_CONTEXT": json.dumps({**context, TAG_KEY: key})}


def main() -> int:
    spec = handover.unpack(ContainerStepSpec)
    if spec is None:
        print("the worker starts this; it is no command", file=sys.stderr)
        return 2
    step: ContainerStep | None = None
    try:
        step = ContainerStep(spec, SignalForwarder(spec.worker))
        _carry_out(step)
        step.clean_up()
        outcome = step.outcome
        write_result(spec.result, {"error": outcome.error, "hint": outcome.hint, **outcome.facts})
        return step.outcome.code
    except (WorkerGone, BrokenPipeError):
        return Interrupted.exit_code
    finally:
        if step is not None:
            step.close()


def _carry_out(step: ContainerStep) -> None:
    outcome = step.outcome
    try:
        step.carry_out()
    except Interrupted as error:
        outcome.code = error.exit_code
    except PodiumError as error:
        outcome.code = ContainerExitCode.ENGINE_FAILED
        outcome.error, outcome.hint, outcome.lost = error.message, error.hint, isinstance(error, EngineLost)
    except (WorkerGone, BrokenPipeError):
        raise
    except Exception as error:
        traceback.print_exc()
        outcome.code, outcome.error = (
            ContainerExitCode.ENGINE_FAILED,
            f"failed unexpectedly: {type(error).__name__}: {error}",
        )
    if outcome.error:
        os.write(2, "\n".join(filter(None, (outcome.error, outcome.hint))).encode("utf-8", "replace") + b"\n")


if __name__ == "__main__":
    sys.exit(main())
