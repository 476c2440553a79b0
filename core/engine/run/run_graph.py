"""The state of a run's graph: which step may run next, and which must be skipped. No processes, files or clocks.

Finishing a step costs as much as it has dependents, never as much as the graph is large.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...config.expressions import evaluate_when, looks_at_outcome
from ...domain.project import Scalar
from ...domain.runs import Step, StepState
from ..graph import PlannedStep, dependents

_SEVERITY = {
    StepState.SUCCEEDED: 0,
    StepState.SKIPPED: 1,
    StepState.INTERRUPTED: 2,
    StepState.CANCELLED: 2,
    StepState.FAILED: 3,
}


@dataclass(slots=True)
class StepNode:
    """A planned step and its state."""

    step: PlannedStep
    """The step."""
    state: StepState = StepState.PENDING
    """Its state."""
    attempt: int = 0
    """Number of the current attempt."""
    base: str = ""
    """Its key without the executor's part."""
    key: str = ""
    """Its key."""
    cached: bool = False
    """True if its outputs were restored."""
    origin: int | None = None
    """The run that executed it, if it was restored."""
    started: float | None = None
    """When it started, in seconds since the epoch."""
    message: str = ""
    """Why it failed or was skipped."""
    results: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What it reported."""

    @property
    def satisfied(self) -> bool:
        """Tells whether the steps that need this one may continue."""
        return self.state is StepState.SUCCEEDED or (self.state is StepState.FAILED and self.step.spec.allow_failure)


class RunGraph:
    def __init__(self, steps: Sequence[PlannedStep]) -> None:
        self.nodes = {step.name: StepNode(step) for step in steps}
        self._guards = [node for node in self.nodes.values() if node.step.spec.guards]
        self._dependents = dependents(steps)
        self._ready = [(step.position, step.name) for step in steps if not step.needs]
        heapq.heapify(self._ready)
        self.unfinished = len(steps)

    def take_over(self, finished: Sequence[Step]) -> None:
        """Marks steps as finished by an earlier worker of this run."""
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
        for group in self._dependents[name]:
            group.missing -= 1
            if not group.missing:
                for step in group.members:
                    heapq.heappush(self._ready, (step.position, step.name))

    def take_ready(self) -> StepNode | None:
        """Returns the next step, in written order, whose needs have finished."""
        while self._ready:
            node = self.nodes[heapq.heappop(self._ready)[1]]
            if node.state is StepState.PENDING:
                return node
        return None

    def reason_to_skip(self, node: StepNode, run_values: Mapping[str, Scalar], params: Mapping[str, str]) -> str:
        """Returns why the step must not run; empty if it may. Raises UsageError if its condition names an unknown
        value."""
        for guard in self._guards:
            if guard is not node and guard.state is not StepState.SUCCEEDED:
                return f"needs {guard.step.name}, which {_was(guard.state)}"
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

    def _outcomes(self, node: StepNode) -> dict[str, Scalar]:
        """Returns `{"train.state": "failed"}` for all earlier steps, so that `failed()` sees a failure behind a
        skipped step too. A matrix counts as its worst cell."""
        worst: dict[str, StepState] = {}
        for ancestor in self.ancestors(node):
            for name in {ancestor.step.spec.name, ancestor.step.name}:
                before = worst.get(name)
                if before is None or _SEVERITY.get(ancestor.state, 0) > _SEVERITY.get(before, 0):
                    worst[name] = ancestor.state
        return {f"{name}.state": str(state) for name, state in worst.items()}

    def ancestors(self, node: StepNode) -> Iterator[StepNode]:
        """Yields all earlier steps, nearest first."""
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

    def other_cells(self, node: StepNode) -> list[StepNode]:
        """Returns the other cells of a step's matrix that have not finished."""
        name = node.step.spec.name
        if node.step.spec.matrix is None:
            return []
        cells = (each for each in self.nodes.values() if each.step.spec.name == name)
        return [each for each in cells if each is not node and not each.state.finished]

    def failures(self) -> list[StepNode]:
        """Returns the steps whose failure makes the run fail."""
        return [
            node for node in self.nodes.values() if node.state is StepState.FAILED and not node.step.spec.allow_failure
        ]


def _was(state: StepState) -> str:
    return {StepState.FAILED: "failed", StepState.SKIPPED: "was skipped", StepState.CANCELLED: "was cancelled"}.get(
        state, f"is {state}"
    )
