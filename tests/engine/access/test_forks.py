"""Code of a fork that nobody has approved is not run, whatever the conditions of its steps say: they are the fork's own."""

from __future__ import annotations

import pytest
from podium.core.domain.runs import StepState
from podium.core.engine.graph import build
from podium.core.engine.run.forks import APPROVAL, after_approval
from podium.core.engine.run.run_graph import RunGraph

from tests.engine.lab import Lab

THEIRS = """
first: {run: "false", allow_failure: true}
always: {run: id, when: "always()"}
failed: {run: id, when: "failed()"}
branch: {run: id, when: "branch == 'topic'"}
behind: {run: id, needs: [first], when: "always()"}
skipped: {run: id, needs: [first], when: "needs.first.state == 'skipped'"}
further: {run: id, needs: [behind], when: "failed()"}
"""
VALUES = {"trigger": "push", "branch": "topic"}


def ran(graph: RunGraph) -> set[str]:
    """Carries the graph out, and has every step fail that may run; returns which did."""
    found: set[str] = set()
    while (node := graph.take_ready()) is not None:
        runs = not graph.reason_to_skip(node, VALUES, {})
        graph.settle(node.step.name, StepState.FAILED if runs else StepState.SKIPPED)
        found |= {node.step.name} if runs else set()
    return found


@pytest.mark.parametrize("answer", [StepState.FAILED, StepState.CANCELLED, StepState.SKIPPED, StepState.SUCCEEDED])
def test_nothing_of_a_fork_runs_unless_a_person_has_approved_it(lab: Lab, answer: StepState) -> None:
    lab.pipeline(THEIRS)
    name = next(iter(lab.project.pipelines))
    graph = RunGraph(build(after_approval(lab.project, name, "code of a fork").pipelines[name]))
    asked = graph.take_ready()
    assert asked is not None and asked.step.name == APPROVAL and graph.take_ready() is None
    assert graph.reason_to_skip(asked, VALUES, {}) == ""
    graph.settle(APPROVAL, answer)
    allowed = {"first", "always", "branch", "behind", "further"} if answer is StepState.SUCCEEDED else set[str]()
    assert ran(graph) == allowed
