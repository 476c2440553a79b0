"""The comment on a pull request: what the gates of a run say of its candidate and the champion, as Markdown.

Its first line is a hidden label, by which it is found again: never by its text, which changes, and never by a commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from ..domain.containers import Image
from ..domain.frozen import Frozen
from ..domain.project import Project
from ..domain.runs import Run, RunState
from ..domain.text.format import count, number, short_commit, size
from ..domain.verdicts import CheckResult, GateReport, Verdict
from ..errors import NotFound
from ..journal import Journal
from ..logs.masking import masked, masked_fields
from .markdown import code, table

MAX_ROWS = 40
CHART_WIDTH = 21
_MARKS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "⚠️", Verdict.ERROR: "⛔"}


class Comparison(Frozen):
    """What a comment tells: a run, the reports of its gates, and the images of the version that it made."""

    project: str
    run: Run
    reports: tuple[GateReport, ...]
    images: tuple[Image, ...] = ()
    secrets: tuple[str, ...] = ()


def label(project: str, pipeline: str) -> str:
    """Returns the hidden line by which the comment of a project's pipeline is known."""
    names = " ".join(quote(each, safe="", errors="replace") for each in (project, pipeline))
    return f"<!-- podium-comparison {names} -->"


def of_run(project: Project, journal: Journal, run_id: int) -> Comparison | None:
    """Returns what there is to tell of a run; None if it is gone, is not the newest of its commit, or says nothing
    about one."""
    try:
        run = journal.runs.get(run_id)
    except NotFound:
        return None
    newest = journal.runs.newest_like(run)
    if newest is None or newest.id != run.id:
        return None
    reports = {report.gate: report for report in journal.gates.by_run(run.id)}
    made = {(report.model, report.version) for report in reports.values()}
    images = [image for model, version in sorted(made) for image in journal.images.of(model, version)]
    return Comparison(project.name, run, tuple(reports.values()), tuple(images), project.secrets)


def written(comparison: Comparison) -> str:
    """Returns the comment's text."""
    run = comparison.run
    lines = [label(comparison.project, run.name), f"### Podium: {code(run.name)} {_outcome(comparison)}"]
    lines += ["", f"Run {run.id} of commit {code(short_commit(run.commit))}."]
    for report in comparison.reports:
        lines += gate_lines(report, comparison.secrets)
    lines += _images(comparison.images)
    lines += ["", f"More: `podium show {run.id}`"]
    if run.message and run.state.finished and run.state is not RunState.SUCCEEDED:
        lines += ["", f"The run says: {_outside(run.message, comparison.secrets)}"]
    return "\n".join(lines) + "\n"


def _outcome(comparison: Comparison) -> str:
    run = comparison.run
    bad = [report.verdict for report in comparison.reports if report.verdict is not Verdict.PASS]
    if bad:
        return f"{_MARKS[bad[0]]} {bad[0]}"
    if run.state.finished and run.state is not RunState.SUCCEEDED:
        return f"{_MARKS[Verdict.ERROR]} the run was {run.state}" if comparison.reports else f"the run was {run.state}"
    return f"{_MARKS[Verdict.PASS]} pass" if comparison.reports else str(run.state)


def _outside(text: str, secrets: Sequence[str]) -> str:
    return code(masked(text, secrets))


def gate_lines(report: GateReport, secrets: Sequence[str]) -> list[str]:
    """Returns the part of one gate: metrics, slices, latency, checks of the data."""
    against = f"champion {report.champion}" if report.champion is not None else "no champion"
    head = f"#### {_MARKS[report.verdict]} Gate {code(report.gate)}: {report.verdict}"
    about = f"{code(report.model)} version {report.version} against {against}, {count(report.rows, 'row')}"
    of = f" of {code(report.data)}" if report.data else ""
    checks = [masked_fields(check, secrets, "name", "message", "slice") for check in report.checks]
    whole = [check for check in checks if not check.slice]
    numbers = [check for check in whole if check.value is not None and not _is_latency(check)]
    others = [check for check in whole if check.value is None and not _is_latency(check)]
    return [
        *("", head, "", f"{about}{of}."),
        *_metrics(numbers),
        *_measured(report.metrics),
        *_slices([check for check in checks if check.slice]),
        *_said("latency", [check for check in whole if _is_latency(check)]),
        *_said("data and other checks", others),
    ]


def _is_latency(check: CheckResult) -> bool:
    return check.name.startswith("latency ")


def _metrics(checks: Sequence[CheckResult]) -> list[str]:
    """Returns the table of metrics: with an interval where they were compared, drawn on a scale that all rows share."""
    bounds = [each for check in checks for each in (check.low, check.high) if each is not None and _finite(each)]
    reach = max((abs(each) for each in bounds), default=0.0)
    rows = [(*_numbers(check), chart(check.low, check.high, reach), _verdict(check)) for check in checks[:MAX_ROWS]]
    head = ("check", "candidate", "champion", "difference, with its interval", "worse ◂ 0 ▸ better", "verdict")
    return table(head, rows) + _left_out(checks)


def _numbers(check: CheckResult) -> tuple[str, str, str, str]:
    return (code(check.name), number(check.value), number(check.baseline), _difference(check))


def _difference(check: CheckResult) -> str:
    if check.low is None or check.high is None:
        limit = f"limit {number(check.limit)}" if check.limit is not None else ""
        if check.value_low is None or check.value_high is None:
            return limit
        return f"{limit}, value {_value(check.value_low)} … {_value(check.value_high)}".removeprefix(", ")
    middle = f"{(check.value - check.baseline):+.4g} " if None not in (check.value, check.baseline) else ""  # type: ignore[operator]
    return f"{middle}[{_bound(check.low)}, {_bound(check.high)}]"


def _value(value: float) -> str:
    return number(value) if _finite(value) else _bound(value)


def _bound(value: float) -> str:
    return f"{value:+.4g}" if _finite(value) else "−∞" if value < 0 else "∞"


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def chart(low: float | None, high: float | None, reach: float) -> str:
    """Returns an interval drawn around zero, on a scale from −`reach` to `reach`; nothing without one."""
    if low is None or high is None or not reach > 0 or low != low or high != high:
        return ""
    middle = CHART_WIDTH // 2

    def place(value: float) -> int:
        return round(max(-1.0, min(1.0, value / reach)) * middle) + middle

    first, last = place(low), place(high)
    line = ["━" if first <= each <= last else "·" for each in range(CHART_WIDTH)]
    line[middle] = "┿" if first <= middle <= last else "│"
    return f"`{''.join(line)}`"


def _measured(metrics: Mapping[str, float]) -> list[str]:
    rows = [(code(name), number(value)) for name, value in sorted(metrics.items())[:MAX_ROWS]]
    return table(("metric of the candidate", "value"), rows)


def _slices(checks: Sequence[CheckResult]) -> list[str]:
    if not checks:
        return []
    order = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.INCONCLUSIVE: 2, Verdict.PASS: 3}
    sorted_checks = sorted(checks, key=lambda check: order[check.verdict])
    rows = [
        (code(check.slice), *_numbers(check), str(check.rows or ""), _verdict(check))
        for check in sorted_checks[:MAX_ROWS]
    ]
    bad = sum(check.verdict is not Verdict.PASS for check in checks)
    summary = f"<summary>{count(len(checks), 'slice')}, {bad} not passed</summary>"
    head = ("slice", "check", "candidate", "champion", "difference, with its interval", "rows", "verdict")
    return ["", "<details>", summary, *table(head, rows), *_left_out(checks), "", "</details>"]


def _said(title: str, checks: Sequence[CheckResult]) -> list[str]:
    rows = [(code(check.name), code(check.message), _verdict(check)) for check in checks[:MAX_ROWS]]
    return table((title, "what was found", "verdict"), rows) + _left_out(checks)


def _verdict(check: CheckResult) -> str:
    return f"{_MARKS[check.verdict]} {check.verdict}"


def _left_out(checks: Sequence[CheckResult]) -> list[str]:
    left = len(checks) - MAX_ROWS
    return ["", f"And {left} more."] if left > 0 else []


def _images(images: Sequence[Image]) -> list[str]:
    rows = [(code(each.tag or each.reference), size(each.size), code(each.digest[:19])) for each in images[:MAX_ROWS]]
    return table(("image", "size", "digest"), rows)
