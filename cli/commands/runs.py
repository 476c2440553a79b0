"""run, ps, show, cancel, resume and approve."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.format import ago, duration, moment, short_commit
from ...core.domain.plans import RESTS_ON_PREFIX, Plan
from ...core.domain.runs import Run, RunState, Step
from ...core.domain.text import clean
from ...core.errors import NotFound, UsageError
from ..completion import complete_pipeline
from ..interaction.attend import attend, run_document, run_headline
from ..interaction.confirm import agree
from ..options import (
    ApproveOptions,
    FollowOptions,
    Output,
    ResumeOptions,
    RunName,
    Why,
    environment_option,
    run_argument,
)
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format
from .canary import resume as resume_canary
from .models import show_version


def run(
    cockpit: Cockpit,
    options: FollowOptions,
    pipeline: Annotated[
        str | None,
        typer.Argument(
            metavar="[PIPELINE]",
            help="The pipeline. Default: the only one.",
            autocompletion=complete_pipeline,
            show_default=False,
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A pipeline parameter; may be repeated."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", min=1, help="How many steps run at a time.", show_default=False),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(
            "--commit", metavar="REV", help="Run this commit in its own worktree, instead of the working tree."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run every step again, whatever the cache has.")] = False,
) -> int:
    """Run a pipeline and follow it. Ctrl-C cancels the run; a lost terminal does not.

    \b
    Example:
      podium run release --param until=2013-04 --jobs 2
      podium run -d | xargs podium logs -f
    """
    name = pipeline or _only_pipeline(cockpit)
    given = parameters(param or [])
    started = cockpit.runs.start(name, params=given, jobs=jobs, why=options.why, commit=commit, fresh=fresh)
    return follow_run(cockpit, started, options)


def follow_run(cockpit: Cockpit, run: Run, options: FollowOptions) -> int:
    """Follows a run that was just started; returns its exit code."""
    attended = attend(cockpit, run, options, headline=run_headline(run))
    return diagnostics.DONE if attended is None else attended.ending()


def _only_pipeline(cockpit: Cockpit) -> str:
    names = list(cockpit.project.config.pipelines)
    if len(names) == 1:
        return names[0]
    raise UsageError(
        "which pipeline?", hint=f"podium.yaml has: {', '.join(names)}" if names else "podium.yaml has no pipelines"
    )


def parameters(texts: list[str]) -> dict[str, str]:
    """Parses words `NAME=VALUE`. Raises UsageError for the first that is none."""
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--param {text}: not of the form NAME=VALUE")
        values[name] = value
    return values


def find_run(cockpit: Cockpit, text: str) -> int:
    """Returns the number of a run from `12` or `last`. Raises UsageError for anything else."""
    if text in ("last", "latest"):
        newest = cockpit.runs.list(limit=1)
        if not newest:
            raise NotFound("there are no runs yet", hint="`podium run` starts one")
        return newest[0].id
    number = text.removeprefix("#").removeprefix("run:")
    if not number.isdecimal() or len(number) > 18:
        raise UsageError(f"{text!r} is not a run's number", hint="`podium ps` lists the runs; `last` is the newest")
    return int(number)


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
        return show_version(cockpit, run, output_format)
    detail = cockpit.runs.get(find_run(cockpit, run))
    if output_format is Format.JSON:
        output.document(run_document(cockpit, detail))
        return diagnostics.DONE
    if output_format is Format.TABLE:
        output.pairs(_facts(cockpit, detail.run))
        output.line()
    output.rows(output_format, _STEPS, [_step_row(step) for step in detail.steps], ())
    return diagnostics.DONE


def _params(run: Run) -> dict[str, str]:
    """Returns the parameters that a person gave, without what a plan rested on."""
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


def _step_row(step: Step) -> tuple[str, ...]:
    took = duration(step.ended - step.started) if step.started is not None and step.ended is not None else ""
    result = ", ".join(
        f"{key}={value}"
        for key, value in step.results.items()
        if isinstance(value, str | int | float) and key != "exit_code"
    )
    came = f"from run {step.origin}" if step.cached and step.origin else "unchanged" if step.cached else ""
    said = " ".join(filter(None, [came, step.message or result]))
    return (
        step.name,
        step.state.value,
        took,
        str(step.attempt) if step.attempt > 1 else "",
        "" if step.exit_code is None else str(step.exit_code),
        said,
    )


def cancel(cockpit: Cockpit, run: RunName, why: Why = "") -> int:
    """Cancel a run: its steps are asked to end, and killed if they do not.

    \b
    Example:
      podium cancel 12 --why "wrong parameters"
    """
    number = find_run(cockpit, run)
    cockpit.runs.cancel(number, why=why)
    diagnostics.note(f"run {number} is being cancelled")
    return diagnostics.DONE


def resume(
    cockpit: Cockpit,
    options: ResumeOptions,
    run: Annotated[str | None, run_argument("[RUN]")] = None,
    environment: Annotated[
        str | None, environment_option("Resume the canary of this environment, instead of a run.")
    ] = None,
) -> int:
    """Continue a run that failed, was cancelled or was interrupted, after its last finished step. What it changes in an
    environment is shown as a plan first, and has to be agreed to. With -e, continue a canary that is paused or
    inconclusive.

    \b
    Example:
      podium resume 12
      podium resume 12 --yes --confirm production
      podium resume -e production --why "the errors were a client's"
    """
    if (run is None) == (environment is None):
        raise UsageError("resume what?", hint="a run: `podium resume 12`, or a canary: `podium resume -e production`")
    if environment is not None:
        return resume_canary(cockpit, environment, options.why, options.output_format)
    assert run is not None
    number = find_run(cockpit, run)
    plan = cockpit.runs.plan_resume(number)
    typed = _agreed(plan, yes=options.yes, confirm=options.confirm)
    return follow_run(cockpit, cockpit.runs.resume(number, plan=plan, confirmed=typed, why=options.why), options)


def _agreed(plan: Plan, *, yes: bool, confirm: str) -> str:
    """Asks a person where an environment is changed; returns the word that was typed."""
    return "" if plan.refusal or not plan.changes_environment else agree(plan, yes=yes, confirm=confirm)


def approve(
    cockpit: Cockpit,
    options: ApproveOptions,
    run: RunName,
    step: Annotated[
        str | None,
        typer.Argument(metavar="[STEP]", help="The step. Default: the only one that waits.", show_default=False),
    ] = None,
) -> int:
    """Let a step that waits for approval continue. What it changes in an environment is shown as a plan first, and has
    to be agreed to.

    \b
    Example:
      podium approve 12 production --why "checked the report" --yes --confirm production
    """
    number = find_run(cockpit, run)
    plan = cockpit.runs.plan_approve(number, step)
    typed = _agreed(plan, yes=options.yes, confirm=options.confirm)
    approval = cockpit.runs.approve(number, step, plan=plan, confirmed=typed, why=options.why)
    if options.output_format is Format.JSON:
        output.document(
            {
                "run": approval.run_id,
                "step": approval.step,
                "who": approval.who,
                "at": moment(approval.at),
                "why": approval.why,
            }
        )
    diagnostics.note(f"{clean(approval.step)} of run {approval.run_id} continues", style="green")
    return diagnostics.DONE
