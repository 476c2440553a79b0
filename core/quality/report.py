"""A gate's report for people (Markdown), for programs (JSON), and as one sentence for a log line or an error."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from typing import Any, cast

from ..domain.text.format import count
from ..domain.verdicts import CheckResult, GateReport, Verdict


def to_json(report: GateReport) -> str:
    """Returns every field but the inputs of flipped rows, which stay with the project: a report goes to servers that
    hold models, not data. Numbers that JSON does not have (an unbounded interval) are null."""
    if report.flips is not None:
        rows = tuple(replace(each, values=()) for each in report.flips.rows)
        report = replace(report, flips=replace(report.flips, rows=rows, columns=()))
    return json.dumps(_plain(asdict(report)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def to_markdown(report: GateReport) -> str:
    against = f"champion {report.champion}" if report.champion is not None else "no champion"
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(report.at))
    lines = [
        f"# Gate {report.gate}: {report.verdict}",
        "",
        f"{report.model} version {report.version} against {against}, {count(report.rows, 'row')} of `{report.data}`,"
        f" {when}.",
        "",
        "| verdict | check | slice | what was found |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {check.verdict} | {_cell(check.name)} | {_cell(check.slice)} | {_cell(check.message)} |"
        for check in report.checks
    ]
    if report.metrics:
        lines += [
            "",
            "| metric | value |",
            "|---|---|",
            *(f"| {name} | {value:.6g} |" for name, value in sorted(report.metrics.items())),
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def sentence(report: GateReport) -> str:
    """Returns a sentence such as `gate quality: fail for flights version 3: roc_auc ≥ 0.65: 0.6120 is below 0.65;
    …`, worst first, with at most three reasons."""
    head = f"gate {report.gate}: {report.verdict} for {report.model} version {report.version}"
    bad = [check for check in report.checks if check.verdict is not Verdict.PASS]
    order = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.INCONCLUSIVE: 2}
    bad.sort(key=lambda check: order[check.verdict])
    reasons = "; ".join(_reason(check) for check in bad[:3])
    more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
    return f"{head}: {reasons}{more}" if bad else head


def _reason(check: CheckResult) -> str:
    where = f" [{check.slice}]" if check.slice else ""
    return f"{check.name}{where}: {check.message}"
