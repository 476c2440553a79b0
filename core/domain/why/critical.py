"""The critical path of a run: the chain of steps, each of which waited for the one before it, that ended last."""

from __future__ import annotations

from collections.abc import Sequence

from ..runs import Step


def critical_path(steps: Sequence[Step], now: float) -> tuple[str, ...]:
    """Returns the names of the steps on the critical path, the first one first: from the step that ended last (or is
    still running) back over whatever it needed that ended last. Steps that did not run are not on it."""
    ran = {step.name: step for step in steps if step.started is not None}

    def end(step: Step) -> float:
        return step.ended if step.ended is not None else now

    at = max(ran.values(), key=end, default=None)
    path: list[str] = []
    while at is not None and at.name not in path:
        path.append(at.name)
        at = max((ran[name] for name in at.needs if name in ran), key=end, default=None)
    return tuple(reversed(path))
