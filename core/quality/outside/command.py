"""The check `run: COMMAND`: metrics that a command of the project prints as a JSON document.

The command runs as that of a step does: by the shell, in the run's directory, with the environment of steps, in a
session and, where there are any, a control group of its own. Its last words are masked before they are kept.
"""

from __future__ import annotations

import json
import math
import os
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...domain.frozen import Frozen
from ...domain.gates.checks import CommandCheck, Limits
from ...domain.models import Version
from ...domain.project import Check
from ...domain.text import one_line
from ...domain.verdicts import CheckResult, Verdict
from ...engine import environment
from ...engine.executors import Task
from ...engine.executors.process import ProcessExecution, ProcessExecutor
from ...errors import PodiumError
from ...logs.masking import masked
from ..limits import broken_limit, limit_words
from ..metrics import Unmeasurable
from ..reasons import told

if TYPE_CHECKING:
    from ...engine.context import StepContext

SHELL = ("/bin/sh", "-e", "-c")
MAX_DOCUMENT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_POLL_INTERVAL = 0.1
_KILL_TIMEOUT = 5.0
_SHOWN = 200


class _Ended(Frozen):
    """How the command ended."""

    code: int
    printed: bytes
    last: str
    problem: str = ""


def gate_check(context: StepContext, check: Check, candidate: Version) -> Sequence[CheckResult]:
    """Carries out the check: one result for each metric that has a limit. A command that fails, takes too long or
    prints no such document is an error."""
    assert check.command is not None
    shown = masked(" ".join(one_line(check.command.command).split()), context.project.secrets)[:60]
    try:
        found = _metrics(_carried_out(context, check.command, candidate), context.project.secrets)
    except (PodiumError, OSError) as error:
        if isinstance(error, PodiumError) and error.exit_code == 130:
            raise
        words = told(error) if isinstance(error, PodiumError) else f"{error}."
        return (CheckResult(f"run {shown}", Verdict.ERROR, masked(words, context.project.secrets)),)
    secrets = context.project.secrets
    return [_judged(name, limits, found, secrets) for name, limits in check.command.metrics.items()]


def _judged(name: str, limits: Limits, found: Mapping[str, Any], secrets: tuple[str, ...]) -> CheckResult:
    title = f"{name} {limit_words(limits)}"
    value = found.get(name)
    if name not in found:
        named = ", ".join(masked(one_line(each), secrets)[:40] for each in list(found)[:10]) or "nothing"
        return CheckResult(title, Verdict.ERROR, f"the command printed no {name!r}, but {named}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        shown = masked(one_line(str(value)), secrets)[:40]
        return CheckResult(title, Verdict.ERROR, f"{shown!r} is not a finite number")
    broken, limit = broken_limit(limits, float(value))
    message = f"{value:.6g} is {broken}" if broken else f"{value:.6g}"
    verdict = Verdict.FAIL if broken else Verdict.PASS
    message += ", as the command printed it, without an interval"
    return CheckResult(title, verdict, message, value=float(value), limit=limit)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _metrics(printed: bytes, secrets: tuple[str, ...]) -> Mapping[str, Any]:
    """Returns the document: all that was printed, or else the last line of it."""
    text = printed.decode("utf-8", "replace").strip()
    for part in (text, text.rpartition("\n")[2]):
        try:
            found = json.loads(part)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return cast("Mapping[str, Any]", found)
    shown = masked(one_line(text), secrets)[:_SHOWN] or "nothing"
    raise Unmeasurable(f"the command printed no JSON object of metrics, but {shown!r}", hint='print {"profit": 3.2}')


def _carried_out(context: StepContext, spec: CommandCheck, candidate: Version) -> bytes:
    ended = _Running(_task(context, spec, candidate), context.log).until_end(spec.timeout)
    last = f": {masked(ended.last, context.project.secrets)[:_SHOWN]}" if ended.last else ""
    if ended.problem:
        raise Unmeasurable(f"the command {ended.problem}{last}")
    if ended.code:
        how = f"failed with exit code {ended.code}" if ended.code > 0 else f"was ended by signal {-ended.code}"
        raise Unmeasurable(f"the command {how}{last}")
    return ended.printed


def _task(context: StepContext, spec: CommandCheck, candidate: Version) -> Task:
    """Returns the command as a task. What it is about is told by variables: nothing is put into the shell's line."""
    project, run = context.project, context.run
    gate = project.gates.get(str(context.options.get("gate", "")))
    about = {
        "PODIUM_MODEL": candidate.model,
        "PODIUM_VERSION": str(candidate.version),
        "PODIUM_MODEL_RUN": candidate.mlflow_run,
        "PODIUM_GATE_DATA": gate.data if gate is not None else "",
    }
    shared = {**environment.threads(spec.cpus, local=True), **environment.fixed(project, run)}
    env = environment.for_step(shared, run, context.step, "", about)
    cwd = Path(run.workspace) if run.workspace else project.root
    return Task(
        run.id,
        f"{context.step}-check",
        (*SHELL, spec.command),
        env,
        cwd,
        project=project,
        cpus=spec.cpus,
        memory=spec.memory,
        nice=project.nice,
    )


class _Running:
    """The command while it runs. What it writes to standard error is logged; standard output is the document."""

    def __init__(self, task: Task, log: Callable[[str], None]) -> None:
        self._log = log
        self._printed = bytearray()
        self._line = b""
        self._last = ""
        self._execution: ProcessExecution = ProcessExecutor().start(task)

    def until_end(self, timeout: float) -> _Ended:
        """Returns how it ended, within `timeout` seconds; a command that takes longer, or prints too much, is ended.
        What it left running is ended in any case."""
        execution, problem = self._execution, ""
        try:
            problem = self._follow(time.monotonic() + timeout)
            code = execution.poll()
            if code is None:
                problem = problem or f"did not end within {timeout:g} s"
            problem = problem or (str(execution.findings().get("error", "")) if code is not None else "")
            return _Ended(code or 0, bytes(self._printed), self._last, problem)
        finally:
            self._end()

    def _follow(self, deadline: float) -> str:
        execution = self._execution
        with selectors.DefaultSelector() as selector:
            for descriptor in (execution.stdout, execution.stderr):
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map() and time.monotonic() < deadline:
                ended = execution.poll() is not None
                events = selector.select(0 if ended else _POLL_INTERVAL)
                for key, _ in events:
                    if not self._read(key.fd):
                        selector.unregister(key.fd)
                if len(self._printed) > MAX_DOCUMENT_BYTES:
                    return f"printed more than {MAX_DOCUMENT_BYTES >> 20} MiB"
                if ended and not events:  # what it left running may hold the pipes open
                    return ""
            while execution.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_INTERVAL)
        return ""

    def _read(self, descriptor: int) -> bool:
        data = os.read(descriptor, _CHUNK_BYTES)
        if descriptor == self._execution.stdout:
            self._printed += data
            return bool(data)
        *lines, self._line = (self._line + data).split(b"\n") if data else [self._line, b""]
        for line in [*lines, self._cut()]:
            if text := line.decode("utf-8", "replace").rstrip():
                self._last = one_line(text)
                self._log(text)
        return bool(data)

    def _cut(self) -> bytes:
        """Returns a line that never ends, so that it does not grow without bound."""
        if len(self._line) <= _CHUNK_BYTES:
            return b""
        line, self._line = self._line, b""
        return line

    def _end(self) -> None:
        execution, deadline = self._execution, time.monotonic() + _KILL_TIMEOUT
        if execution.poll() is None or execution.leftovers():
            execution.terminate()
            while (execution.poll() is None or execution.leftovers()) and time.monotonic() < deadline:
                time.sleep(_POLL_INTERVAL)
                execution.kill()
        for descriptor in (execution.stdout, execution.stderr):
            os.close(descriptor)
