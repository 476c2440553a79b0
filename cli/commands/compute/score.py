"""score: has a version predict the rows of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ....core.cockpit import Cockpit
from ....core.domain.frozen import Frozen
from ....core.domain.models import ScoreRequest
from ....core.domain.text.format import count, duration
from ... import session
from ...completion import complete_version
from ...interaction.attend import attend, run_headline
from ...options import VERSION_HELP, FollowOptions, Printed, environment_option, written_to
from ...text import diagnostics, output
from ...text.output import Format
from ..models import refresh


def _option(*names: str, metavar: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, show_default=False, **more)


Source = Annotated[
    str, typer.Argument(metavar="FILE|DIR", help="A Parquet or CSV file, or a directory of them.", show_default=False)
]
Into = Annotated[
    Path, _option("-o", "--to", metavar="DIR", parser=written_to, help="The directory for the predictions.")
]
Environment = Annotated[str | None, environment_option("Score with the version that this environment serves.")]
Version = Annotated[
    str | None,
    _option(
        "--version",
        metavar="VERSION",
        help=f"{VERSION_HELP} Default: the champion.",
        autocompletion=complete_version,
    ),
]
Parallel = Annotated[
    int | None,
    _option(
        "--parallel", "-p", metavar="N", help="Predict N parts at once. Default: as many as there are CPUs.", min=1
    ),
]
Keep = Annotated[
    list[str] | None,
    _option("--keep", metavar="COLUMN", help="Write this column of the input, and not all; may be repeated."),
]
PartRows = Annotated[
    int | None,
    _option("--part-rows", metavar="N", help="Rows of one part. Default: a 64th of the file, at least 16384.", min=1),
]


class ScoreOptions(FollowOptions):
    """How the run is followed; `-o` is the directory here."""

    output_format: Printed = Format.TABLE


class HowOptions(Frozen):
    """How the rows are divided."""

    parallel: Parallel = None
    keep: Keep = None
    part_rows: PartRows = None


def score(
    cockpit: Cockpit,
    source: Source,
    how: HowOptions,
    options: ScoreOptions,
    into: Into,
    environment: Environment = None,
    version: Version = None,
) -> int:
    """Have a version predict every row of Parquet or CSV files, in parts, several at once. A call that is repeated goes
    on with the parts that are finished.

    \b
    Example:
      podium score data/june.parquet -o predictions/june
      podium score data/ -o predictions --version 4 --parallel 4 --keep id
    """
    name = cockpit.environments.chosen(environment) if environment is not None else ""
    number, model = None, ""
    if version is not None:
        refresh(cockpit, offline=False)
        found = cockpit.models.resolve(version, cockpit.environments.model_of(name) if name else None)
        number, model = found.version, found.model
    asked = ScoreRequest(
        os.path.normpath(session.start() / source),
        os.path.normpath(session.start() / into),
        name,
        number,
        how.parallel,
        tuple(how.keep or ()),
        how.part_rows,
        model,
    )
    run = cockpit.models.score(asked, why=options.why)
    attended = attend(cockpit, run, options, headline=run_headline(run))
    if attended is None:
        return diagnostics.DONE
    if attended.succeeded and options.output_format is not Format.JSON:
        _show(attended.detail.steps[0].results)
    return attended.ending()


def _show(found: Any) -> None:
    output.pairs(
        [
            ("version", f"{found['version']} of {found['model']}"),
            ("digest", str(found["digest"])),
            ("rows", f"{found['rows']:,}"),
            ("parts", count(found["parts"], "part") + (f", {found['kept_parts']} kept" if found["kept_parts"] else "")),
            ("columns", ", ".join(found["columns"])),
            ("output", str(found["output"])),
            ("took", duration(found["seconds"])),
        ]
    )
