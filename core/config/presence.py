"""What podium.yaml names and is not there. It is looked for by `podium validate` alone: what serves must not depend on
whether a file of a training is there at this moment.

Only what can do nothing but fail is named. A step may need what a command before it writes, declared or not, so only
files of steps before which no command runs are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..domain.metrics import is_function
from ..domain.project import Gate, Pipeline, Project, StepSpec
from ..errors import Problem
from .keys.pipelines import BUILTINS
from .kinds import has_placeholder

_FILE = "podium.yaml"


def missing(project: Project) -> list[Problem]:
    """Returns the files and directories that steps and gates read and that nothing writes, in the file's order."""
    return [
        problem
        for pipeline in project.pipelines.values()
        for step in pipeline.steps.values()
        if not _after_a_command(pipeline, step)
        for problem in _missing(project, pipeline, step)
    ]


def _missing(project: Project, pipeline: Pipeline, step: StepSpec) -> Iterator[Problem]:
    at = f"pipelines.{pipeline.name}.steps.{step.name}"
    written = _of_datasets(pipeline, step)
    for index, path in enumerate(step.inputs):
        if not has_placeholder(path) and path not in written and not (project.root / path).exists():
            hint = "write it, or have an earlier step that this one `needs` put it into `outputs`"
            yield Problem(_FILE, step.line, 1, f"{at}.inputs[{index}]", f"`{path}` does not exist", hint)
    build = step.container.build if step.container is not None else ""
    if build and not has_placeholder(build) and not (project.root / build).is_dir():
        yield Problem(_FILE, step.line, 1, f"{at}.build", f"there is no directory `{build}`", "put a Dockerfile there")
    gate = project.gates.get(str(step.options.get("gate", ""))) if step.uses == "gate" else None
    for path, what in _of_gate(gate) if gate is not None else ():
        if path not in written and not (project.root / path).exists():
            words = f"`{path}`, {what} of gate `{step.options['gate']}`, does not exist, and no step before writes it"
            yield Problem(_FILE, step.line, 1, f"{at}.gate", words)


def _of_gate(gate: Gate) -> Iterator[tuple[str, str]]:
    """Yields the files that a gate reads, each with what it is."""
    yield gate.data, "the data"
    if gate.series is not None and gate.series.history:
        yield gate.series.history, "the history"
    for path in dict.fromkeys(check.metric.rpartition(":")[0] for check in gate.checks if is_function(check.metric)):
        yield path, "a metric"


def _of_datasets(pipeline: Pipeline, step: StepSpec) -> set[str]:
    """Returns the files that steps `dataset` before the step write."""
    before = (pipeline.steps[name] for name in _before(pipeline.steps, step))
    return {str(each.options.get(key, "")) for each in before if each.uses == "dataset" for key in ("output", "test")}


def _after_a_command(pipeline: Pipeline, step: StepSpec) -> bool:
    """Tells whether a command, or a step of another package, may have run before the step does."""
    before = (pipeline.steps[name] for name in _before(pipeline.steps, step))
    return any(each.uses not in BUILTINS for each in before)


def _before(steps: Mapping[str, StepSpec], step: StepSpec) -> Iterator[str]:
    seen: set[str] = set()
    waiting = list(step.needs)
    while waiting:
        name = waiting.pop()
        if name not in seen and name in steps:
            seen.add(name)
            yield name
            waiting += steps[name].needs
