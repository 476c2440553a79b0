"""Follows an operation of a stack to its end: its events as they come, also those of nested stacks, and at the end what
it failed of.

Events are grouped by operation: after a rollback, what failed hangs under the update, not under the rollback. Where the
API does not know operations, the events since the beginning are looked at, and the first failure is the cause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ...domain.frozen import Frozen
from ...domain.text import one_line
from .. import Progress, Say
from .api import PASSING, Api
from .change_set import NESTED
from .states import over

POLL_INTERVAL = 2.0
# Events before the operation that are known: the newest one would do.
_LATEST = 20
_OURS = ("CREATE_STACK", "UPDATE_STACK", "DELETE_STACK")
# What CloudFormation says of a resource that it stopped because of another one.
_NOT_THE_CAUSE = ("cancelled", "canceled")


class Failure(Frozen):
    """What an operation failed of."""

    resource: str
    reason: str

    def words(self) -> str:
        """Returns it in one line."""
        return f"{self.resource}: {self.reason}" if self.reason else self.resource


class Following:
    """One operation, from just before it begins."""

    def __init__(
        self, api: Api, stack_id: str, state: str, progress: Progress, say: Say, poll: float = POLL_INTERVAL
    ) -> None:
        """`state` is that of the stack before."""
        self._api, self._stack, self._progress, self._say, self._poll = api, stack_id, progress, say, poll
        self._before: str | None = state
        latest = islice(api.events(stack_id), _LATEST)
        self._seen: dict[str, set[str]] = {stack_id: {str(each["EventId"]) for each in latest}}
        self._since: dict[str, Any] = {}
        self._prefix: dict[str, str] = {stack_id: ""}
        self._failed: list[Failure] = []

    def until_over(self, timeout: float, begun: Callable[[str], bool]) -> tuple[str, Mapping[str, Any] | None]:
        """Returns the state that the operation ended in, and the stack as it is then (None for one that is gone). The
        state is `TIMED_OUT` where that takes longer than `timeout` seconds: the operation goes on.

        `begun` tells, by the stack's state, whether that is one of this operation already: just after the call it may
        be the one from before."""
        deadline = time.monotonic() + timeout
        away = False
        while True:
            stack = None
            try:
                state, stack = self._state()
                self._tell()
                if over(state) and begun(state):
                    # Asked before that was known, it may still be the state from before.
                    state, stack = self._state() if state == self._before else (state, stack)
                    if over(state):
                        return state, stack
                away = False
            except PASSING as error:
                if time.monotonic() > deadline:
                    raise
                if not away:
                    self._say(f"{error.message}; it goes on, and is asked for again")
                away = True
            if time.monotonic() > deadline:
                return "TIMED_OUT", stack
            time.sleep(self._poll)

    def _state(self) -> tuple[str, Mapping[str, Any] | None]:
        stack = self._api.stack(self._stack)
        state = str(stack["StackStatus"]) if stack is not None else "DELETE_COMPLETE"
        if state != self._before:
            self._before = None  # it has begun to change
        return state, stack

    def failures(self, stack: Mapping[str, Any] | None) -> Sequence[Failure]:
        """Returns what failed, the cause first."""
        operations: list[Mapping[str, Any]] = list((stack or {}).get("LastOperations") or ())
        for each in operations:
            if each.get("OperationType") in _OURS:
                found = [_failure(event) for event in self._api.failed_events(self._stack, str(each["OperationId"]))]
                if found:
                    return found
        return self._failed

    def _tell(self) -> None:
        for stack in list(self._seen):
            for event in self._new(stack):
                self._one(stack, event)

    def _new(self, stack: str) -> Iterator[Mapping[str, Any]]:
        """Yields the events that were not seen yet, the oldest first."""
        seen = self._seen[stack]
        fresh: list[Mapping[str, Any]] = []
        for event in self._api.events(stack):
            if str(event["EventId"]) in seen or self._older(stack, event):
                break
            fresh.append(event)
        seen.update(str(event["EventId"]) for event in fresh)
        yield from reversed(fresh)

    def _older(self, stack: str, event: Mapping[str, Any]) -> bool:
        """Tells whether an event of a nested stack is from before this operation."""
        since, at = self._since.get(stack), event.get("Timestamp")
        return since is not None and at is not None and at < since

    def _one(self, stack: str, event: Mapping[str, Any]) -> None:
        physical = str(event.get("PhysicalResourceId") or "")
        own = physical == stack
        name = self._prefix[stack] + one_line(str(event.get("LogicalResourceId", "")))
        state = str(event.get("ResourceStatus", ""))
        reason = one_line(str(event.get("ResourceStatusReason") or ""))
        if event.get("ResourceType") == NESTED and not own and physical.startswith("arn:"):
            self._seen.setdefault(physical, set())
            self._since.setdefault(physical, event.get("Timestamp"))
            self._prefix.setdefault(physical, f"{name}.")
        if own and stack != self._stack:
            return
        self._say(f"{name}: {state.replace('_', ' ').lower()}{f': {reason}' if reason else ''}")
        if own:
            return
        if state.endswith("_IN_PROGRESS"):
            self._progress.begun(name)
        elif state.endswith("_COMPLETE"):
            self._progress.ended(name)
        elif state.endswith("_FAILED") and not any(words in reason.lower() for words in _NOT_THE_CAUSE):
            self._failed.append(Failure(name, reason))


def _failure(event: Mapping[str, Any]) -> Failure:
    reason = event.get("ResourceStatusReason") or event.get("ValidationStatusReason") or event.get("HookStatusReason")
    return Failure(one_line(str(event.get("LogicalResourceId", ""))), one_line(str(reason or "")))
