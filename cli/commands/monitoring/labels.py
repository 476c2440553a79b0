"""labels: which requests have a label, and what became of labels; adding some from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ....core.cockpit import Cockpit
from ....core.domain.labels import AddedLabels, KeptRequest, LabelStatus, LabelTable
from ....core.domain.text import clean, one_line
from ....core.domain.text.format import count, duration, moment
from ....core.errors import UsageError
from ...options import AnyEnvironment, EnvironmentName, Output
from ...session import command, start
from ...text import diagnostics, output
from ...text import monitoring_shapes as shapes
from ...text.diagnostics import note
from ...text.output import Column, Format

labels = typer.Typer(rich_markup_mode=None)
_COUNTS = (
    Column("ENVIRONMENT"),
    Column("REQUESTS", right=True),
    Column("LABELLED", right=True),
    Column("DELAY", right=True),
    Column("LATE", right=True),
    Column("REPEATED", right=True),
    Column("CONTRADICTORY", right=True),
    Column("WAITING", right=True),
    Column("UNKNOWN", right=True),
    Column("REFUSED", right=True),
)
_REQUESTS = (
    Column("AT"),
    Column("REQUEST"),
    Column("VERSION", right=True),
    Column("STATUS", right=True),
    Column("PREDICTION", flexible=True),
    Column("LABEL", flexible=True),
)
_DISPUTES = (
    Column("AT"),
    Column("REQUEST"),
    Column("ROW", right=True),
    Column("KEPT", flexible=True),
    Column("FROM"),
    Column("SAID", flexible=True),
    Column("BY"),
)
_SHOWN_CHARACTERS = 60
_WORDS = {"waiting": "waiting for a request"}
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="At most so many, the newest.")]


@labels.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    environment: AnyEnvironment = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Show how many requests have a label and after what time, and what became of the others.

    \b
    Example:
      podium labels -o json
      podium labels import truth.csv -e production --label late
    """
    if context.invoked_subcommand is not None:
        return diagnostics.DONE
    return command(counts)(environment=environment, output_format=output_format)


def counts(cockpit: Cockpit, environment: AnyEnvironment = None, output_format: Output = Format.TABLE) -> int:
    cockpit.labels.collect(environment)
    found = cockpit.labels.status(environment)
    output.rows(output_format, _COUNTS, map(_counted, found), map(shapes.label_status, found))
    if output_format is Format.TABLE:
        for line in (line for each in found for line in _notes(each)):
            note(line, style="yellow")
    return diagnostics.DONE


def _counted(status: LabelStatus) -> Sequence[str]:
    found = status.counts
    share = f"{found.matched} ({found.matched / found.requests:.1%})" if found.requests else "0"
    delay = duration(found.delay) if found.delay is not None else ""
    numbers = (found.late, found.repeated, found.contradictory, found.waiting, found.unknown, found.refused)
    return (status.environment, str(found.requests), share, delay, *map(str, numbers))


def _notes(status: LabelStatus) -> Iterator[str]:
    name = status.environment
    if not status.taken:
        yield f"{name}: its replicas take no labels: others can reach it, and environments.{name}.feedback names nobody"
    elif not status.proved and status.clients:
        yield f"{name}: whoever reaches it may send labels (environments.{name}.feedback names who may)"
    for client in status.clients:
        troubles = [
            f"{number} {word}"
            for number, word in (
                (client.added.contradictory, "contradictory"),
                (client.added.refused, "refused"),
                (client.added.unknown, "unknown"),
            )
            if number
        ]
        if troubles:
            yield f"{name}: {one_line(client.name) or 'somebody unproved'}: {', '.join(troubles)}"


def ls(
    cockpit: Cockpit,
    environment: EnvironmentName = None,
    limit: Limit = 50,
    labelled: Annotated[bool, typer.Option("--labelled", help="Only requests that have a label.")] = False,
    output_format: Output = Format.TABLE,
) -> int:
    """List requests with their predictions and labels, newest first.

    \b
    Example:
      podium labels ls -e production --labelled -n 20
    """
    name = cockpit.environments.chosen(environment)
    cockpit.labels.collect(name)
    found = cockpit.labels.requests(name, limit=limit, labelled=labelled)
    output.rows(output_format, _REQUESTS, map(_request, found), map(shapes.kept_request, found))
    return diagnostics.DONE


def _request(request: KeptRequest) -> Sequence[str]:
    return (
        moment(request.at),
        one_line(request.id),
        "" if request.version is None else str(request.version),
        str(request.status),
        _values(request.predictions),
        _values(request.labels) if request.labelled else "",
    )


def _values(values: Sequence[Any]) -> str:
    return ", ".join(map(_value, values[:3])) + (", …" if len(values) > 3 else "")


def _value(value: Any) -> str:
    text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def disputes(
    cockpit: Cockpit, environment: EnvironmentName = None, limit: Limit = 50, output_format: Output = Format.TABLE
) -> int:
    """List labels that said something else than an earlier one, newest first. The first one counts.

    \b
    Example:
      podium labels disputes -e production
    """
    name = cockpit.environments.chosen(environment)
    cockpit.labels.collect(name)
    found = cockpit.labels.disputes(name, limit=limit)
    rows = (
        (
            moment(each.at),
            one_line(each.request_id),
            str(each.row),
            _value(each.kept),
            one_line(each.kept_from),
            _value(each.said),
            one_line(each.said_by),
        )
        for each in found
    )
    output.rows(output_format, _DISPUTES, rows, map(shapes.dispute, found))
    return diagnostics.DONE


def _column(help_text: str, *names: str) -> Any:
    return typer.Option(*names, metavar="COLUMN", help=help_text, show_default=False)


def import_(
    cockpit: Cockpit,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .parquet file.", show_default=False)],
    label: Annotated[str, _column("The column of labels.", "--label")],
    request: Annotated[str, _column("The column of request ids. Default: request_id.", "--id")] = "",
    key: Annotated[str, _column("The column with the environment's key, instead of ids.", "--key")] = "",
    at: Annotated[str, _column("The column with the time at which the truth was known.", "--at")] = "",
    row: Annotated[str, _column("The column with the row of the request, from 0.", "--row")] = "",
    environment: EnvironmentName = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Add labels from a file: by the id of their request, or by a key that the environment keeps.

    Labels that were there already change nothing. Rows without a label are counted and left out. A label by key is also
    that of requests with the key that come later.

    \b
    Example:
      podium labels import truth.csv -e production --label late
      podium labels import truth.parquet -e production --label late --key flight
    """
    if request and key:
        raise UsageError("--id and --key name requests in two ways", hint="leave one of them out")
    table = LabelTable(label, id="" if key else request or "request_id", key=key, at=at, row=row)
    added = cockpit.labels.add(cockpit.environments.chosen(environment), start() / file, table)
    if output_format is Format.JSON:
        output.document(shapes.added_labels(added))
    note(_sentence(file, added), style="green" if added.matched or added.repeated else "yellow")
    return diagnostics.DONE


def _sentence(file: Path, added: AddedLabels) -> str:
    numbers = {word: number for word, number in shapes.added_labels(added).items() if word != "skipped"}
    words = [f"{number} {_WORDS.get(word, word)}" for word, number in numbers.items() if number]
    left = f"; {count(added.skipped, 'row')} without a label left out" if added.skipped else ""
    return (
        f"{clean(file.name)}: {count(sum(numbers.values()), 'label')}{': ' + ', '.join(words) if words else ''}{left}"
    )


labels.command("ls")(command(ls))
labels.command("disputes")(command(disputes))
labels.command("import")(command(import_))
