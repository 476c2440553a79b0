"""What a plan says of the verdicts about its version: what took it back before, and a gate that compared it with a
version that no longer serves."""

from __future__ import annotations

from collections.abc import Iterator

from ...domain.delivery import How
from ...domain.project import Project
from ...domain.text.format import ago
from ...domain.verdicts import Source, quarantine_of, taken_back
from ...journal import Journal


def warnings(
    project: Project, journal: Journal, model: str, how: How, number: int, serving: int | None
) -> Iterator[str]:
    """Yields a sentence for each. A rollback goes back to what served, whatever gates said."""
    if how is How.ROLLBACK:
        return
    verdicts = journal.verdicts.of(model, number)
    back = taken_back(verdicts)
    if back is not None and quarantine_of(verdicts) is None:
        yield f"version {number} was taken back {ago(back.at)}: {back.sentence}"
    if how is not How.PROMOTE or serving in (None, number):
        return
    for each in verdicts:
        if each.source is Source.GATE and each.champion not in (None, serving, number):
            yield (
                f"{each.title} compared version {number} with version {each.champion}, which no longer serves: version"
                f" {serving} does{_judge_again(project, each.gate)}"
            )


def _judge_again(project: Project, gate: str) -> str:
    """Returns how the gate is run again."""
    for pipeline in project.pipelines.values():
        if any(step.uses == "gate" and step.options.get("gate") == gate for step in pipeline.steps.values()):
            return f"; `podium run {pipeline.name}` judges again"
    return ""
