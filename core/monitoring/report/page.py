"""The page of one measurement. Every text in it is escaped: column names and categories come from requests."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ...domain.monitoring import ColumnMeasurement, Measurement, MonitorStatus
from ...domain.monitors.courses import Course
from ...domain.text import measures, one_line
from ...domain.text.format import moment, number
from ...version import VERSION
from .course import drawing
from .drawing import histogram

# Nothing is loaded and nothing runs, whatever a column is called.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --line: #d5d8dc; --before: #b9c2cc; --now: #1769aa;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e7e9; --paper: #16181b; --line: #3a3f45; --before: #58616b;
  --now: #6bb3f0; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 62rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0 0 .3rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.facts div { border-top: 2px solid var(--line); padding-top: .3rem; } dt { font-size: .8rem; opacity: .75; }
dd { margin: 0; font-size: 1.1rem; font-variant-numeric: tabular-nums; }
.note { border-left: 3px solid var(--line); padding: .2rem .8rem; margin: .5rem 0; }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem; }
.column { border: 1px solid var(--line); border-radius: 6px; padding: .8rem; break-inside: avoid; }
.column p { margin: .2rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; } .beyond { color: var(--bad); }
svg { width: 100%; height: auto; } svg text { font-size: 9px; fill: currentColor; }
.before { fill: var(--before); } .now { fill: var(--now); } .base { stroke: var(--line); }
.course { margin: 1rem 0; } .course svg text { font-size: 12px; } polyline { fill: none; }
polyline.course { stroke: var(--now); stroke-width: 1.5; } .band { fill: var(--now); opacity: .15; }
.spread { stroke: var(--now); opacity: .4; } .promoted { stroke: var(--before); stroke-dasharray: 5 4; }
.mark { stroke: currentColor; opacity: .5; } svg .mark + text { font-weight: bold; }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .4em;
  background: var(--c); }
footer { margin-top: 2rem; font-size: .8rem; opacity: .75; }
@media print { body { max-width: none; padding: 0; } .columns { grid-template-columns: 1fr 1fr; } }
"""


def page(project: str, status: MonitorStatus, found: Measurement, course: Course) -> str:
    """Returns the page of a measurement, and of what was measured before."""
    title = f"{status.name} on {found.environment}: {status.what}"
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer"',
            f' content="no-referrer"><title>{_text(title)}</title><style>{_STYLE}</style></head><body>',
            f"<h1>{_text(status.name)}</h1><p>{_text(status.what)}, {_text(found.environment)}, {_text(project)}</p>",
            _facts(status, found),
            "".join(f'<p class="note">{_text(each)}</p>' for each in (found.message, *found.warnings) if each),
            _course(status, course),
            _columns(found.columns),
            f"<footer>Podium {_text(VERSION)}, {_text(moment(found.at) or '')}</footer></body></html>\n",
        )
    )


def _text(value: str) -> str:
    return escape(one_line(value))


def _facts(status: MonitorStatus, found: Measurement) -> str:
    def value(amount: float | None) -> str:
        return measures.value(status.kind, status.measure, amount)

    facts = [
        ("value", value(found.value)),
        ("95 % interval", measures.interval(found, status.measure)),
        ("critical value", value(found.critical) if found.critical is not None else ""),
        ("p-value", number(found.p_value) if found.p_value is not None else ""),
        ("when promoted", value(found.baseline) if found.baseline is not None else ""),
        ("alerts", ", ".join(status.thresholds)),
        ("rows", f"{found.rows:,}" if found.rows else ""),
        ("version", f"v{found.version}" if found.version is not None else ""),
        ("from", moment(found.start) or ""),
        ("to", moment(found.end) or ""),
    ]
    shown = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(text)}</dd></div>" for name, text in facts if text)
    return f'<dl class="facts">{shown}</dl>'


def _course(status: MonitorStatus, course: Course) -> str:
    drawn = drawing(course, lambda amount: measures.value(status.kind, status.measure, amount))
    if not drawn:
        return ""
    promoted = any(each.baseline is not None for each in course.past)
    keys = [
        *(["dashed: its value when the version was promoted"] if promoted else []),
        *(["upright: a version began to serve"] if course.marks else []),
    ]
    return f'<section class="column course"><h2>Course</h2><p>{_text("; ".join(keys))}</p>{drawn}</section>'


def _columns(columns: Iterable[ColumnMeasurement]) -> str:
    ordered = measures.by_weight(columns)
    if not ordered:
        return ""
    return (
        '<p><span class="key" style="--c: var(--before)">reference</span> &nbsp; '
        '<span class="key" style="--c: var(--now)">now</span></p>'
        f'<div class="columns">{"".join(map(_column, ordered))}</div>'
    )


def _column(column: ColumnMeasurement) -> str:
    facts = [number(column.value) if column.value is not None else ""]
    if column.critical is not None:
        facts.append(f"critical {number(column.critical)}{', beyond it' if column.beyond else ''}")
    if column.p_value is not None:
        facts.append(f"p {number(column.p_value)}")
    told = " · ".join(each for each in (*facts, column.message) if each)
    drawn = histogram(column.histogram, column.column) if column.histogram is not None else ""
    style = ' class="beyond"' if column.beyond else ""
    return f'<section class="column"><h2>{_text(column.column)}</h2><p{style}>{_text(told)}</p>{drawn}</section>'
