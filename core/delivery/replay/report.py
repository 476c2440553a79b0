"""The report of a replay as Markdown, as JSON, as a gate's report, and in one sentence."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from ...domain.replay import LabelledMetric, ReplayReport
from ...domain.text.format import milliseconds
from ...domain.verdicts import GateReport, Verdict
from ...journal.verdicts import REPLAY_PREFIX

# No gate can have such a name: a report under it informs, and promote does not ask for it (docs/gates.md).
KEY_PREFIX = REPLAY_PREFIX


def to_dict(report: ReplayReport) -> dict[str, Any]:
    """Returns every field; shares are 0..1, times are in seconds."""
    written = asdict(report)
    written["verdict"] = report.verdict.value
    written["checks"] = [{**asdict(check), "verdict": check.verdict.value} for check in report.checks]
    return written


def to_json(report: ReplayReport) -> str:
    return json.dumps(to_dict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_gate(report: ReplayReport) -> GateReport:
    """Returns the report as the journal keeps it, beside the reports of gates."""
    figures = {
        "errors": float(report.errors),
        "champion_errors": float(report.champion_errors),
        "differing": float(report.differing),
        **{f"latency_{name}": value for name, value in report.latency.items()},
        **{f"champion_latency_{name}": value for name, value in report.champion_latency.items()},
    }
    return GateReport(
        f"{KEY_PREFIX}{report.environment}",
        report.model,
        report.version,
        report.champion,
        report.verdict,
        report.checks,
        report.at,
        run_id=report.run_id,
        data=f"{report.requests} captured requests of {report.environment}",
        rows=report.rows,
        metrics=figures,
    )


def to_markdown(report: ReplayReport) -> str:
    """Returns the report for people."""
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(report.at))
    against = f"version {report.champion}" if report.champion is not None else "nothing"
    lines = [
        f"# Replay on {report.environment}: {report.verdict}",
        "",
        (
            f"{report.model} version {report.version} against {against}, which serves {report.environment}:"
            f" {report.requests} captured requests, {when}."
        ),
        "",
        "| verdict | check | finding |",
        "|---|---|---|",
        *(f"| {check.verdict} | {_cell(check.name)} | {_cell(check.message)} |" for check in report.checks),
        "",
        "| latency | candidate | champion |",
        "|---|---|---|",
        *(
            f"| {name} | {_ms(value)} | {_ms(report.champion_latency.get(name))} |"
            for name, value in report.latency.items()
        ),
        "",
        "| predictions | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _predictions(report)),
    ]
    if report.labelled:
        lines += [
            "",
            "| on labelled requests | candidate | champion | better by | 95 % interval | rows |",
            "|---|---|---|---|---|---|",
            *map(_labelled, report.labelled),
        ]
    if report.error_words:
        lines += [
            "",
            "| errors of the candidate | |",
            "|---|---|",
            *(f"| {_cell(word)} | {count} |" for word, count in report.error_words.items()),
        ]
    return "\n".join(lines) + "\n"


def _labelled(each: LabelledMetric) -> str:
    name = f"{_cell(each.metric)} ({_cell(each.gate)})"
    if each.candidate is None:
        return f"| {name} | {_cell(each.message)} | | | | {each.rows} |"
    interval = f"{each.low:+.4g} … {each.high:+.4g}"
    return (
        f"| {name} | {each.candidate:.4g} | {each.champion:.4g} | {each.difference:+.4g} | {interval} | {each.rows} |"
    )


def _predictions(report: ReplayReport) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [
        ("compared", report.rows),
        ("identical", report.identical),
        ("other numbers, the same class", report.close),
        ("differing", report.differing),
    ]
    if report.changed_labels is not None:
        found.append(("changed labels", report.changed_labels))
    return found + [(f"distance of numbers, {name}", f"{value:.6g}") for name, value in report.sizes.items()]


def sentence(report: ReplayReport) -> str:
    head = f"replay on {report.environment}: {report.verdict} for {report.model} version {report.version}"
    bad = [f"{check.name}: {check.message}" for check in report.checks if check.verdict is not Verdict.PASS]
    return f"{head}: {'; '.join(bad)}" if bad else head


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else milliseconds(seconds)
