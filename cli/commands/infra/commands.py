"""infra: what Terraform or CloudFormation describes, planned, approved, applied and watched."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.runs import RunDetail
from ....core.domain.text import clean
from ....core.domain.text.format import ago, until
from ...completion import complete_infra
from ...interaction.apply import apply as apply_plan
from ...interaction.apply import show_plan, without_a_run
from ...interaction.attend import attend
from ...interaction.confirm import agree
from ...options import ApproveOptions, ChangeOptions, FollowOptions, Output
from ...session import command
from ...text import diagnostics, infra_shapes, output, shapes
from ...text.diagnostics import note
from ...text.output import Column, Format
from .lines import drift_lines, drifted, plan_lines, print_lines, waits

infra = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Plan, approve and apply infrastructure; look for drift."
)
Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="The infrastructure of podium.yaml. Default: all, in the order of what they need.",
        autocompletion=complete_infra,
        show_default=False,
    ),
]
OneName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The infrastructure of podium.yaml.",
        autocompletion=complete_infra,
        show_default=False,
    ),
]
_LIST = (
    Column("NAME"),
    Column("TOOL"),
    Column("STATE", states=True),
    Column("PLAN"),
    Column("APPLIED", right=True),
    Column("DRIFT", flexible=True),
)
_OUTPUTS = (Column("NAME"), Column("OUTPUT"), Column("VALUE", flexible=True))


def ls(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """List infrastructure: what waits to be applied, and what has drifted.

    \b
    Example:
      podium infra ls
    """
    found = cockpit.infra.list()
    now = time.time()
    cells = [
        (each.name, each.kind, each.state(), waits(each, now), ago(each.applied, now), drifted(each, now))
        for each in found
    ]
    output.rows(output_format, _LIST, cells, map(infra_shapes.status, found))
    if not found:
        note("podium.yaml has no infrastructure: write `infra: {NAME: {terraform: DIRECTORY}}`", style="dim")
    return diagnostics.DONE


def plan(
    cockpit: Cockpit,
    options: FollowOptions,
    name: Name = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan the end of all of its resources.")] = False,
) -> int:
    """Make a plan and keep it until it is applied or expires. Nothing is changed.

    \b
    Example:
      podium infra plan serving
      podium infra plan -o json
    """
    documents: list[object] = []
    for each in cockpit.infra.names(name):
        run = cockpit.infra.plan(each, destroy=destroy, why=options.why)
        attended = attend(cockpit, run, replace(options, quiet=True), document=False)
        if attended is None:
            continue
        if not attended.succeeded:
            return attended.ending()
        made = cockpit.infra.status(each)
        if options.output_format is Format.JSON:
            documents.append(infra_shapes.status(made))
        else:
            print_lines(plan_lines(made))
    if options.output_format is Format.JSON and not options.detach:
        output.document(documents[0] if name else documents)
    return diagnostics.DONE


def show(cockpit: Cockpit, name: OneName, output_format: Output = Format.TABLE) -> int:
    """Show the plan that waits, value by value, and who has approved it.

    \b
    Example:
      podium infra show serving
    """
    found = cockpit.infra.status(name)
    if output_format is Format.JSON:
        output.document(infra_shapes.status(found))
    else:
        print_lines(plan_lines(found, whole=True))
    return diagnostics.DONE


def approve(cockpit: Cockpit, options: ApproveOptions, name: OneName) -> int:
    """Approve the plan that waits, for a pipeline or somebody else to apply. It counts for this plan alone, until that
    expires.

    \b
    Example:
      podium infra approve serving --why "the larger disk"
    """
    asked = cockpit.changes.plan("infra-approve", name)
    if asked.refusal or asked.nothing_to_do:
        return show_plan(asked, shapes.plan(asked), options.output_format)
    typed = agree(asked, yes=options.yes, confirm=options.confirm)
    cockpit.changes.apply(asked, confirmed=typed, why=options.why)
    found = cockpit.infra.status(name)
    if options.output_format is Format.JSON:
        output.document(infra_shapes.status(found))
    until_then = until(found.plan.expires, time.time()) if found.plan is not None else ""
    note(f"plan {asked.rests_on['plan'][:12]} of {clean(name)} is approved; it expires {until_then}", style="green")
    return diagnostics.DONE


def apply(cockpit: Cockpit, options: ChangeOptions, name: Name = None) -> int:
    """Apply the plan that waits; one is made where there is none. Only what was shown is applied.

    \b
    Example:
      podium infra apply serving
      podium infra apply --yes
    """
    for each in cockpit.infra.names(name):
        code = _apply(cockpit, options, each)
        if code != diagnostics.DONE:
            return code
    return diagnostics.DONE


def drift(cockpit: Cockpit, options: FollowOptions, name: Name = None) -> int:
    """Look at what differs from what was applied, changing nothing. The exit code is 1 where something does.

    \b
    Example:
      podium infra drift serving
    """
    documents: list[object] = []
    differs = False
    for each in cockpit.infra.names(name):
        run = cockpit.infra.drift(each, why=options.why)
        attended = attend(cockpit, run, replace(options, quiet=True), document=False)
        if attended is None:
            continue
        if not attended.succeeded:
            return attended.ending()
        found = cockpit.infra.drifted(each)
        assert found is not None
        differs = differs or bool(found.real_drift)
        documents.append(infra_shapes.drifted(found))
        if options.output_format is not Format.JSON:
            print_lines(drift_lines(found))
    if options.output_format is Format.JSON and not options.detach:
        output.document(documents[0] if name else documents)
    return diagnostics.FAILED if differs else diagnostics.DONE


def outputs(cockpit: Cockpit, name: Name = None, output_format: Output = Format.TABLE) -> int:
    """Print the outputs as they are now. Sensitive ones are named and not shown.

    \b
    Example:
      podium infra outputs serving -o json
    """
    found = [(each, one) for each in cockpit.infra.names(name) for one in cockpit.infra.outputs(each)]
    output.rows(
        output_format,
        _OUTPUTS,
        [(each, one.name, one.value) for each, one in found],
        [infra_shapes.output(each, one) for each, one in found],
    )
    if not found:
        note("there is no output", style="dim")
    return diagnostics.DONE


def _apply(cockpit: Cockpit, options: ChangeOptions, name: str) -> int:
    waiting = cockpit.infra.waiting(name)
    if waiting is None or not waiting.applyable:  # one without changes says nothing of what was written since
        attended = attend(cockpit, cockpit.infra.plan(name, why=options.why), FollowOptions(quiet=True), document=False)
        if attended is not None and not attended.succeeded:
            return attended.ending()
    asked = cockpit.changes.plan("infra-apply", name)
    done = without_a_run(asked, shapes.plan(asked), options.output_format, dry_run=options.dry_run)
    if done is not None:
        return done
    return apply_plan(
        cockpit,
        asked,
        options,
        on_cancel="asked to end: what is being changed is finished first, and the state written",
        finished=lambda detail: _finished(name, detail),
    )


def _finished(name: str, detail: RunDetail) -> str:
    results = detail.steps[0].results if detail.steps else {}
    return f"{clean(name)} is applied: {clean(str(results.get('summary', '')))}"


for _name, _function in (
    ("ls", ls),
    ("plan", plan),
    ("show", show),
    ("approve", approve),
    ("apply", apply),
    ("drift", drift),
    ("outputs", outputs),
):
    infra.command(_name)(command(_function))
