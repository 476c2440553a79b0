"""Carries a run's steps out: as many at once as allowed, each when what it needs is over. One thread and one selector.

What runs is in `attempts.py`, what is due later in `timers.py`, what is written in `record.py`; this file decides.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...domain.project import Project
from ...domain.runs import Run, RunState, Step, StepState
from ...domain.text.format import duration
from ...errors import PodiumError
from ...journal import Journal
from ..approvals import counting, missing, waiting_words
from ..graph import PlannedStep
from .admission import LOOK_INTERVAL, Admission
from .attempt import STOP_GRACE, AttemptEnd
from .attempts import Attempts
from .record import RunRecord
from .run_graph import RunGraph, StepNode
from .step_launcher import Launcher, NotAdmitted, StepFailed
from .timers import Timers
from .workspace_locks import WorkspaceLocks

HEARTBEAT_INTERVAL = 1.0
MAX_BACKOFF = 300.0
CLAIM_INTERVAL = 0.2
_NEVER_HINT = "ask for less in podium.yaml, or run it where there is more"


class Runner:
    """`wake` is the end of a socket pair into which signals are written; `resumed` are steps that an earlier worker
    finished. `isolated` says that the run has a directory of its own."""

    def __init__(
        self,
        project: Project,
        journal: Journal,
        run: Run,
        steps: Sequence[PlannedStep],
        *,
        wake: socket.socket,
        told_to_end: Callable[[], bool],
        resumed: Sequence[Step] = (),
        isolated: bool = False,
        grace: float = STOP_GRACE,
    ) -> None:
        self._journal, self._run, self._told_to_end = journal, run, told_to_end
        self._graph = RunGraph(steps)
        self._graph.take_over(resumed)
        workspace = Path(run.workspace or project.root)
        self._admission = Admission(project, run)
        self._launcher = Launcher(
            project,
            run,
            workspace,
            self._graph,
            isolated=isolated,
            breathe=self._keep_up_while_busy,
            admission=self._admission,
        )
        self._claims = None if isolated else WorkspaceLocks(project.state, steps, run.id)
        self._attempts = Attempts(wake, grace=grace)
        self._timers = Timers()
        self._record = RunRecord(journal, run.id)
        # Steps that are neither running nor in the graph's queue: they wait for approval, for their next attempt, or
        # come next.
        self._awaiting_approval: list[StepNode] = []
        self._backing_off: set[str] = set()
        self._next: list[StepNode] = []
        # Those that wait for what this machine has.
        self._queued: list[StepNode] = []
        # The step that is being started or ended: a cancellation meanwhile leaves it to the code that does that.
        self._in_hand = ""
        self._blocked_by = ""
        self._cancelled: tuple[str, str] | None = None
        # Cells that are being stopped because another one failed, with the words for that.
        self._given_up: dict[str, str] = {}
        self._data_version = -1

    def run(self) -> tuple[RunState, str]:
        """Runs the steps; returns the run's final state with its message. Raises JournalError or OSError if the
        state cannot be written any more; then nothing is left running."""
        try:
            self._beat()
            while True:
                self._check_requests()
                self._start_ready()
                if not self._graph.unfinished:
                    break
                self._note_run_state()
                self._record.flush()
                self._wait()
            self._record.flush()
        except BaseException:
            self._attempts.abandon()
            raise
        finally:
            self._launcher.close()
            self._attempts.close()
            self._admission.close()
            if self._claims:
                self._claims.release()
        return self._outcome()

    # Starting

    def _start_ready(self) -> None:
        for node in list(self._queued):
            if self._admitted(node):
                self._queued.remove(node)
                self._begin(node)
        # No more wait than could run: each of them keeps what it asks for from those that come later.
        while len(self._attempts) + len(self._queued) < self._run.jobs:
            node = self._next.pop(0) if self._next else self._graph.take_ready()
            if node is None:
                return
            if not self._may_begin(node):
                continue
            if node.step.command and self._claims and self._claims.needed and not self._claim():
                self._next.insert(0, node)
                return
            self._begin(node)
            self._record.flush_if_due()

    def _admitted(self, node: StepNode) -> bool:
        """Claims what the step asks of this machine; if it has to wait, says for what. Raises StepFailed for one
        that can never run here."""
        words = self._admission.take(node.step)
        waited = node in self._queued
        if not words:
            if waited:
                node.message = ""
                self._launcher.log(node).note("goes on")
            return True
        if not waited:
            if never := self._admission.impossible(node.step):
                raise StepFailed(f"it can never run here: {never}", _NEVER_HINT)
            self._queued.append(node)
            self._launcher.log(node).note(words)
        if words != node.message:
            node.message = words
            node.state = StepState.PENDING
            self._change(node, message=words)
        self._timers.wake_after(LOOK_INTERVAL)
        return False

    def _may_begin(self, node: StepNode) -> bool:
        if self._cancelled:
            self._settle(node, StepState.CANCELLED)
            return False
        values = {"trigger": str(self._run.trigger), "branch": self._run.branch}
        try:
            reason = self._graph.reason_to_skip(node, values, self._run.params)
            asked = "" if reason else self._launcher.why_asked(node)
        except PodiumError as error:
            self._fail(node, StepFailed(error.message, error.hint))
            return False
        if reason:
            self._settle(node, StepState.SKIPPED, reason)
            return False
        if asked:
            node.step = replace(node.step, spec=replace(node.step.spec, approval=True, approval_reason=asked))
        if node.step.spec.approval and not self._approved(node):
            self._await_approval(node)
            return False
        return True

    def _approved(self, node: StepNode) -> bool:
        """Tells whether the step has all approvals that it needs; those that do not count any more are taken back."""
        runs, spec, now = self._journal.runs, node.step.spec, time.time()
        given = runs.approvals(self._run.id, node.step.name)
        counted = counting(spec, given, now)
        if any(now - each.at > spec.approval_timeout for each in given):
            runs.withdraw_approvals(self._run.id, node.step.name, before=now - spec.approval_timeout)
        node.message = waiting_words(spec, counted)
        return missing(spec, counted) == 0

    def _await_approval(self, node: StepNode) -> None:
        node.state = StepState.WAITING
        self._awaiting_approval.append(node)
        self._change(node, message=node.message)
        seconds = node.step.spec.approval_timeout

        def give_up() -> None:
            if node in self._awaiting_approval and not self._approved(node):
                self._awaiting_approval.remove(node)
                hint = f"podium resume {self._run.id} asks again"
                self._fail(node, StepFailed(f"nobody approved it within {duration(seconds)}", hint))

        self._timers.after(seconds, give_up)

    def _claim(self) -> bool:
        assert self._claims
        path = self._claims.take()
        self._blocked_by = f"waits for {self._neighbours()}, which uses {path}" if path else ""
        if path:
            self._timers.wake_after(CLAIM_INTERVAL)
        return not path

    def _neighbours(self) -> str:
        """Returns the run that works in the same directory, if there is exactly one."""
        others = [
            run.id
            for run in self._journal.runs.active()
            if run.id != self._run.id and run.workspace == self._run.workspace and run.started
        ]
        return f"run {others[0]}" if len(others) == 1 else "another run"

    def _begin(self, node: StepNode) -> None:
        node.attempt += 1
        node.state = StepState.RUNNING
        if node.started is None or node.attempt == 1:
            node.started = time.time()
        self._in_hand = node.step.name
        try:
            execution = self._launcher.begin(node, lambda: self._admitted(node))
        except NotAdmitted:
            node.attempt -= 1
            node.state = StepState.PENDING
            return
        except StepFailed as problem:
            self._admission.release(node.step.name)
            if self._cancelled:
                self._settle(node, StepState.CANCELLED, self._cancelled_words())
            else:
                self._fail(node, problem)
            return
        finally:
            self._in_hand = ""
        if execution is None:
            self._admission.release(node.step.name)
            self._settle(node, StepState.SUCCEEDED)
            return
        self._change(node, attempt=node.attempt, started=node.started, key=node.key, message="")
        log, timeout = self._launcher.log(node), node.step.spec.timeout
        attempt = self._attempts.add(node.step.name, execution, log, timeout=timeout)
        if self._cancelled:
            attempt.stop(self._cancelled_words())

    # Waiting, and what has ended then

    def _wait(self) -> None:
        looks = [at for at in (self._timers.next_at(), self._attempts.next_look()) if at is not None]
        if self._attempts.wait(min(looks, default=time.monotonic() + HEARTBEAT_INTERVAL)):
            for name, ending in self._attempts.take_ended():
                self._end(self._graph.nodes[name], ending)
        self._timers.run_due()

    def _beat(self) -> None:
        """Writes the heartbeat, now and every HEARTBEAT_INTERVAL seconds. As a timer it also bounds the loop's
        wait, so that requests in the journal are noticed within that time even without a signal."""
        self._journal.runs.heartbeat(self._run.id)
        for name, words in self._admission.gpu_words().items():
            node = self._graph.nodes[name]
            if words != node.message and name in self._attempts:
                node.message = words
                self._change(node, message=words)
        self._timers.after(HEARTBEAT_INTERVAL, self._beat)

    def _keep_up_while_busy(self) -> None:
        """Keeps pipes from filling up while the launcher reads a large file, and interrupts that if the run is
        cancelled."""
        self._attempts.read_now()
        self._check_requests()
        if self._cancelled:
            raise StepFailed("cancelled")

    def _end(self, node: StepNode, ending: AttemptEnd) -> None:
        self._in_hand = node.step.name
        self._admission.release(node.step.name)
        if node.step.spec.gpus:
            node.message = ""
        try:
            self._launcher.finish(node, ending)
        except StepFailed as problem:
            if self._cancelled:
                self._settle(node, StepState.CANCELLED, self._cancelled_words(), exit_code=ending.code)
            elif ending.reason and ending.reason == self._given_up.get(node.step.name):
                self._settle(node, StepState.CANCELLED, ending.reason, exit_code=ending.code)
            elif node.attempt <= node.step.spec.retries:
                self._retry_later(node, problem)
            else:
                self._fail(node, problem, exit_code=ending.code)
        else:
            self._settle(node, StepState.SUCCEEDED, node.message, exit_code=ending.code)
        finally:
            self._in_hand = ""

    def _retry_later(self, node: StepNode, problem: StepFailed) -> None:
        spec = node.step.spec
        delay = min(spec.backoff * 2 ** (node.attempt - 1), MAX_BACKOFF)
        message = f"attempt {node.attempt} of {spec.retries + 1}: {problem.message}; again in {delay:g} s"
        self._launcher.log(node).note(message)
        self._change(node, message=message)
        self._backing_off.add(node.step.name)

        def retry() -> None:
            if node.step.name in self._backing_off:
                self._backing_off.discard(node.step.name)
                self._next.append(node)

        self._timers.after(delay, retry)

    def _fail(self, node: StepNode, problem: StepFailed, **fields: Any) -> None:
        message = f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
        self._settle(node, StepState.FAILED, message, **fields)
        if node.step.spec.fail_fast and not node.step.spec.allow_failure:
            self._give_up_cells(node)

    def _give_up_cells(self, failed: StepNode) -> None:
        """Stops the other cells of the failed one's matrix, and starts none of them."""
        words = f"stopped because {failed.step.name} failed (fail_fast)"
        for node in self._graph.other_cells(failed):
            name = node.step.name
            if name in self._attempts:
                self._given_up[name] = words
                self._attempts.stop(words, only=name)
                continue
            self._backing_off.discard(name)
            for waiting in (self._awaiting_approval, self._next, self._queued):
                if node in waiting:
                    waiting.remove(node)
            self._admission.release(name)
            self._settle(node, StepState.CANCELLED, words)

    def _settle(self, node: StepNode, state: StepState, message: str = "", **fields: Any) -> None:
        incomplete = self._launcher.close_log(node)
        node.message = message = f"{message}\n{incomplete}".strip() if incomplete else message
        self._graph.settle(node.step.name, state)
        fields.update(attempt=node.attempt, ended=time.time(), message=message)
        if node.attempt:
            fields.update(
                started=node.started, key=node.key, cached=node.cached, origin=node.origin, results=node.results
            )
        self._change(node, **fields)

    # Requests from outside

    def _check_requests(self) -> None:
        if self._told_to_end() and not self._cancelled:
            self._cancel(
                self._journal.runs.cancel_request(self._run.id) or ("the system", "the worker was told to end")
            )
        version = self._journal.data_version()
        if version == self._data_version:
            return
        self._data_version = version
        if not self._cancelled and (request := self._journal.runs.cancel_request(self._run.id)):
            self._cancel(request)
        for node in list(self._awaiting_approval):
            before = node.message
            if self._approved(node):
                self._awaiting_approval.remove(node)
                self._next.append(node)
            elif node.message != before:
                self._change(node, message=node.message)

    def _cancel(self, request: tuple[str, str]) -> None:
        self._cancelled = request
        self._attempts.stop(self._cancelled_words())
        self._backing_off.clear()
        for node in self._graph.nodes.values():
            name = node.step.name
            if not node.state.finished and name not in self._attempts and name != self._in_hand:
                self._settle(node, StepState.CANCELLED)
        for node in self._queued:
            self._admission.release(node.step.name)
        self._awaiting_approval.clear()
        self._next.clear()
        self._queued.clear()

    def _cancelled_words(self) -> str:
        return f"cancelled by {self._cancelled[0]}" if self._cancelled else ""

    # The run's state

    def _note_run_state(self) -> None:
        if self._blocked_by and self._next:
            self._record.change_run(RunState.QUEUED, self._blocked_by)
        elif self._queued and not self._attempts:
            first = self._queued[0]
            self._record.change_run(RunState.QUEUED, f"{first.step.name} {first.message}")
        elif self._awaiting_approval and not self._attempts and not self._backing_off and not self._next:
            names = ", ".join(node.step.name for node in self._awaiting_approval)
            reason = next((node.step.spec.approval_reason for node in self._awaiting_approval), "")
            words = f"waits for approval of {names}" + (f": {reason}" if reason else "")
            self._record.change_run(RunState.WAITING, words)
            self._release_claims()
        else:
            self._record.change_run(RunState.RUNNING, "")

    def _release_claims(self) -> None:
        """Releases the workspace while the run waits for approval, unless a remaining step uses files in it: other
        runs must not wait for that."""
        left = (node.step for node in self._graph.nodes.values() if not node.state.finished)
        if self._claims and not any(step.command and (step.inputs or step.outputs) for step in left):
            self._claims.release()
            self._claims = None

    def _change(self, node: StepNode, **fields: Any) -> None:
        self._record.change_step(node.step.name, **fields, state=node.state)

    def _outcome(self) -> tuple[RunState, str]:
        if self._cancelled:
            who, why = self._cancelled
            return RunState.CANCELLED, f"cancelled by {who}" + (f": {why}" if why else "")
        failures = self._graph.failures()
        if not failures:
            return RunState.SUCCEEDED, ""
        first = failures[0]
        reason = _reason(first)
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        return RunState.FAILED, f"step {first.step.name}: {reason}{more}"


def _reason(node: StepNode) -> str:
    """Returns in one line why a step failed. Of a command it is what it wrote last: its exit code says nothing."""
    how, _, words = node.message.partition("\n")
    said = words.partition("\n")[0]
    return f"{said} ({how})" if said and node.step.command and how.startswith("exit code ") else how or "failed"
