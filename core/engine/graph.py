"""Turns a pipeline into the steps that will run: parameters filled in, matrices expanded, in an order that respects
`needs`.

Pure: no file, no clock, no process.
"""

from __future__ import annotations

import difflib
import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..config.expressions import ShellCommand, render, shell_command
from ..domain.frozen import Frozen
from ..domain.monitoring import ALERT_VALUES
from ..domain.project import MAX_CELLS, ContainerSpec, Matrix, Pipeline, Scalar, StepSpec
from ..errors import ConfigError, Problem, UsageError

Values = Mapping[str, Mapping[str, Scalar]]


class PlannedStep(Frozen):
    """One step as it will run, with all values filled in."""

    name: str
    """Full name, with the cell of a matrix."""
    spec: StepSpec
    """The step as podium.yaml has it."""
    position: int
    """Place in the order in which steps are written."""
    needs: tuple[str, ...] = ()
    """Names of the planned steps that it needs."""
    cell: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """The values of its matrix cell; empty without a matrix."""
    command: str = ""
    """The shell command as people read it, with the values in their places; empty for a built-in step."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Declared variables."""
    inputs: tuple[str, ...] = ()
    """Declared inputs, relative to the project."""
    outputs: tuple[str, ...] = ()
    """Declared outputs, relative to the project."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options of a built-in step."""
    container: ContainerSpec | None = None
    """What its container is made from; None for a process."""
    script: str = ""
    """What the shell runs."""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """The variables that `script` names in the places of the values."""

    @property
    def cacheable(self) -> bool:
        return self.spec.cache and bool(self.inputs or self.outputs)


def parameters(pipeline: Pipeline, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the pipeline's parameters, with `given` overriding their defaults. Raises UsageError for an unknown
    one."""
    for name in given:
        if name not in pipeline.params:
            hint = (
                _suggest(name, pipeline.params)
                or f"pipeline {pipeline.name} has: {', '.join(pipeline.params) or 'no parameters'}"
            )
            raise UsageError(f"pipeline {pipeline.name} has no parameter {name!r}", hint=hint)
    return {**pipeline.params, **given}


def build(
    pipeline: Pipeline, params: Mapping[str, str] | None = None, context: Values | None = None
) -> tuple[PlannedStep, ...]:
    """Returns the steps in an order in which each comes after what it needs, as close to the written order as
    possible.

    `context` adds groups of values (beyond `params` and `matrix`) that `${{ }}` may name. ConfigError names a cycle
    or an unknown step; UsageError an unknown parameter.
    """
    nothing: Mapping[str, Scalar] = dict.fromkeys(ALERT_VALUES, "")  # what an alert says in a run that none has started
    base: dict[str, Mapping[str, Scalar]] = {
        "alert": nothing,
        **(context or {}),
        "params": parameters(pipeline, params or {}),
    }
    cells = {spec.name: expand(spec) for spec in pipeline.steps.values()}
    names = {name: tuple(cell_name(name, cell) for cell in group) for name, group in cells.items()}
    single = {full: (full,) for group in names.values() for full in group}
    planned: list[PlannedStep] = []
    for spec in pipeline.steps.values():
        needs = _needed(spec, names, single)
        for full, cell in zip(names[spec.name], cells[spec.name], strict=True):
            planned.append(_plan(spec, full, cell, needs, {**base, "matrix": cell}, pipeline))
    return _ordered(planned)


def expand(spec: StepSpec) -> list[Mapping[str, Scalar]]:
    """Returns the cells of a step's matrix in the written order; one empty cell without a matrix. Raises ConfigError
    if no cell is left."""
    matrix = spec.matrix
    if matrix is None:
        return [{}]
    if matrix.size > MAX_CELLS:
        raise _problem(spec, f"its matrix has {matrix.size:,} cells", f"at most {MAX_CELLS:,} are possible")
    cells = {
        cell_name(spec.name, cell): cell
        for cell in _product(matrix)
        if not any(_matches(cell, rule) for rule in matrix.exclude)
    }
    for extra in matrix.include:
        cells.setdefault(cell_name(spec.name, extra), extra)
    if not cells:
        raise _problem(spec, "nothing is left of its matrix", "`exclude` removes every cell")
    return list(cells.values())


def cell_name(name: str, cell: Mapping[str, Scalar]) -> str:
    """Returns a cell's name: `train` and {depth: 4, rate: 0.05} -> `train[depth=4,rate=0.05]`."""
    return f"{name}[{','.join(f'{axis}={text(value)}' for axis, value in cell.items())}]" if cell else name


def text(value: Scalar) -> str:
    """Returns a value as a person writes it in YAML."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def ancestors(steps: Sequence[PlannedStep], name: str) -> list[str]:
    """Returns everything that `name` needs, directly or indirectly, nearest first."""
    needs = {step.name: step.needs for step in steps}
    found: dict[str, None] = {}
    queue = list(needs.get(name, ()))
    while queue:
        following: list[str] = []
        for need in queue:
            if need not in found:
                found[need] = None
                following.extend(needs.get(need, ()))
        queue = following
    return list(found)


def _product(matrix: Matrix) -> Iterable[Mapping[str, Scalar]]:
    if not matrix.axes:
        return
    for combination in itertools.product(*matrix.axes.values()):
        yield dict(zip(matrix.axes, combination, strict=True))


def _matches(cell: Mapping[str, Scalar], rule: Mapping[str, Scalar]) -> bool:
    return bool(rule) and all(axis in cell and text(cell[axis]) == text(value) for axis, value in rule.items())


def _needed(
    spec: StepSpec, names: Mapping[str, tuple[str, ...]], single: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for need in spec.needs:
        full = names.get(need) or single.get(need)
        if full is None:
            raise _problem(
                spec, f"needs {need!r}, which is not a step", _suggest(need, names) or f"there are: {', '.join(names)}"
            )
        found.update(dict.fromkeys(full))
    return tuple(found)


def _plan(
    spec: StepSpec, full: str, cell: Mapping[str, Scalar], needs: tuple[str, ...], values: Values, pipeline: Pipeline
) -> PlannedStep:
    def fill(template: str) -> str:
        return render(template, values) if "${{" in template else template

    command = shell_command(spec.run, values) if "${{" in spec.run else ShellCommand(spec.run, {}, spec.run)
    return PlannedStep(
        name=full,
        spec=spec,
        position=0,
        needs=needs,
        cell=cell,
        command=command.shown,
        script=command.script,
        values=command.variables,
        env={key: fill(value) for key, value in {**pipeline.env, **spec.env}.items()},
        inputs=tuple(fill(path) for path in spec.inputs),
        outputs=tuple(fill(path) for path in spec.outputs),
        options={key: fill(value) if isinstance(value, str) else value for key, value in spec.options.items()},
        container=replace(spec.container, image=fill(spec.container.image), build=fill(spec.container.build))
        if spec.container
        else None,
    )


@dataclass(slots=True)
class Alike:
    """Steps that need the same, as the cells of one step do; they are counted as one, so that a thousand cells which
    need a thousand others are no million."""

    missing: int
    """How many of these needs are still to come."""
    members: list[PlannedStep]


def dependents(planned: Sequence[PlannedStep]) -> dict[str, list[Alike]]:
    """Returns who needs each step, by its name."""
    groups: dict[int, Alike] = {}
    found: dict[str, list[Alike]] = {step.name: [] for step in planned}
    for step in planned:
        # One object for all cells of a step (`build`); steps that are alike in two groups are only counted twice.
        group = groups.get(id(step.needs))
        if group is None:
            group = groups[id(step.needs)] = Alike(len(step.needs), [])
            for need in step.needs:
                found[need].append(group)
        group.members.append(step)
    return found


def _ordered(planned: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    place = {step.name: index for index, step in enumerate(planned)}
    who = dependents(planned)
    ready = [index for index, step in enumerate(planned) if not step.needs]
    order: list[PlannedStep] = []
    while ready:
        step = planned[heapq.heappop(ready)]
        order.append(step)
        for group in who[step.name]:
            group.missing -= 1
            if not group.missing:
                for each in group.members:
                    heapq.heappush(ready, place[each.name])
    if len(order) < len(planned):
        done = {step.name for step in order}
        loop = _loop({step.name: step for step in planned if step.name not in done})
        raise _problem(
            loop[0].spec,
            "needs itself: " + " → ".join(step.name for step in (*loop, loop[0])),
            "take one of these `needs` away",
        )
    return tuple(replace(step, position=position) for position, step in enumerate(order))


def _loop(left: Mapping[str, PlannedStep]) -> list[PlannedStep]:
    """Returns a cycle. Every step that is left needs another one that is left, so following any need must come back
    to a step seen before."""
    seen: dict[str, int] = {}
    walk: list[PlannedStep] = []
    step = next(iter(left.values()))
    while step.name not in seen:
        seen[step.name] = len(walk)
        walk.append(step)
        step = left[next(need for need in step.needs if need in left)]
    return walk[seen[step.name] :]


def _suggest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _problem(spec: StepSpec, message: str, hint: str) -> ConfigError:
    return ConfigError((Problem("podium.yaml", spec.line, 1, f"step {spec.name}", message, hint),))
