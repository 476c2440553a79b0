"""Carries a run's steps out: as many at once as allowed, each when what it needs is over. One thread and one selector.

Changes of steps are collected and written to the journal together, each time the loop is about to wait, so that a
step costs one short write and what is on record is never behind what is going on.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..domain.project import Project
from ..domain.runs import Run, RunState, Step, StepState
from ..errors import PodiumError
from ..journal import Journal
from .attempt import GRACE, Attempt, Ending
from .graph import PlannedStep
from .run_graph import Node, RunGraph
from .step_launcher import Launcher, Problem
from .workspace_locks import Claims

HEARTBEAT = 1.0
_LONGEST_BACKOFF = 300.0
_CLAIM_EVERY = 0.2
_FLUSH_EVERY = 0.1


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
        grace: float = GRACE,
    ) -> None:
        self._project, self._journal, self._run = project, journal, run
        self._board = RunGraph(steps)
        self._board.take_over(resumed)
        self._grace = grace
        self._wake, self._told_to_end = wake, told_to_end
        self._launch = Launcher(
            project, run, Path(run.workspace or project.root), self._board, isolated=isolated, breathe=self._breathe
        )
        self._claims = None if isolated else Claims(project.state, steps, run.id)
        self._selector = selectors.DefaultSelector()
        self._selector.register(wake, selectors.EVENT_READ)
        self._attempts: dict[str, Attempt] = {}
        self._readers: dict[int, Attempt] = {}
        self._current = ""
        self._flushed = 0.0
        self._backing_off: set[str] = set()
        self._waiting: list[Node] = []
        self._held: list[Node] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changes: dict[str, dict[str, Any]] = {}
        self._recorded = (RunState.RUNNING, "")
        self._blocked = ""
        self._cancelled: tuple[str, str] | None = None
        self._seen = -1
        self._values = {"trigger": str(run.trigger), "branch": run.branch}

    def run(self) -> tuple[RunState, str]:
        """The run's final state with its message. JournalError or OSError when it cannot be kept on record any more;
        then nothing is left running."""
        try:
            self._beat()
            while True:
                self._check_requests()
                self._start_ready()
                if not self._board.unfinished:
                    break
                self._settle_state()
                self._flush()
                self._wait()
            self._flush()
        except BaseException:
            for attempt in self._attempts.values():
                attempt.abandon()
            raise
        finally:
            self._launch.close()
            self._selector.close()
            if self._claims:
                self._claims.release()
        return self._outcome()

    # Starting

    def _start_ready(self) -> None:
        while len(self._attempts) < self._run.jobs:
            node = self._held.pop(0) if self._held else self._board.take_ready()
            if node is None:
                return
            if not self._may_begin(node):
                continue
            if node.step.command and self._claims and self._claims.needed and not self._claim():
                self._held.insert(0, node)
                return
            self._begin(node)
            if time.monotonic() - self._flushed > _FLUSH_EVERY:
                self._flush()

    def _may_begin(self, node: Node) -> bool:
        name = node.step.name
        if self._cancelled:
            self._settle(node, StepState.CANCELLED)
            return False
        try:
            reason = self._board.reason_to_skip(node, self._values, self._run.params)
        except PodiumError as error:
            self._fail(node, Problem(error.message, error.hint))
            return False
        if reason:
            self._settle(node, StepState.SKIPPED, reason)
            return False
        if node.step.spec.approval and self._journal.runs.approval(self._run.id, name) is None:
            node.state = StepState.WAITING
            self._waiting.append(node)
            self._change(node, message="waits for approval")
            return False
        return True

    def _claim(self) -> bool:
        assert self._claims
        path = self._claims.take()
        self._blocked = f"waits for {self._neighbours()}, which uses {path}" if path else ""
        if path:
            self._after(_CLAIM_EVERY, lambda: None)
        return not path

    def _neighbours(self) -> str:
        """The run that works in the same directory, where it is only one."""
        others = [
            run.id
            for run in self._journal.runs.active()
            if run.id != self._run.id and run.workspace == self._run.workspace and run.started
        ]
        return f"run {others[0]}" if len(others) == 1 else "another run"

    def _begin(self, node: Node) -> None:
        node.attempt += 1
        node.state = StepState.RUNNING
        if node.started is None or node.attempt == 1:
            node.started = time.time()
        self._current = node.step.name
        begun = self._launch.begin(node)
        self._current = ""
        if not isinstance(begun, Problem) and begun is not None:
            self._change(node, attempt=node.attempt, started=node.started, key=node.key, message="")
            attempt = Attempt(
                begun, self._launch.log(node), timeout=node.step.spec.timeout, unwatch=self._unwatch, grace=self._grace
            )
            self._attempts[node.step.name] = attempt
            for descriptor in attempt.descriptors:
                self._readers[descriptor] = attempt
                self._selector.register(descriptor, selectors.EVENT_READ)
            if self._cancelled:
                attempt.stop(f"cancelled by {self._cancelled[0]}")
            return
        if self._cancelled and begun is not None:
            self._settle(node, StepState.CANCELLED, f"cancelled by {self._cancelled[0]}")
        elif begun is not None:
            self._fail(node, begun)
        else:
            self._settle(node, StepState.SUCCEEDED)

    # Waiting and what comes of it

    def _wait(self) -> None:
        now = time.monotonic()
        looks = [at for attempt in self._attempts.values() if (at := attempt.next_look()) is not None]
        until = min((self._timers[0][0], *looks)) if self._timers else min(looks, default=now + HEARTBEAT)
        events = self._selector.select(max(0.0, until - now))
        self._take(events)
        if any(key.fileobj is self._wake for key, _ in events) or time.monotonic() >= until or not self._readers:
            self._advance()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _take(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in events:
            if key.fileobj is self._wake:
                with suppress(BlockingIOError):
                    self._wake.recv(4096)
            elif attempt := self._readers.get(key.fd):
                attempt.read(key.fd)

    def _unwatch(self, descriptor: int) -> None:
        self._readers.pop(descriptor, None)
        self._selector.unregister(descriptor)

    def _breathe(self) -> None:
        """While the launcher reads a large file: keep pipes from filling up, and end when told to."""
        self._take(self._selector.select(0))
        self._check_requests()
        if self._cancelled:
            raise Problem("cancelled")

    def _advance(self) -> None:
        for name, attempt in list(self._attempts.items()):
            ending = attempt.advance()
            if ending is not None:
                del self._attempts[name]
                self._ended(self._board.nodes[name], ending)

    def _ended(self, node: Node, ending: Ending) -> None:
        self._current = node.step.name
        problem = self._launch.finish(node, ending)
        self._current = ""
        if problem is None:
            self._settle(node, StepState.SUCCEEDED, node.message, exit_code=ending.code)
        elif self._cancelled:
            self._settle(node, StepState.CANCELLED, f"cancelled by {self._cancelled[0]}", exit_code=ending.code)
        elif node.attempt <= node.step.spec.retries:
            self._back_off(node, problem)
        else:
            self._fail(node, problem, exit_code=ending.code)

    def _back_off(self, node: Node, problem: Problem) -> None:
        spec = node.step.spec
        delay = min(spec.backoff * 2 ** (node.attempt - 1), _LONGEST_BACKOFF)
        message = f"attempt {node.attempt} of {spec.retries + 1}: {problem.message}; again in {delay:g} s"
        self._launch.log(node).note(message)
        self._change(node, message=message)
        self._backing_off.add(node.step.name)

        def again() -> None:
            if node.step.name in self._backing_off:
                self._backing_off.discard(node.step.name)
                self._held.append(node)

        self._after(delay, again)

    def _fail(self, node: Node, problem: Problem, **fields: Any) -> None:
        message = f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
        self._settle(node, StepState.FAILED, message, **fields)

    def _settle(self, node: Node, state: StepState, message: str = "", **fields: Any) -> None:
        incomplete = self._launch.close_log(node)
        node.message = message = f"{message}\n{incomplete}".strip() if incomplete else message
        self._board.settle(node.step.name, state)
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
        if version == self._seen:
            return
        self._seen = version
        if not self._cancelled and (request := self._journal.runs.cancel_request(self._run.id)):
            self._cancel(request)
        for node in list(self._waiting):
            if self._journal.runs.approval(self._run.id, node.step.name):
                self._waiting.remove(node)
                self._held.append(node)

    def _cancel(self, request: tuple[str, str]) -> None:
        self._cancelled = request
        for attempt in self._attempts.values():
            attempt.stop(f"cancelled by {request[0]}")
        self._backing_off.clear()
        for node in self._board.nodes.values():
            if not node.state.finished and node.step.name not in self._attempts and node.step.name != self._current:
                self._settle(node, StepState.CANCELLED)
        self._waiting.clear()
        self._held.clear()

    # The record

    def _settle_state(self) -> None:
        if self._blocked and self._held:
            state, message = RunState.QUEUED, self._blocked
        elif self._waiting and not self._attempts and not self._backing_off and not self._held:
            state, message = (
                RunState.WAITING,
                "waits for approval of " + ", ".join(node.step.name for node in self._waiting),
            )
            self._release_claims()
        else:
            state, message = RunState.RUNNING, ""
        if (state, message) != self._recorded:
            self._recorded = (state, message)
            self._changes.setdefault("", {}).update(state=state, message=message)

    def _release_claims(self) -> None:
        """A run that waits for a person, and has no files to touch afterwards, must not keep others from theirs."""
        left = (node.step for node in self._board.nodes.values() if not node.state.finished)
        if self._claims and not any(step.command and (step.inputs or step.outputs) for step in left):
            self._claims.release()
            self._claims = None

    def _change(self, node: Node, **fields: Any) -> None:
        self._changes.setdefault(node.step.name, {}).update(fields, state=node.state)

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if not self._changes:
            return
        changes, self._changes = self._changes, {}
        with self._journal.transaction():
            for name, fields in changes.items():
                if name:
                    self._journal.steps.update(self._run.id, name, **fields)
                else:
                    self._journal.runs.set_state(self._run.id, fields["state"], message=fields["message"])

    def _beat(self) -> None:
        self._journal.runs.heartbeat(self._run.id)
        self._after(HEARTBEAT, self._beat)

    def _after(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._order), action))

    def _outcome(self) -> tuple[RunState, str]:
        if self._cancelled:
            who, why = self._cancelled
            return RunState.CANCELLED, f"cancelled by {who}" + (f": {why}" if why else "")
        failures = self._board.failures()
        if not failures:
            return RunState.SUCCEEDED, ""
        first = failures[0]
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        return (
            RunState.FAILED,
            f"step {first.step.name}: {first.message.splitlines()[0] if first.message else 'failed'}{more}",
        )
