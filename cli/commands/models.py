"""models, versions, compare and lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.comparisons import Change, ComparedRow, Comparison
from ...core.domain.models import Version
from ...core.domain.text import clean
from ...core.domain.text.format import ago, figure, moment, short_commit
from ...core.domain.verdicts import VersionVerdict, last_word
from ...core.errors import PodiumError
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
        cockpit.models.refresh_apart() if cockpit.project.config.mlflow.by_client else cockpit.models.refresh()
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
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="QUERY", help="Only those of which it is true.", show_default=False),
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
      podium versions --where "roc_auc > 0.8 and depth = 4"
    """
    refresh(cockpit, offline)
    everything = cockpit.models.versions(model)
    found = (everything if where is None else cockpit.comparing.where(everything, where, model))[:limit]
    verdicts = cockpit.models.verdicts(model)
    if output_format is Format.JSON:
        output.document([shapes.version(each, verdicts.get(each.version, ())) for each in found])
        return diagnostics.DONE
    output.rows(output_format, *_listed(found, metric or _metrics(cockpit, found, where), verdicts), ())
    if not found:
        name = model or cockpit.project.config.mlflow.model
        none = f"no version of {name} is so: {where}" if everything else f"model {name} has no versions yet"
        diagnostics.note(none, style="dim")
    return diagnostics.DONE


def _listed(
    found: Sequence[Version], metrics: Sequence[str], verdicts: Mapping[int, Sequence[VersionVerdict]]
) -> tuple[Sequence[Column], Sequence[tuple[str, ...]]]:
    """Returns the columns and the rows of versions; where one was judged badly the last column says why."""
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
    if not any(against):
        return columns, cells
    return [*columns, Column("WHY", flexible=True)], [(*row, why) for row, why in zip(cells, against, strict=True)]


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


def _metrics(cockpit: Cockpit, versions: Sequence[Version], where: str | None) -> list[str]:
    """Returns the metrics to show, at most four: what was asked for, what `register` and the gates look at, and then
    what most versions have."""
    counts: dict[str, int] = {}
    for version in versions[:50]:
        for name in version.metrics:
            counts[name] = counts.get(name, 0) + 1
    asked = cockpit.comparing.asked_about(where) if where is not None else ()
    first = dict.fromkeys(name for name in (*asked, *cockpit.comparing.looked_at()) if name in counts)
    rest = sorted(counts.keys() - first, key=lambda name: (-counts[name], name))
    return [*first, *rest][:_SHOWN_METRICS]


_LONGEST = 24  # characters of a value in a table; -o plain, --format and the cockpit have all of it
_FLIPPED, _TELLING = 5, 3  # flipped rows and inputs of each that are shown without -a
_COMPARED = {Change.BETTER: "▲ better", Change.WORSE: "▼ worse", Change.UNCLEAR: "≈ unclear"}


class Written(StrEnum):
    """What a comparison can be written as, besides `-o`."""

    MARKDOWN = "markdown"
    CSV = "csv"
    HTML = "html"
    JSON = "json"


def compare(
    cockpit: Cockpit,
    versions: Annotated[
        list[str],
        typer.Argument(
            metavar="VERSION...",
            help=f"Two to six, or runs (run:41). {VERSION_HELP}",
            autocompletion=complete_version,
        ),
    ],
    model: Model = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Show also what does not differ.")] = False,
    form: Annotated[
        Written | None, typer.Option("--format", help="Write it for a document, a spreadsheet, a browser.")
    ] = None,
    offline: Offline = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Compare versions or runs side by side: what gates measured, what training logged, parameters, the models.

    The champion is the baseline where it is among them, else the first one.

    \b
    Example:
      podium compare champion challenger
      podium compare v1 v2 v3 --format markdown > comparison.md
    """
    refresh(cockpit, offline)
    comparison = cockpit.comparing.compare(versions, model)
    if form is Written.JSON or output_format is Format.JSON:
        verdicts = {each.version: cockpit.models.verdicts_of(each) for each in comparison.versions}
        output.document(shapes.comparison(comparison, cockpit.comparing.document(comparison), verdicts))
        return diagnostics.DONE
    rows = comparison.shown(differing=not all_, noise=all_)
    if form is not None:
        output.lines(cockpit.comparing.written(comparison, form.value, rows).rstrip("\n"))
        return diagnostics.DONE
    _print_compared(comparison, rows, output_format, whole=all_)
    if not rows:
        diagnostics.note("nothing differs", style="dim")
    else:
        diagnostics.note(f"{comparison.why}: ▲ better and ▼ worse are beside it", style="dim")
    return diagnostics.DONE


def _print_compared(comparison: Comparison, rows: Sequence[ComparedRow], form: Format, *, whole: bool) -> None:
    """Prints the rows; a table, whose cells are cut, also the flipped rows below it, `whole` with all their inputs."""
    subjects = [Column(each.label.upper(), right=True, flexible=True) for each in comparison.subjects]
    most = _LONGEST if form is Format.TABLE else None
    output.rows(form, [Column("KIND"), Column("NAME"), *subjects], [_compared(row, most) for row in rows], ())
    if form is Format.TABLE:
        for line in _flipped(comparison, None if whole else _TELLING):
            output.line(line)


def _flipped(comparison: Comparison, most: int | None) -> Iterator[str]:
    """Yields the flipped rows of each version with their `most` telling inputs, or all rows with all inputs."""
    base = comparison.subjects[0].label
    for row in comparison.rows:
        for subject, cell in zip(comparison.subjects, row.cells, strict=True):
            if cell.flips is None or not cell.flips.rows:
                continue
            yield ""
            yield f"{subject.label} against {base} on the rows of the gate {row.of}: {cell.text}"
            shown = cell.flips.rows if most is None else cell.flips.rows[:_FLIPPED]
            for each in shown:
                yield f"  {'▼' if each.worse else '▲'} row {each.row}  {cell.flips.words(each, base, most)}"
            left = cell.flips.better + cell.flips.worse - len(shown)
            if left:
                yield f"  and {left:,} more"


def _compared(row: ComparedRow, most: int | None) -> tuple[str, ...]:
    """Returns the cells of a row; texts of more than `most` characters are cut."""
    said = [_COMPARED.get(each.change, "") if each.change is not None else "" for each in row.cells]
    texts = [each.text if most is None or len(each.text) <= most else f"{each.text[:most]}…" for each in row.cells]
    cells = (f"{text} {words}".rstrip() for text, words in zip(texts, said, strict=True))
    return (f"{row.kind} {row.of}".rstrip(), row.title, *cells)


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
