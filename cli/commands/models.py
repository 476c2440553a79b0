"""models, versions, compare and lineage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.models import Version
from ...core.domain.text import clean
from ...core.domain.text.format import ago, figure, moment, short_commit
from ...core.domain.verdicts import VersionVerdict, last_word
from ...core.errors import PodiumError, UsageError
from ..completion import complete_version
from ..options import VERSION_HELP, Model, Offline, Output
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format

_SHOWN_METRICS = 4


def refresh(cockpit: Cockpit, offline: bool) -> None:
    """Brings the snapshot of the registry up to date. If the registry does not answer, says so and leaves it."""
    if offline:
        return
    try:
        cockpit.models.refresh_apart() if cockpit.project.config.mlflow.embedded else cockpit.models.refresh()
    except PodiumError as error:
        if not cockpit.models.list():
            raise
        diagnostics.note(f"podium: {clean(error.message)}; this is its last known state", style="yellow")


_MODELS = (
    Column("MODEL"),
    Column("VERSIONS", right=True),
    Column("LATEST", right=True),
    Column("ALIASES", flexible=True),
    Column("UPDATED"),
)


def models(cockpit: Cockpit, offline: Offline = False, output_format: Output = Format.TABLE) -> int:
    """List the models in the registry.

    \b
    Example:
      podium models -o json
    """
    refresh(cockpit, offline)
    found = cockpit.models.list()
    cells = [
        (
            each.name,
            str(each.versions),
            figure(each.latest),
            ", ".join(f"{alias}={number}" for alias, number in each.aliases.items()),
            ago(each.updated),
        )
        for each in found
    ]
    output.rows(output_format, _MODELS, cells, map(shapes.model, found))
    if not found:
        diagnostics.note("no models yet: a step with `uses: register` registers the first", style="dim")
    return diagnostics.DONE


def versions(
    cockpit: Cockpit,
    model: Model = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="A metric to show; may be repeated.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="List at most N.", show_default=False)
    ] = None,
    offline: Offline = False,
    output_format: Output = Format.TABLE,
) -> int:
    """List a model's versions, newest first, with their aliases, verdicts and metrics.

    \b
    Example:
      podium versions --metric roc_auc -o json
    """
    refresh(cockpit, offline)
    found = cockpit.models.versions(model)[:limit]
    verdicts = cockpit.models.verdicts(model)
    if output_format is Format.JSON:
        output.document([shapes.version(each, verdicts.get(each.version, ())) for each in found])
        return diagnostics.DONE
    metrics = metric or _common_metrics(found)
    columns = [
        Column("VERSION", right=True),
        Column("ALIASES"),
        Column("VERDICT", states=True),
        Column("COMMIT"),
        Column("RUN", right=True),
        Column("CREATED"),
        *(Column(name.upper(), right=True) for name in metrics),
    ]
    cells = [_version_row(each, metrics, verdicts.get(each.version, ())) for each in found]
    against = [_against(verdicts.get(each.version, ())) for each in found]
    if any(against):
        columns.append(Column("WHY", flexible=True))
        cells = [(*row, why) for row, why in zip(cells, against, strict=True)]
    output.rows(output_format, columns, cells, ())
    if not found:
        diagnostics.note(f"model {model or cockpit.project.config.mlflow.model} has no versions yet", style="dim")
    return diagnostics.DONE


def _against(verdicts: Sequence[VersionVerdict]) -> str:
    """Returns why the last word is not a pass."""
    return verdicts[0].sentence if verdicts and verdicts[0].bad else ""


def _version_row(version: Version, metrics: list[str], verdicts: Sequence[VersionVerdict]) -> tuple[str, ...]:
    marks = ", ".join([*version.aliases, *([] if version.status == "READY" else [version.status.lower()])])
    return (
        str(version.version),
        marks,
        last_word(verdicts, version.verdict),
        short_commit(version.commit),
        figure(version.run_id),
        ago(version.created),
        *(figure(version.metrics.get(name)) for name in metrics),
    )


def _common_metrics(versions: list[Version]) -> list[str]:
    """Returns the metrics that most versions have, at most four."""
    counts: dict[str, int] = {}
    for version in versions[:50]:
        for name in version.metrics:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))[:_SHOWN_METRICS]


def compare(
    cockpit: Cockpit,
    versions: Annotated[
        list[str],
        typer.Argument(
            metavar="VERSION...",
            help=f"Two or more. {VERSION_HELP}",
            autocompletion=complete_version,
        ),
    ],
    model: Model = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Show also what does not differ.")] = False,
    offline: Offline = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Compare versions side by side: metrics, parameters, tags.

    \b
    Example:
      podium compare champion challenger
    """
    if len(versions) < 2:
        raise UsageError("a comparison needs at least two versions", hint="podium compare champion challenger")
    refresh(cockpit, offline)
    chosen = [cockpit.models.resolve(text, model) for text in versions]
    comparison = cockpit.models.compare(chosen)
    if output_format is Format.JSON:
        verdicts = {each.version: cockpit.models.verdicts_of(each) for each in comparison.versions}
        output.document(shapes.comparison(comparison, verdicts))
        return diagnostics.DONE
    columns = [
        Column("KIND"),
        Column("NAME"),
        *(Column(f"V{each.version}", right=True, flexible=True) for each in comparison.versions),
    ]
    rows = [row for row in comparison.rows if all_ or row.differs]
    output.rows(
        output_format, columns, [(row.kind, row.name, *(figure(value) for value in row.values)) for row in rows], ()
    )
    if not rows:
        diagnostics.note("nothing differs", style="dim")
    return diagnostics.DONE


_VERDICTS = (
    Column("AT"),
    Column("OF"),
    Column("VERDICT", states=True),
    Column("WHO"),
    Column("WORDS", flexible=True),
    Column("RUN", right=True),
)
_LINEAGE = (
    Column("COMMIT"),
    Column("RUN", right=True),
    Column("MLFLOW RUN"),
    Column("VERSION", right=True),
    Column("ALIASES"),
    Column("VERDICT", states=True),
    Column("DIGEST"),
    Column("ENVIRONMENT"),
    Column("REPLICAS", flexible=True),
    Column("SHARE", right=True),
)


def lineage(
    cockpit: Cockpit,
    of: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A version (3, v3 or an alias), a commit, a run (run:12) or an environment.",
            show_default=False,
        ),
    ],
    offline: Offline = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Show which commit, run, MLflow run, version, files and replicas belong together.

    \b
    Example:
      podium lineage production
      podium lineage run:12 -o json
    """
    refresh(cockpit, offline)
    found = cockpit.models.lineage(of)
    cells = [
        (
            short_commit(row.commit),
            figure(row.run_id),
            row.mlflow_run[:12],
            "" if row.version is None else f"{row.model} {row.version}",
            ", ".join(row.aliases),
            last_word(row.verdicts, row.verdict),
            row.digest.removeprefix("sha256:")[:12],
            row.environment,
            ", ".join(row.replicas),
            f"{row.share:.0%}" if row.environment else "",
        )
        for row in found
    ]
    columns = _LINEAGE
    if any(row.image for row in found):
        # Only the digest: the name of a repository is long, and the same for all.
        columns = (*_LINEAGE, Column("IMAGE"))
        cells = [(*cell, row.image.rpartition("sha256:")[2][:12]) for cell, row in zip(cells, found, strict=True)]
    output.rows(output_format, columns, cells, map(shapes.lineage, found))
    for row in {each.version: each for each in found if each.learned is not None}.values():
        words = row.learned.words if row.learned is not None else ""
        diagnostics.note(f"version {row.version} learned from {words}", style="dim")
    return diagnostics.DONE


def show_version(cockpit: Cockpit, text: str, output_format: Format) -> int:
    """Shows one version, and what it met on its way, the last word first."""
    found = cockpit.models.resolve(text)
    verdicts = cockpit.models.verdicts_of(found)
    if output_format is Format.JSON:
        output.document(shapes.version(found, verdicts))
        return diagnostics.DONE
    if output_format is Format.TABLE:
        output.pairs(
            [
                ("version", f"{found.model} v{found.version}"),
                ("verdict", last_word(verdicts, found.verdict)),
                ("aliases", ", ".join(found.aliases)),
                ("commit", short_commit(found.commit)),
                ("run", figure(found.run_id)),
                ("created", moment(found.created) or ""),
                ("learned from", found.learned.words if found.learned is not None else ""),
            ]
        )
        output.line()
    cells = [
        (moment(each.at) or "", each.title, each.word, each.who, each.words, figure(each.run_id)) for each in verdicts
    ]
    output.rows(output_format, _VERDICTS, cells, ())
    if not verdicts:
        diagnostics.note("no gate, canary or person has judged it yet", style="dim")
    return diagnostics.DONE
