"""The supervisor of one step on Ray: `python -P -m podium.core.engine.executors.ray.supervisor`, its spec on standard
input.

To the worker it looks like the step itself: it prints what the step prints, ends with its exit code, and obeys signals.
The state of the job decides when it is over, never the end of a log; what a log lacks then is read once more.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import os
import signal
import sys
import tarfile
import tempfile
import threading
import time
import traceback
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from .... import handover
from ....beneath import Directory, move, unpack
from ....child import end_with_parent, tell
from ....errors import Interrupted, PodiumError, RunFailed, Unreachable
from ....replacing import replace_file
from ...environment import inherited
from ..supervised import write_result
from . import remote
from .jobs import Job, Jobs, told
from .output import JobOutput, passed_on
from .package import uploaded
from .spec import RayStepSpec

POLL_INTERVAL = 0.3
# How long a head that does not answer is waited for.
HEAD_TIMEOUT = 120.0
RETRY_INTERVAL = 1.0
# How long Ray waits, after it told a job to end, before it kills it: a little longer than a worker does.
STOP_WAIT = 6
# How long a job waits before that is told.
PHASE_AFTER = 3.0
# How long the rest of a log is waited for after the job's end.
REST_TIMEOUT = 20.0
# Bytes of outputs that are brought back through a job's log.
MAX_OUTPUT_BYTES = 256 << 20
FAILED_CODE = 125
_KILLED, _ENDED = 137, 143


class WorkerGone(BaseException):
    """Raised when the worker is gone; the job goes on."""


class Lost(PodiumError):
    """What has become of the job cannot be known, or nothing any more."""


class Asked:
    """What the worker has asked for, by signals."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self.end = self.kill = False
        self.news = threading.Event()
        signal.signal(signal.SIGTERM, self._term)
        signal.signal(signal.SIGUSR2, self._kill)
        signal.signal(signal.SIGHUP, self._orphaned)
        end_with_parent(signal.SIGHUP)
        if os.getppid() != worker:
            raise WorkerGone

    def _term(self, number: int, frame: object) -> None:
        self._ensure_asked()
        self.end = True
        self.news.set()

    def _kill(self, number: int, frame: object) -> None:
        self._ensure_asked()
        self.end = self.kill = True
        self.news.set()

    def _ensure_asked(self) -> None:
        """Raises WorkerGone if it is not the worker that asks: whoever tidies up after one ends its children, and the
        job is to go on."""
        if os.getppid() != self._worker:
            raise WorkerGone

    def _orphaned(self, number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise WorkerGone


class RayStep:
    def __init__(self, spec: RayStepSpec, asked: Asked, tar: IO[bytes]) -> None:
        self._spec, self._asked, self._tar = spec, asked, tar
        self._jobs = Jobs(spec.address)
        self._mark = _mark(spec)
        self._output: JobOutput | None = None
        self._following: threading.Thread | None = None
        self._phase = ""
        self._pending_since: float | None = None
        self._stopped = False
        self._number = delivered(spec.delivered)
        self.facts: dict[str, Any] = {}

    @property
    def _name(self) -> str:
        """The job's name. What Ray was told to forget may come back as failed, so a name is never used twice."""
        return self._spec.submission + (f"-{self._number}" if self._number else "")

    def note_delivered(self) -> None:
        """Notes that the worker is told of this job's end: who does the step again means another job."""
        replace_file(self._spec.delivered, str(self._number + 1))

    def carry_out(self) -> int:
        """Returns the command's exit code. Raises PodiumError where there is none."""
        spec = self._spec
        job = self._found()
        while True:
            adopted = job is not None
            job = job or self._begin()
            self.facts.update(ray_job=self._name, ray_address=spec.address)
            line = f"ray job {self._name}"
            skip = passed_on(spec.log, line) if adopted else {}
            say(line + (": it went on without a worker and is taken over" if adopted else f" at {spec.address}"))
            self._output = JobOutput(say, self._tar, skip=skip)
            job = self._followed(job)
            if self._asked.end or not _never_began(job):
                break
            say("ray: it has waited for room for longer than Ray keeps such a job, and is submitted again")
            self.note_delivered()
            self._number, self._phase, job = self._number + 1, "", None
        self._read_rest(job)
        code = self._code(job)
        if code == 0 and spec.outputs and not spec.shared:
            self._bring_back()
        return code

    # Beginning

    def _found(self) -> Job | None:
        """Returns the job of an earlier worker that does just what is to be done now; one that does something else is
        ended and forgotten."""
        name = self._name
        job = self._patiently(name)
        if job is None:
            return None
        if job.metadata.get("mark") == self._mark:
            return job
        if not job.over:
            self._jobs.stop(name)
            while (job := self._patiently(name)) is not None and not job.over:
                self._asked.news.wait(POLL_INTERVAL)
        self._number += 1
        return None

    def _begin(self) -> Job:
        spec = self._spec
        environment: dict[str, Any] = dict(spec.runtime_env)
        if not spec.shared:
            address, sent = uploaded(self._jobs, spec.root)
            if sent:
                say(f"ray: sent the run's files, {sent / 1e6:.1f} MB")
            environment["working_dir"] = address
        if self._asked.end:
            raise Interrupted("told to end")
        handed = {
            "argv": spec.argv,
            "env": dict(spec.env),
            "cwd": str(spec.root) if spec.shared else "",
            "outputs": () if spec.shared else spec.outputs,
            "limit": MAX_OUTPUT_BYTES,
        }
        variables: dict[str, str] = {
            **(environment.get("env_vars") or {}),
            remote.VARIABLE: base64.b64encode(json.dumps(handed).encode()).decode(),
            "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT),
        }
        request: dict[str, Any] = {
            "entrypoint": _entrypoint(),
            "submission_id": self._name,
            "runtime_env": {**environment, "env_vars": variables},
            "metadata": {**spec.metadata, "mark": self._mark},
            "entrypoint_num_cpus": spec.cpus,
            "entrypoint_num_gpus": spec.gpus or None,
            "entrypoint_memory": spec.memory or None,
            "entrypoint_resources": dict(spec.resources) or None,
        }
        self._jobs.submit({name: value for name, value in request.items() if value is not None})
        job = self._patiently(self._name)
        if job is None:
            raise Lost(f"Ray does not know the job {self._name} that it has just taken", hint="try again")
        return job

    # Following

    def _followed(self, job: Job) -> Job:
        """Returns the job once it is over."""
        while not job.over:
            self._tell_phase(job)
            self._follow(job)
            if self._asked.end and not self._stopped:
                self._stopped = True
                with suppress(Unreachable):
                    self._jobs.stop(self._name)
            if self._asked.kill and job.status == "PENDING":
                # Ray tells a job to end once there is room for it, and then its command hardly begins.
                say("ray: it still waits for room, and ends as soon as it has some")
                return replace(job, status="STOPPED")
            self._asked.news.wait(POLL_INTERVAL)
            self._asked.news.clear()
            found = self._patiently(self._name)
            if found is None:
                raise Lost(
                    f"Ray has forgotten the job {self._name}: its head was started anew, or it was removed",
                    hint="what it did is not known; podium resume starts it again",
                )
            job = found
        return job

    def _patiently(self, name: str) -> Job | None:
        """Asks for the job; a head that is away is waited for. Raises Lost when it stays away."""
        deadline = time.monotonic() + HEAD_TIMEOUT
        away = False
        while True:
            try:
                found = self._jobs.get(name)
                if away:
                    say("ray: the head answers again")
                return found
            except Unreachable as error:
                if not away:
                    say(f"ray: {error.message}; waiting for it")
                    away = True
                if time.monotonic() > deadline:
                    raise Lost(
                        f"{error.message}; given up after {HEAD_TIMEOUT:g} s",
                        hint=f"the job {name} may still be running: podium resume finds it again",
                    ) from error
                self._asked.news.wait(RETRY_INTERVAL)
                if self._asked.kill:
                    raise Lost(f"{error.message}, so the job {name} could not be ended") from error

    def _tell_phase(self, job: Job) -> None:
        """Says once what a job that does not run yet waits for: room, or what is being installed for it."""
        if job.status != "PENDING" or not job.message or job.message == self._phase:
            return
        self._pending_since = self._pending_since or time.monotonic()
        if time.monotonic() > self._pending_since + PHASE_AFTER:
            self._phase = job.message
            say(f"ray: {job.message}")

    def _follow(self, job: Job) -> None:
        if job.status != "RUNNING" or not job.node or (self._following is not None and self._following.is_alive()):
            return
        self._following = threading.Thread(target=self._read_on, args=(job.node,), daemon=True, name="log")
        self._following.start()

    def _read_on(self, node: str) -> None:
        assert self._output is not None
        # When it ends, whatever the reason, it is begun again for as long as the job runs.
        with suppress(PodiumError):
            self._jobs.follow(self._name, node, cast("BinaryIO", self._output.reading()))

    def _read_rest(self, job: Job) -> None:
        """Reads what of the log is still missing; a node that is gone has taken it along."""
        assert self._output is not None
        deadline = time.monotonic() + REST_TIMEOUT
        while self._output.code is None and job.node:
            with suppress(Unreachable):
                self._jobs.log(self._name, job.node, cast("BinaryIO", self._output.reading()))
            if self._output.code is not None or job.status != "SUCCEEDED" or time.monotonic() > deadline:
                return
            self._asked.news.wait(RETRY_INTERVAL)

    # Ending

    def _code(self, job: Job) -> int:
        """Returns the command's exit code. Raises RunFailed for a job that has ended without one."""
        assert self._output is not None
        code = self._output.code
        if code is not None:
            return code
        if job.status == "STOPPED":
            return _KILLED if self._asked.kill or self._stopped else _ENDED
        if job.status == "SUCCEEDED":
            raise RunFailed(
                "the job has ended well, but the end of its log is lost, and with it its outputs",
                hint="was its node stopped at once? podium resume starts it again",
            )
        message, hint = _why(job)
        raise RunFailed(message, hint=hint)

    def _bring_back(self) -> None:
        spec = self._spec
        self._tar.flush()
        self._tar.seek(0)
        with tempfile.TemporaryDirectory(dir=spec.state, prefix="fetched-") as scratch:
            with Directory.open(Path(scratch)) as files, tarfile.open(fileobj=self._tar, mode="r:gz") as tar:
                unpack(tar, files)
            for output in spec.outputs:
                name = os.path.normpath(output)
                if not os.path.lexists(Path(scratch) / name):
                    continue
                _put(Path(scratch), name, spec.root)


def _put(scratch: Path, name: str, root: Path) -> None:
    """Replaces what is there by the output. A link in it that leads out of the project is refused."""
    for found in [scratch / name, *(scratch / name).rglob("*")]:
        if found.is_symlink() and not found.resolve().is_relative_to(scratch.resolve()):
            raise RunFailed(f"output {name} has a link that leads out of it: {found.name}")
    with Directory.open(scratch) as source, Directory.open(root) as target:
        parent, last = target.parent(name, make=True)
        with parent:
            parent.remove(last)
            with source.below(str(Path(name).parent)) if "/" in name else source.below(".") as holder:
                move(holder, last, parent, last)


def _never_began(job: Job) -> bool:
    """Tells whether Ray has given up a job that waited for room: by default after a quarter of an hour."""
    return job.status == "FAILED" and not job.node and "failed to start within" in job.message


def _why(job: Job) -> tuple[str, str]:
    """Returns why a job failed of which no exit code is known: message and hint."""
    # What follows is the command itself, and the log, which is in the step's own.
    message = job.message.partition(", last available logs")[0] or "no reason given"
    low = message.lower()
    if "runtime_env" in low or "runtime env" in low:
        return f"Ray could not make the environment of the job: {message}", "correct `runtime_env` of the step"
    if "exit code -9" in low or "died" in low or "node" in low:
        return f"the job was lost with its node, or killed there: {message}", "with `retries:` it is started again"
    if "entrypoint command failed" in low:
        return f"the job ended before its command did: {message}", "podium resume starts it again"
    return f"Ray could not run the job: {message}", "`podium cluster` shows what the cluster has"


def _mark(spec: RayStepSpec) -> str:
    """Returns what tells whether a job does what the step is now: whatever decides its outcome, but not the files,
    which an attempt that goes on has got already, nor what a step inherits of whoever calls: another terminal's
    language, or credentials that were renewed, are no reason to end what has run for hours."""
    callers = inherited(spec.env)
    env = {name: value for name, value in spec.env.items() if name not in callers}
    facts = [
        spec.argv, env, str(spec.root), spec.shared, spec.outputs, spec.cpus, spec.memory, spec.gpus,
        dict(spec.resources), dict(spec.runtime_env),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _entrypoint() -> str:
    """Returns the job's command: the program of `remote.py` itself, in whatever Python the node has."""
    source = base64.b64encode(zlib.compress(inspect.getsource(remote).encode(), 9)).decode()
    code = f"import base64,zlib;exec(compile(zlib.decompress(base64.b64decode('{source}')),'podium','exec'))"
    return f'exec "$(command -v python || command -v python3)" -c "{code}"'


def delivered(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def say(text: str) -> None:
    tell(text)


def main() -> int:
    spec = handover.unpack(RayStepSpec)
    assert spec is not None
    facts: Mapping[str, Any] = {}
    code = FAILED_CODE
    over: RayStep | None = None
    try:
        asked = Asked(spec.worker)
        with tempfile.TemporaryFile(dir=spec.state) as tar:
            step = RayStep(spec, asked, tar)
            try:
                code = step.carry_out()
                facts, over = step.facts, step
            except Interrupted:
                code, facts = _ENDED, step.facts
            except PodiumError as error:
                # One whose fate is not known is looked for again.
                over = None if isinstance(error, Lost | Unreachable) else step
                facts = {**step.facts, "error": error.message, "hint": error.hint}
                tell(told(error), sys.stderr)
    except WorkerGone:
        os._exit(FAILED_CODE)
    except Exception as error:
        traceback.print_exc()
        facts = {"error": f"the supervisor failed: {type(error).__name__}: {error}", "hint": ""}
    write_result(spec.result, facts)
    if over is not None:
        with suppress(OSError):
            over.note_delivered()
    sys.stdout.flush()
    # A log that is still being followed is not waited for.
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
