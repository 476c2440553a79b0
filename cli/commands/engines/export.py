"""export: what an environment serves, as files for another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.engines.exports import ExportFormat
from ....core.domain.text import clean
from ...options import EnvironmentName, Output
from ...session import start
from ...text import diagnostics, engine_shapes, output
from ...text.diagnostics import hint, note
from ...text.output import Format


def export(
    cockpit: Cockpit,
    environment: EnvironmentName = None,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="The engine that the files are for.")
    ] = ExportFormat.COMPOSE,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            help="The directory of the files; made if it does not exist. Default: ENVIRONMENT-FORMAT.",
            show_default=False,
        ),
    ] = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Write what an environment serves as files for Compose or Kubernetes.

    Images are named by digest; health checks, limits, lineage and the weights of a canary are in them, and nothing
    that needs Podium. What the environment has and the files do not is said.

    \b
    Example:
      podium export -e production --format compose --to deploy/production
      podium export -e production --format kubernetes
    """
    name = cockpit.environments.chosen(environment)
    done = cockpit.environments.export(name, form, start() / (to or f"{name}-{form.value}"))
    for sentence in done.left_out:
        note(clean(f"not in it: {sentence}"), style="yellow")
    if output_format is Format.JSON:
        output.document(engine_shapes.exported(done))
    else:
        for file in done.files:
            output.line(clean(str(Path(done.directory) / file)))
    for command in done.next:
        hint(clean(command))
    return diagnostics.DONE
