"""monitors and drift: what is measured of what serves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.monitoring import ColumnMeasurement, Measurement, MonitorKind, MonitorStatus
from ....core.domain.monitors.courses import Course
from ....core.domain.text import measures, one_line
from ....core.domain.text.durations import parse_duration
from ....core.domain.text.format import ago, local, number, until
from ....core.errors import PodiumError, UsageError
from ...completion import complete_monitor
from ...options import Output
from ...text import diagnostics, output
from ...text import monitoring_shapes as shapes
from ...text.output import Column, Format

# Kinds that compare rows with a reference: what `drift` without a name evaluates.
_OF_ROWS = (MonitorKind.DRIFT, MonitorKind.DATA)
_SHOWN_COLUMNS = 100


class ReportFormat(StrEnum):
    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"
    HTML = "html"


Name = Annotated[
    str | None,
    typer.Argument(metavar="[MONITOR]", help="A monitor. Default: all.", autocompletion=complete_monitor),
]

_MONITORS = (
    Column("MONITOR"),
    Column("ENVIRONMENT"),
    Column("WHAT", flexible=True),
    Column("VALUE", right=True),
    Column("INTERVAL"),
    Column("THRESHOLD", flexible=True),
    Column("STATE", states=True),
    Column("MEASURED"),
    Column("NEXT"),
)
_COLUMNS = (
    Column("COLUMN", flexible=True),
    Column("VALUE", right=True),
    Column("CRITICAL", right=True),
    Column("P", right=True),
    Column("REFERENCE"),
    Column("NOW"),
    Column("MESSAGE", flexible=True),
)
_COURSE = (
    Column("AT"),
    Column("VERSION"),
    Column("VALUE", right=True),
    Column("INTERVAL"),
    Column("NOTE", flexible=True),
)
# Rows of a course that are written at most, beside those of deployments; JSON has all of it.
_COURSE_ROWS = 20
_COURSE_LENGTH = "30d"


def _seconds(text: str) -> float:
    """Returns the length of `--since`. Raises UsageError."""
    found = parse_duration(text)
    if not found:
        raise UsageError(f"{text!r} is no length of time", hint="say 12h, 7d or 90d")
    return found


def monitors(
    cockpit: Cockpit,
    monitor: Name = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="How far back the course of one goes: 12h, 7d.")
    ] = _COURSE_LENGTH,
    output_format: Output = Format.TABLE,
) -> int:
    """List the monitors with what each measured last, or show one with its course and its columns.

    \b
    Example:
      podium monitors
      podium monitors quality --since 7d
      podium monitors input-drift -o json
    """
    length = _seconds(since)
    if monitor is not None:
        now = time.time()
        _one(cockpit.monitors.get(monitor), cockpit.monitors.course(monitor, now - length, now), output_format)
        return diagnostics.DONE
    found = cockpit.monitors.list()
    output.rows(output_format, _MONITORS, [_row(each) for each in found], map(shapes.monitor, found))
    if not found:
        diagnostics.note("podium.yaml has no monitors", style="dim")
    elif output_format is Format.TABLE:
        _without_agent(cockpit, found)
    return diagnostics.DONE


def drift(
    cockpit: Cockpit,
    monitor: Name = None,
    output_format: Annotated[
        ReportFormat,
        typer.Option("-o", "--output", help="table, plain or json; html for a page that can be sent on."),
    ] = ReportFormat.TABLE,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Write the report into FILE instead.", show_default=False),
    ] = None,
) -> int:
    """Evaluate a monitor now, or all monitors of drift and data, and show what was measured.

    \b
    Example:
      podium drift
      podium drift input-drift -o html --to drift.html
    """
    if to is not None and output_format not in (ReportFormat.HTML, ReportFormat.JSON):
        raise UsageError("a table is written for a terminal", hint="use -o json or -o html with --to")
    names = [monitor] if monitor is not None else [m.name for m in cockpit.monitors.list() if m.kind in _OF_ROWS]
    if output_format is ReportFormat.HTML and len(names) != 1:
        raise UsageError("a page is of one monitor", hint="podium drift MONITOR -o html --to drift.html")
    if not names:
        diagnostics.note("podium.yaml has no monitors of drift or data", style="dim")
    found = cockpit.monitors.evaluate_now(*names) if names else []
    if output_format is ReportFormat.HTML:
        _report(cockpit.monitors.page(found[0]).rstrip(), to)
    elif output_format is ReportFormat.JSON:
        _report(output.as_text(shapes.measurement(found[0]) if monitor else [*map(shapes.measurement, found)]), to)
    else:
        _tables(cockpit, found, Format(output_format.value))
    return diagnostics.DONE


def _report(text: str, to: Path | None) -> None:
    if to is None:
        output.lines(text)
    else:
        _write(to, f"{text}\n")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PodiumError(f"{path} cannot be written: {error.strerror}", hint="name another file with --to") from error
    diagnostics.note(f"written: {path}", style="dim")


def _tables(cockpit: Cockpit, found: Sequence[Measurement], wanted: Format) -> None:
    for place, each in enumerate(found):
        if place and wanted is Format.TABLE:
            output.line()
        _measurement(cockpit.monitors.get(each.monitor), each, wanted)


def _one(status: MonitorStatus, course: Course, wanted: Format) -> None:
    if wanted is Format.JSON:
        last = status.last and shapes.measurement(status.last)
        output.document({**shapes.monitor(status), "measurement": last, **shapes.course_of(course)})
    elif status.last is None:
        output.pairs([("monitor", status.name), ("what", status.what), ("value", "not measured yet")])
    else:
        _measurement(status, status.last, wanted)
        if wanted is Format.TABLE:
            _course(status, course)


def _course(status: MonitorStatus, course: Course) -> None:
    """Writes the course of a monitor: a row for each stretch of time, and for each version that began to serve."""
    if len([each for each in course.past if each.value is not None]) < 2:
        return
    shown = [(each.at, _course_row(status, each)) for each in course.cells(_COURSE_ROWS) if each is not None]
    shown += [(mark.at, (local(mark.at), f"v{mark.version}", "", "", str(mark.how))) for mark in course.marks]
    output.line()
    output.rows(Format.TABLE, _COURSE, [row for _, row in sorted(shown, key=lambda each: each[0])], ())


def _course_row(status: MonitorStatus, each: Measurement) -> tuple[str, ...]:
    return (
        local(each.at),
        "" if each.version is None else f"v{each.version}",
        measures.value(status.kind, status.measure, each.value),
        measures.interval(each, status.measure),
        "" if each.baseline is None else f"{measures.value(status.kind, status.measure, each.baseline)} when promoted",
    )


def _measurement(status: MonitorStatus, found: Measurement, wanted: Format) -> None:
    if wanted is Format.TABLE:
        output.pairs(_facts(status, found))
    if found.columns:
        if wanted is Format.TABLE:
            output.line()
        ordered = measures.by_weight(found.columns)[:_SHOWN_COLUMNS]
        output.rows(wanted, _COLUMNS, [_cells(each) for each in ordered], ())


def _facts(status: MonitorStatus, found: Measurement) -> list[tuple[str, str]]:
    def value(amount: float | None) -> str:
        return "" if amount is None else measures.value(status.kind, status.measure, amount)

    return [
        ("monitor", f"{status.name} on {status.environment}"),
        ("what", status.what),
        ("value", measures.value(status.kind, status.measure, found.value)),
        ("interval", measures.interval(found, status.measure)),
        ("critical", value(found.critical)),
        ("p-value", number(found.p_value) if found.p_value is not None else ""),
        ("when promoted", value(found.baseline)),
        ("alerts", ", ".join(status.thresholds)),
        ("rows", f"{found.rows:,}" if found.rows else ""),
        ("version", f"v{found.version}" if found.version is not None else ""),
        ("measured", ago(found.at)),
        *(("note", each) for each in (found.message, *found.warnings)),
    ]


def _cells(column: ColumnMeasurement) -> tuple[str, ...]:
    drawn = column.histogram
    most = max((*drawn.reference, *drawn.current), default=0.0) if drawn is not None else 0.0
    return (
        column.column,
        number(column.value) if column.value is not None else "",
        number(column.critical) if column.critical is not None else "",
        number(column.p_value) if column.p_value is not None else "",
        measures.bars(drawn.reference, most) if drawn is not None else "",
        measures.bars(drawn.current, most) if drawn is not None else "",
        column.message or ("beyond" if column.beyond else ""),
    )


def _row(status: MonitorStatus) -> tuple[str, ...]:
    last = status.last
    shown = "" if last is None else measures.value(status.kind, status.measure, last.value)
    return (
        status.name,
        status.environment,
        status.what,
        shown,
        "" if last is None else measures.interval(last, status.measure),
        ", ".join(status.thresholds),
        status.state.value
        if status.state is not None
        else "no data"
        if last is not None and last.value is None
        else "",
        "" if last is None else ago(last.at),
        _next(status),
    )


def _next(status: MonitorStatus) -> str:
    now = time.time()
    return "" if status.next is None else "due" if status.next <= now else until(status.next, now)


def _without_agent(cockpit: Cockpit, found: Sequence[MonitorStatus]) -> None:
    if not cockpit.agent.status().alive:
        diagnostics.note("no agent is running: `podium watch` evaluates them", style="yellow")
    for each in found:
        if each.last is not None and each.last.value is None:
            diagnostics.note(f"{each.name}: {one_line(each.last.message)}", style="dim")
