"""ps and show. They are asked often, and so import nothing that starts or follows a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.runs import Run, RunState, Step
from ...core.domain.text import whole_number
from ...core.domain.text.format import ago, duration, figure, moment, short_commit
from ...core.errors import NotFound, UsageError
from ..options import Output, RunName
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format


def find_run(cockpit: Cockpit, text: str) -> int:
    """Returns the number of a run from `12` or `last`. Raises UsageError for anything else."""
    if text in ("last", "latest"):
        newest = cockpit.runs.list(limit=1)
        if not newest:
            raise NotFound("there are no runs yet", hint="`podium run` starts one")
        return newest[0].id
    number = whole_number(text.removeprefix("#").removeprefix("run:"))
    if number is None:
        raise UsageError(f"{text!r} is not a run's number", hint="`podium ps` lists the runs; `last` is the newest")
    return number


_PS = (
    Column("RUN", right=True),
    Column("STATE", states=True),
    Column("KIND"),
    Column("NAME"),
    Column("COMMIT"),
    Column("TRIGGER"),
    Column("STARTED"),
    Column("TOOK", right=True),
    Column("WHO", flexible=True),
    Column("MESSAGE", flexible=True),
)


def ps(
    cockpit: Cockpit,
    all_: Annotated[bool, typer.Option("--all", "-a", help="List all runs.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="List at most N.")] = 20,
    state: Annotated[
        list[RunState] | None,
        typer.Option("--state", help="Only runs in this state; may be repeated.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="Only this pipeline, or operations on this environment.", show_default=False
        ),
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only runs that mention TEXT.", show_default=False)
    ] = None,
    output_format: Output = Format.TABLE,
) -> int:
    """List runs, newest first.

    \b
    Example:
      podium ps --state failed -o json
    """
    if cockpit.runs.active():
        cockpit.runs.recover()
    found = cockpit.runs.list(
        limit=max(cockpit.runs.count(), 1) if all_ else limit, states=tuple(state or ()), name=name, search=search
    )
    cells = [] if output_format is Format.JSON else [_ps_row(each) for each in found]
    output.rows(output_format, _PS, cells, (shapes.run(each) for each in found))
    if not found:
        diagnostics.note("no runs" if cockpit.runs.count() else "no runs yet: `podium run` starts one", style="dim")
    return diagnostics.DONE


def _ps_row(run: Run) -> tuple[str, ...]:
    took = duration(run.ended - run.started) if run.started is not None and run.ended is not None else ""
    return (
        str(run.id),
        run.state.value,
        run.kind,
        run.name,
        short_commit(run.commit, dirty=run.dirty),
        run.trigger.value,
        ago(run.started or run.created),
        took,
        run.who,
        run.message,
    )


_STEPS = (
    Column("STEP"),
    Column("STATE", states=True),
    Column("TOOK", right=True),
    Column("ATTEMPT", right=True),
    Column("EXIT", right=True),
    Column("RESULT", flexible=True),
)


def show(cockpit: Cockpit, run: RunName = "last", output_format: Output = Format.TABLE) -> int:
    """Show one run and its steps; or a version (v3), and every verdict about it.

    \b
    Example:
      podium show 12
      podium show last -o json
      podium show v3
    """
    if re.fullmatch(r"v\d{1,18}", run):
        from .models import show_version

        return show_version(cockpit, run, output_format)
    detail = cockpit.runs.get(find_run(cockpit, run))
    if output_format is Format.JSON:
        from ..interaction.attend import run_document

        output.document(run_document(cockpit, detail))
        return diagnostics.DONE
    if output_format is Format.TABLE:
        output.pairs(_facts(cockpit, detail.run))
        output.line()
    output.rows(output_format, _STEPS, [_step_row(step) for step in detail.steps], ())
    return diagnostics.DONE


def _params(run: Run) -> dict[str, str]:
    """Returns the parameters that a person gave, without what a plan rested on."""
    from ...core.domain.plans import RESTS_ON_PREFIX

    return {name: value for name, value in run.params.items() if not name.startswith(RESTS_ON_PREFIX)}


def _facts(cockpit: Cockpit, run: Run) -> list[tuple[str, str]]:
    took = duration(run.ended - run.started) if run.started is not None and run.ended is not None else ""
    return [
        ("run", f"{run.id} {run.kind} {run.name}"),
        ("state", run.state.value + (f" after {took}" if took else "") + (f": {run.message}" if run.message else "")),
        ("commit", short_commit(run.commit, dirty=run.dirty) + (f" on {run.branch}" if run.branch else "")),
        ("trigger", run.trigger.value),
        ("who", run.who),
        ("why", run.why),
        ("params", ", ".join(f"{name}={value}" for name, value in _params(run).items())),
        ("started", moment(run.started) or ""),
        ("workspace", run.workspace if Path(run.workspace or ".").absolute() != cockpit.home else ""),
    ]


# What a person looks for first, and what only programs compare: JSON has all of it.
_FIRST = ("environment", "version", "verdict", "metric", "value")
_LEFT_OUT = frozenset(("exit_code", "digest", "image_digest", "image_id", "model_layer"))
_LONG_HEX = re.compile(r"(?<![0-9a-f])([0-9a-f]{12})[0-9a-f]{20,}(?![0-9a-f])")


def _result(step: Step) -> str:
    """Returns what a step reported, the most telling first; of a digest only as much as people quote."""
    found = {
        key: value
        for key, value in step.results.items()
        if isinstance(value, str | int | float) and value != "" and key not in _LEFT_OUT
    }
    order = [*(key for key in _FIRST if key in found), *(key for key in found if key not in _FIRST)]
    return ", ".join(_LONG_HEX.sub(r"\1", f"{key}={figure(found[key])}") for key in order)


def _step_row(step: Step) -> tuple[str, ...]:
    took = duration(step.ended - step.started) if step.started is not None and step.ended is not None else ""
    came = f"from run {step.origin}" if step.cached and step.origin else "unchanged" if step.cached else ""
    said = " ".join(filter(None, [came, step.message or _result(step)]))
    return (
        step.name,
        step.state.value,
        took,
        str(step.attempt) if step.attempt > 1 else "",
        "" if step.exit_code is None else str(step.exit_code),
        said,
    )
