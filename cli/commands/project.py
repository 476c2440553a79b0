"""init, validate, config and doctor: the project itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.cockpit import Cockpit, init_project, masked_document, schema
from ...core.domain.text import clean
from ...core.domain.text.format import count
from ...core.domain.watching import Health
from ...core.errors import ConfigError
from ..interaction.apply import without_a_run
from ..interaction.confirm import agree
from ..options import DryRun, Output, Why, Yes
from ..session import command, start
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format


def init(
    where: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="Where to write it; made if it does not exist. Default: here.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="The project's name. Default: the directory's.", show_default=False
        ),
    ] = "",
) -> int:
    """Write a podium.yaml that works and explains each of its lines, with a small training script and a test.

    \b
    Example:
      podium init churn && cd churn && git init -b main && podium run
    """
    target = start() / where if where else start()
    made = init_project(target, name=name)
    for path in made:
        output.line(str(path))
    diagnostics.note(f"{count(len(made), 'file')} written", style="green")
    if not any((parent / ".git").exists() for parent in (target.resolve(), *target.resolve().parents)):
        diagnostics.hint(
            "no git repository yet: pushes start runs after `git init -b main && git add . && git commit -m first`"
        )
    diagnostics.hint("next: podium validate && podium run")
    return diagnostics.DONE


def validate(
    cockpit: Cockpit,
    output_format: Output = Format.TABLE,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the MLflow server and the Git host whether they accept us.")
    ] = False,
) -> int:
    """Check podium.yaml and report every problem with file, line and column.

    \b
    Example:
      podium validate
      podium validate --online
      podium validate -o json
    """
    try:
        project = cockpit.project.reload()
        if problems := cockpit.project.missing():
            raise ConfigError(tuple(problems))
    except ConfigError as error:
        if output_format is not Format.JSON:
            raise
        output.document({"valid": False, "problems": [shapes.problem(each) for each in error.problems]})
        return error.exit_code
    if online and (code := _online(cockpit)):
        return code
    if output_format is Format.JSON:
        output.document({"valid": True, "problems": []})
    steps = sum(len(pipeline.steps) for pipeline in project.pipelines.values())
    parts = [count(len(project.pipelines), "pipeline"), count(steps, "step"), count(len(project.gates), "gate")]
    environments = count(len(project.environments), "environment")
    diagnostics.note(f"podium.yaml is valid: {', '.join(parts)}, {environments}", style="green")
    for line in project.idle:
        diagnostics.note(line, style="yellow")
    return diagnostics.DONE


def _online(cockpit: Cockpit) -> int:
    """Says what the servers answer; returns the exit code, 0 where they accept us."""
    worst = diagnostics.DONE
    for each in cockpit.project.online():
        bad = each.health is Health.PROBLEM
        diagnostics.note(f"{each.subject}: {clean(each.message)}", style="red" if bad else "")
        if bad:
            diagnostics.hint(clean(each.hint))
            worst = diagnostics.UNREACHABLE
    return worst


def adopt(
    cockpit: Cockpit,
    yes: Yes = False,
    dry_run: DryRun = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Make a copy of a project one of its own. It gives up what the original runs: agent, replicas, locks, runs.

    \b
    Example:
      cp -a shop shop-2 && podium -C shop-2 adopt
    """
    plan = cockpit.project.plan_adoption()
    if (done := without_a_run(plan, shapes.plan(plan), output_format, dry_run=dry_run)) is not None:
        return done
    agree(plan, yes=yes, confirm="")
    cockpit.project.adopt(plan)
    if output_format is Format.JSON:
        output.document(shapes.plan(plan))
    diagnostics.note(f"{clean(plan.target)} is a project of its own now; nothing is served from it yet", style="green")
    return diagnostics.DONE


def trust(
    cockpit: Cockpit,
    address: Annotated[str, typer.Argument(help="The server's address, as podium.yaml names it.")],
) -> int:
    """Let a server have the credentials that this project sends it: MLflow's, and variables in its address or token.

    It is noted in ~/.config/podium/hosts, a line for each address and project, which you may also write yourself.

    \b
    Example:
      podium trust https://mlflow.example.com
    """
    noted = cockpit.project.name_server(address)
    diagnostics.note(f"{clean(noted)} may get credentials from {clean(str(cockpit.home))}", style="green")
    return diagnostics.DONE


def unlock(
    cockpit: Cockpit,
    name: Annotated[str, typer.Argument(help="What is locked, as `podium doctor` names it.")],
    why: Why = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Break a lock whose holder was on a machine that is gone. One whose holder is known to be dead breaks by itself.

    \b
    Example:
      podium unlock 'environment production' --why "build-2 burned down"
    """
    plan = cockpit.project.plan_unlock(name)
    if (done := without_a_run(plan, shapes.plan(plan), output_format, dry_run=dry_run)) is not None:
        return done
    agree(plan, yes=yes, confirm="")
    cockpit.project.unlock(plan, why)
    if output_format is Format.JSON:
        output.document(shapes.plan(plan))
    diagnostics.note(f"{clean(name)} is free", style="green")
    return diagnostics.DONE


config = typer.Typer(
    help="Print the configuration's schema, or its values.", no_args_is_help=True, rich_markup_mode=None
)


def schema_() -> int:
    """Print the JSON Schema of podium.yaml, for editors.

    \b
    Example:
      podium config schema > podium.schema.json
    """
    output.document(schema())
    return diagnostics.DONE


def show(cockpit: Cockpit) -> int:
    """Print the configuration as Podium understands it.

    It is JSON: defaults are filled in, variables replaced and secrets masked.

    \b
    Example:
      podium config show
    """
    from dataclasses import asdict

    project = cockpit.project.reload()
    value = asdict(project)
    for key in ("secrets", "idle", "digest"):
        value.pop(key)
    output.document(masked_document(value, project.secrets))
    return diagnostics.DONE


config.command("schema")(command(schema_))
config.command("show")(command(show))

_FINDINGS = (Column("HEALTH", states=True), Column("SUBJECT"), Column("WHAT", flexible=True))


def doctor(cockpit: Cockpit, output_format: Output = Format.TABLE) -> int:
    """Check the project, its state and this machine. The exit code is 1 if there is a problem.

    \b
    Example:
      podium doctor -o json
    """
    findings = cockpit.project.doctor()
    cells = [
        (each.health.value, each.subject, each.message + (f"; {each.hint}" if each.hint else "")) for each in findings
    ]
    output.rows(output_format, _FINDINGS, cells, map(shapes.finding, findings))
    problems = [each for each in findings if each.health is Health.PROBLEM]
    if problems:
        diagnostics.note(
            f"{count(len(problems), 'problem')}: {', '.join(clean(each.subject) for each in problems)}", style="red"
        )
        return diagnostics.FAILED
    return diagnostics.DONE
