"""run, cancel, resume and approve."""

from __future__ import annotations

from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.plans import Plan
from ...core.domain.runs import Run
from ...core.domain.text import clean
from ...core.domain.text.format import count, moment
from ...core.errors import UsageError
from ..completion import complete_pipeline
from ..interaction.attend import attend, run_headline
from ..interaction.confirm import agree
from ..options import (
    ApproveOptions,
    FollowOptions,
    ResumeOptions,
    RunName,
    Why,
    environment_option,
    run_argument,
)
from ..text import diagnostics, output
from ..text.output import Format
from .canary import resume as resume_canary
from .run_history import find_run


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
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read every input again, whatever its size and times say."),
    ] = False,
) -> int:
    """Run a pipeline and follow it. Ctrl-C cancels the run; a lost terminal does not.

    \b
    Example:
      podium run release --param until=2013-04 --jobs 2
      podium run -d | xargs podium logs -f
    """
    name = pipeline or only_pipeline(cockpit)
    given = parameters(param or [])
    started = cockpit.runs.start(
        name, params=given, jobs=jobs, why=options.why, commit=commit, fresh=fresh, verify=verify
    )
    return follow_run(cockpit, started, options)


def follow_run(cockpit: Cockpit, run: Run, options: FollowOptions) -> int:
    """Follows a run that was just started; returns its exit code."""
    attended = attend(cockpit, run, options, headline=run_headline(run))
    return diagnostics.DONE if attended is None else attended.ending()


def only_pipeline(cockpit: Cockpit) -> str:
    """Returns the name of the only pipeline. Raises UsageError if there are several, or none."""
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
    more = cockpit.runs.approvals_missing(approval)
    if more:
        waits = f"waits for {count(more, 'more approval')}"
        diagnostics.note(f"{clean(approval.step)} of run {approval.run_id} {waits}", style="yellow")
    else:
        diagnostics.note(f"{clean(approval.step)} of run {approval.run_id} continues", style="green")
    return diagnostics.DONE
