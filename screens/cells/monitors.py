"""Cells and lines of monitors, their columns, alerts and what the feedback loop did."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.domain.monitoring import (
    WORST_FIRST,
    AlertState,
    AlertStatus,
    ColumnMeasurement,
    Histogram,
    LoopEntry,
    LoopState,
    Measurement,
    MonitorStatus,
)
from ...core.domain.monitors.courses import Course
from ...core.domain.text import format as fmt
from ...core.domain.text import measures
from ...tui.glyphs import Glyphs
from ...tui.queries import MonitorView
from ...tui.widgets.pane import Cell, Span, cells_of, fit
from ...tui.widgets.sparkline import sparkline
from ...tui.widgets.table import Column
from ...tui.widgets.text_pane import Line

# Not among the states of runs and steps in `tui/glyphs.py`: there *pending* is a step whose turn has not come.
_STATES: dict[str, tuple[str, str]] = {
    AlertState.INACTIVE: ("ok", "ok"),
    AlertState.PENDING: ("wait", "wait"),
    AlertState.FIRING: ("bad", "bad"),
    AlertState.NO_DATA: ("warn", "warn"),
    LoopState.REFUSED: ("skip", "warn"),
    LoopState.PROPOSED: ("wait", "wait"),
    LoopState.RUNNING: ("run", "run"),
    LoopState.ENDED: ("stop", "muted"),
    LoopState.DELIVERED: ("up", "run"),
    LoopState.HELPED: ("ok", "ok"),
    LoopState.DID_NOT_HELP: ("bad", "bad"),
}
_CHART = 24
"""Cells of a sparkline in the list."""


def state_span(state: AlertState | LoopState | None, glyphs: Glyphs) -> Span:
    if state is None:
        return (f"{glyphs['idle']} no alert", "faint")
    name, role = _STATES[state]
    return (f"{glyphs[name]} {state}", role)


def _written(status: MonitorStatus, value: float | None) -> str:
    return measures.value(status.kind, status.measure, value)


def monitor_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[MonitorView], ...]:
    def value(row: MonitorView) -> Cell:
        last = row.status.last
        if last is None:
            return (("not yet", "faint"),)
        if last.value is None:
            return (("no data", "warn"),)
        spread = measures.interval(last, row.status.measure)
        return ((_written(row.status, last.value), "text!"), (f"  {spread}", "muted"))

    def chart(row: MonitorView, width: int) -> Cell:
        cells = min(width, _CHART)
        values = [each.value for each in row.course.past]
        return ((sparkline(values, cells, glyphs()), "accent"),)

    def coming(row: MonitorView) -> Cell:
        at = row.status.next
        return ((fmt.until(at, clock()) if at is not None else "no agent", "muted"),)

    return (
        Column("state", lambda row: (state_span(row.status.state, glyphs()),), width=10, sort=_worst),
        Column(
            "monitor", lambda row: ((row.status.name, "accent"),), width=10, flex=2, sort=lambda row: row.status.name
        ),
        Column("environment", lambda row: ((row.status.environment, "muted"),), width=11, from_width=90),
        Column("measures", lambda row: row.status.what, width=12, flex=3, from_width=72),
        Column("value", value, width=9, flex=2),
        Column(
            "threshold", lambda row: (("; ".join(row.status.thresholds), "muted"),), width=10, flex=2, from_width=84
        ),
        Column("", lambda row: "", width=_CHART, from_width=110, draw=chart),
        Column("next", coming, width=8, align="right"),
    )


def _worst(row: MonitorView) -> int:
    return WORST_FIRST.index(row.status.state) if row.status.state is not None else len(WORST_FIRST)


def monitor_text(row: MonitorView) -> str:
    return f"{row.status.name} {row.status.environment} {row.status.what} {row.status.state or ''}"


def monitor_lines(status: MonitorStatus, now: float, glyphs: Glyphs) -> list[Line]:
    """Returns what is known of a monitor: its last measurement and its alerts."""
    last = status.last
    lines: list[Line] = [
        ((f"{status.what} of {status.environment}", "text!"),),
        *(((f"alert: {each}", "muted"),) for each in status.thresholds),
    ]
    if last is None:
        return [*lines, (("It was not measured yet.", "muted"),)]
    if last.value is None:
        lines.append(((f"no data, {fmt.ago(last.at, now)}: {last.message}", "warn"),))
    else:
        lines.append(_value_line(status, last, now))
        lines += _compared(status, last)
    lines += [((f"{glyphs['warn']} {each}", "warn"),) for each in last.warnings]
    if last.value is not None and last.message:
        lines.append(((last.message, "muted"),))
    return lines


def course_lines(status: MonitorStatus, course: Course, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Returns the course of a monitor as `height` lines: its values with their intervals, the value when the version
    was promoted, the versions that began to serve, and the times at both ends. Nothing before the second value."""
    if course.bounds is None or sum(each.value is not None for each in course.past) < 2:
        return []
    low, high = course.bounds
    names = (_written(status, high), _written(status, low))
    label = max(map(len, names))
    room, rows = max(8, width - label - 3), max(2, height - 2)
    cells = course.cells(room)

    def row(amount: float) -> int:
        return rows - 1 - round((amount - low) / (high - low) * (rows - 1)) if high > low else rows // 2

    lines: list[Line] = []
    for place in range(rows):
        name = names[0] if place == 0 else names[1] if place == rows - 1 else ""
        drawn = [_point(each, place, row, glyphs) for each in cells]
        lines.append(((f"{name:>{label}} {glyphs['track']}", "muted"), *_joined(drawn)))
    return [*lines, _marks_line(course, label, room, glyphs), _times_line(course, label, room)]


def _point(each: Measurement | None, place: int, row: Callable[[float], int], glyphs: Glyphs) -> Span:
    """Returns one cell of a course: a value, a part of its interval, or what it was when promoted."""
    if each is None or each.value is None:
        return (" ", "")
    if row(each.value) == place:
        return (glyphs["run"], "accent")
    if each.low is not None and each.high is not None and row(each.high) <= place <= row(each.low):
        return (glyphs["track"], "muted")
    return (glyphs["dot"], "faint") if each.baseline is not None and row(each.baseline) == place else (" ", "")


def _joined(cells: Sequence[Span]) -> list[Span]:
    """Returns spans of which neighbours of one role are one."""
    found: list[Span] = []
    for text, role in cells:
        if found and found[-1][1] == role:
            found[-1] = (found[-1][0] + text, role)
        else:
            found.append((text, role))
    return found


def _marks_line(course: Course, label: int, room: int, glyphs: Glyphs) -> Line:
    """Returns the line below a course on which each version stands where it began to serve; one for which there is no
    room has its glyph alone."""
    line = [" "] * room
    marked = course.marked(room)
    for place, mark in marked.items():
        after = min((each for each in marked if each > place), default=room)
        text = f"{glyphs['up']}v{mark.version}"
        text = text if len(text) < after - place or (after == room and len(text) <= room - place) else text[:1]
        line[place : place + len(text)] = text
    return ((" " * (label + 2), ""), ("".join(line), "ok"))


def _times_line(course: Course, label: int, room: int) -> Line:
    first, last = fmt.local(course.start), fmt.local(course.end)
    text = f"{first}{last.rjust(max(1, room - len(first)))}" if len(first) + len(last) < room else last.rjust(room)
    return ((" " * (label + 2), ""), (text, "faint"))


def _value_line(status: MonitorStatus, last: Measurement, now: float) -> Line:
    spread = measures.interval(last, status.measure)
    return (
        (_written(status, last.value), "text!"),
        (f" (95 % interval {spread})" if spread else "", "text"),
        (f" on {fmt.count(last.rows, 'request')}" if last.rows else "", "muted"),
        (f", measured {fmt.ago(last.at, now)}", "muted"),
    )


def _compared(status: MonitorStatus, last: Measurement) -> list[Line]:
    lines: list[Line] = []
    if last.critical is not None:
        lines.append((("critical value ", "muted"), (_written(status, last.critical), "bad" if last.beyond else "ok")))
    if last.p_value is not None:
        lines.append(((f"p {last.p_value:.2g} if nothing had changed", "muted"),))
    if last.baseline is not None:
        lines.append((("when it was promoted ", "muted"), (_written(status, last.baseline), "text")))
    return lines


# -- columns of a drift
# --------------------------------------------------------------------------------------------------------------------


def drift_columns() -> tuple[Column[ColumnMeasurement], ...]:
    def value(each: ColumnMeasurement) -> Cell:
        if each.value is None:
            return ((each.message or "not measured", "warn"),)
        figure = (fmt.figure(each.value), "bad" if each.beyond else "text")
        return (figure, (f"  {each.message}", "muted")) if each.message else (figure,)

    def critical(each: ColumnMeasurement) -> Cell:
        return ((fmt.figure(each.critical) if each.critical is not None else "", "muted"),)

    return (
        Column("column", lambda each: ((each.column, "accent"),), width=12, flex=2, sort=lambda each: each.column),
        Column("value", value, width=8, flex=1, sort=lambda each: -(each.value or 0.0)),
        Column("critical", critical, width=8),
        Column("p", lambda each: ((f"{each.p_value:.2g}" if each.p_value is not None else "", "muted"),), width=7),
    )


def histogram_lines(column: str, found: Histogram, width: int, glyphs: Glyphs) -> list[Line]:
    """Returns a line per bin: its edges or name, the reference's bar and the present one's."""
    names = found.names or tuple(
        f"{fmt.figure(low)} … {fmt.figure(high)}" for low, high in zip(found.edges, found.edges[1:], strict=False)
    )
    label = min(max((cells_of(name) for name in names), default=0), max(8, width // 3))
    room = max(4, (width - label - 16) // 2)
    top = max((*found.reference, *found.current), default=0.0) or 1.0
    lines: list[Line] = [
        (
            (f"{fit(column, label, glyphs)}  ", "accent"),
            (f"{'reference':<{room + 6}}", "muted"),
            ("now", "muted"),
        )
    ]
    for name, before, now in zip(names, found.reference, found.current, strict=False):
        lines.append(
            (
                (f"{fit(name, label, glyphs)}  ", "muted"),
                *_bar(before, top, room, glyphs, "faint"),
                *_bar(now, top, room, glyphs, "accent"),
            )
        )
    return lines


def _bar(share: float, top: float, room: int, glyphs: Glyphs, role: str) -> tuple[Span, Span]:
    cells = round(share / top * room)
    return (glyphs["bar"] * cells + " " * (room - cells), role), (f"{share:>4.0%}  ", "muted")


# -- alerts, and the feedback loop
# --------------------------------------------------------------------------------------------------------------------


def alert_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[AlertStatus], ...]:
    def since(each: AlertStatus) -> Cell:
        return ((fmt.ago(each.since, clock()), "muted"),)

    def words(each: AlertStatus) -> Cell:
        if each.silenced:
            return ((f"silenced {each.silenced}", "muted"),)
        if each.acknowledged:
            return ((f"known to {each.acknowledged}", "muted"),)
        return ((each.message or _texts(each).get("summary", ""), "text"),)

    return (
        Column("state", lambda each: (state_span(each.state, glyphs()),), width=10, sort=_order),
        Column("alert", lambda each: ((each.name, "accent"),), width=10, flex=2, sort=lambda each: each.name),
        Column("severity", lambda each: each.severity, width=8, from_width=72),
        Column("value", lambda each: ((each.shown, ""),), width=8, from_width=72),
        Column("threshold", lambda each: ((each.threshold, "muted"),), width=10, flex=1, from_width=96),
        Column("since", since, width=11, sort=lambda each: each.since),
        Column("", words, width=10, flex=4),
    )


def alert_lines(alert: AlertStatus, now: float, glyphs: Glyphs) -> list[Line]:
    """Returns all that is known of an alert."""
    state, role = state_span(alert.state, glyphs)
    value = f"{alert.shown or 'no value'}, fires {alert.threshold}"
    muted = None if alert.firing else alert.muted_until
    return [
        ((f"{state}, {alert.severity}, {fmt.ago(alert.since, now)}, on {alert.environment}", role),),
        ((f"monitor {alert.monitor}: {value}", "text!"),),
        *([(("no data now", "warn"),)] if alert.absent else []),
        *([((alert.message, "text"),)] if alert.message else []),
        *(((f"{name}: ", "muted"), (text, "text")) for name, text in _texts(alert).items()),
        *([((f"known to {alert.acknowledged}", "muted"),)] if alert.acknowledged else []),
        *([((f"silenced {alert.silenced}", "muted"),)] if alert.silenced else []),
        *([((f"does not fire again until {fmt.local(muted)}", "muted"),)] if muted is not None else []),
        *(((f"{name}: {text}", "muted"),) for name, text in alert.labels.items()),
    ]


def _texts(alert: AlertStatus) -> dict[str, str]:
    """Returns an alert's annotations for people. While it does not fire, those that are filled in then say nothing."""
    known = alert.annotations.items()
    return {name: text for name, text in known if text and (alert.firing or "${{" not in text)}


def loop_lines(entry: LoopEntry, now: float, glyphs: Glyphs) -> list[Line]:
    """Returns all that is known of what the feedback loop did."""
    state, role = state_span(entry.state, glyphs)
    return [
        ((f"{state}, {fmt.ago(entry.at, now)}", role),),
        ((f"{entry.pipeline} for alert {entry.alert} on {entry.environment}", "text!"),),
        *([((entry.why, "text"),)] if entry.why else []),
        *([((f"version {entry.version}", "muted"),)] if entry.version is not None else []),
    ]


def _order(each: AlertStatus) -> int:
    return WORST_FIRST.index(each.state)


def loop_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[LoopEntry], ...]:
    return (
        Column("loop", lambda each: (state_span(each.state, glyphs()),), width=14, sort=lambda each: each.state),
        Column("alert", lambda each: ((each.alert, "accent"),), width=10, flex=2),
        Column("pipeline", lambda each: each.pipeline, width=9, flex=1),
        Column("run", lambda each: ((str(each.run) if each.run is not None else "", "accent"),), width=5),
        Column("when", lambda each: ((fmt.ago(each.at, clock()), "muted"),), width=11, sort=lambda each: each.at),
        Column("why", lambda each: ((each.why, "muted"),), width=8, flex=4),
    )
