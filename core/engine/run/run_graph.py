"""Which step may go next, and which must be left out: the state of a run's graph, without processes, files or clocks.

Settling a step costs as much as it has dependents, never as much as the graph is large.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...config.expressions import evaluate_when, looks_at_outcome
from ...domain.project import Scalar
from ...domain.runs import Step, StepState
from ..graph import PlannedStep

_SEVERITY = {
    StepState.SUCCEEDED: 0,
    StepState.SKIPPED: 1,
    StepState.INTERRUPTED: 2,
    StepState.CANCELLED: 2,
    StepState.FAILED: 3,
}


@dataclass(slots=True)
class Node:
    """A planned step and how it stands. `missing` counts the needs that are not over yet. `base` is its key without
    what the executor adds."""

    step: PlannedStep
    missing: int
    state: StepState = StepState.PENDING
    attempt: int = 0
    base: str = ""
    key: str = ""
    cached: bool = False
    origin: int | None = None
    started: float | None = None
    message: str = ""
    results: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def satisfied(self) -> bool:
        """Whether those who need this step may go on."""
        return self.state is StepState.SUCCEEDED or (self.state is StepState.FAILED and self.step.spec.allow_failure)


class RunGraph:
    def __init__(self, steps: Sequence[PlannedStep]) -> None:
        self.nodes = {step.name: Node(step, len(step.needs)) for step in steps}
        self._dependents: dict[str, list[str]] = {step.name: [] for step in steps}
        for step in steps:
            for need in step.needs:
                self._dependents[need].append(step.name)
        self._ready = [(step.position, step.name) for step in steps if not step.needs]
        heapq.heapify(self._ready)
        self.unfinished = len(steps)

    def take_over(self, finished: Sequence[Step]) -> None:
        """Steps that an earlier worker of this run has finished for good: they are not done again."""
        for step in finished:
            node = self.nodes.get(step.name)
            if node is None:
                continue
            node.attempt, node.key, node.cached, node.origin = step.attempt, step.key, step.cached, step.origin
            node.results, node.message, node.started = step.results, step.message, step.started
            if step.state is StepState.SUCCEEDED or (step.state is StepState.FAILED and node.step.spec.allow_failure):
                self.settle(step.name, step.state)

    def settle(self, name: str, state: StepState) -> None:
        node = self.nodes[name]
        node.state = state
        self.unfinished -= 1
        for dependent in self._dependents[name]:
            other = self.nodes[dependent]
            other.missing -= 1
            if not other.missing:
                heapq.heappush(self._ready, (other.step.position, dependent))

    def take_ready(self) -> Node | None:
        """The next step, in written order, whose needs are over."""
        while self._ready:
            node = self.nodes[heapq.heappop(self._ready)[1]]
            if node.state is StepState.PENDING:
                return node
        return None

    def reason_to_skip(self, node: Node, run_values: Mapping[str, Scalar], params: Mapping[str, str]) -> str:
        """Why the step must not run; empty when it may. UsageError when its condition names what is not there."""
        condition = node.step.spec.when
        decides = bool(condition) and looks_at_outcome(condition)
        if not decides:
            for need in node.step.needs:
                other = self.nodes[need]
                if not other.satisfied:
                    return f"needs {need}, which {_was(other.state)}"
        if not condition:
            return ""
        values: dict[str, Mapping[str, Scalar]] = {"params": params, "matrix": node.step.cell, "run": run_values}
        if decides:
            values["needs"] = self._outcomes(node)
        return "" if evaluate_when(condition, values) else f"its condition does not hold: {condition}"

    def _outcomes(self, node: Node) -> dict[str, Scalar]:
        """`{"train.state": "failed"}` for everything before this step, so that `failed()` sees a failure behind a
        skipped step too. A matrix stands as badly as its worst cell."""
        worst: dict[str, StepState] = {}
        for ancestor in self.ancestors(node):
            for name in {ancestor.step.spec.name, ancestor.step.name}:
                before = worst.get(name)
                if before is None or _SEVERITY.get(ancestor.state, 0) > _SEVERITY.get(before, 0):
                    worst[name] = ancestor.state
        return {f"{name}.state": str(state) for name, state in worst.items()}

    def ancestors(self, node: Node) -> Iterator[Node]:
        """Everything before a step, nearest first."""
        seen: set[str] = set()
        level = list(node.step.needs)
        while level:
            following: list[str] = []
            for name in level:
                if name not in seen:
                    seen.add(name)
                    yield self.nodes[name]
                    following.extend(self.nodes[name].step.needs)
            level = following

    def failures(self) -> list[Node]:
        """Steps whose failure makes the run a failed one."""
        return [
            node for node in self.nodes.values() if node.state is StepState.FAILED and not node.step.spec.allow_failure
        ]


def _was(state: StepState) -> str:
    return {StepState.FAILED: "failed", StepState.SKIPPED: "was skipped", StepState.CANCELLED: "was cancelled"}.get(
        state, f"is {state}"
    )
