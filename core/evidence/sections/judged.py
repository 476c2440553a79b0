"""What judged a version and who agreed to it: gates, replays, approvals, forced changes, quarantine."""

from __future__ import annotations

from collections.abc import Iterator

from ...domain.evidence.story import Cell, Section, Table
from ...domain.runs import Approval
from ...domain.text.format import moment
from ...domain.verdicts import CheckResult, GateReport
from ...domain.watching import AuditFilter
from ...errors import NotFound
from ...journal.verdicts import REPLAY_PREFIX
from ..subject import Subject

_CHECK_COLUMNS = (
    "check",
    "slice",
    "verdict",
    "value",
    "value, low",
    "value, high",
    "champion",
    "difference, low",
    "difference, high",
    "limit",
    "rows",
    "words",
)


def gates(subject: Subject) -> Section:
    """Returns every report of a gate or a replay about the version, with its numbers and intervals."""
    reports = subject.journal.gates.of(subject.model, subject.number)
    tables = tuple(_report(number, report) for number, report in enumerate(reversed(reports), 1))
    missing = [] if reports else ["no gate and no replay has judged it, or their reports are older than what is kept"]
    if any(check.low is not None or check.value_low is not None for each in reports for check in each.checks):
        missing.append("the power of checks is not computed: how small a difference they can see is in their intervals")
    return Section("gates", "Gates and replays", tables=tables, missing=tuple(missing))


def _report(number: int, report: GateReport) -> Table:
    kind = (
        "replay in " + report.gate.removeprefix(REPLAY_PREFIX)
        if report.gate.startswith(REPLAY_PREFIX)
        else f"gate {report.gate}"
    )
    against = "no champion" if report.champion is None else f"champion v{report.champion}"
    read = f"run {report.run_id}, {report.rows} rows of {report.data}"
    title = f"{kind}: {report.verdict}, {moment(report.at)}, {read}, {against}"
    return Table(f"report_{number}", title, _CHECK_COLUMNS, tuple(_check(each) for each in report.checks))


def _check(each: CheckResult) -> tuple[Cell, ...]:
    return (
        each.name,
        each.slice or None,
        each.verdict.value,
        each.value,
        each.value_low,
        each.value_high,
        each.baseline,
        each.low,
        each.high,
        each.limit,
        each.rows,
        each.message,
    )


def approvals(subject: Subject) -> Section:
    """Returns who approved what, and what they were shown."""
    given = tuple(_approvals(subject))
    columns = (
        "run",
        "step",
        "who",
        "account",
        "proved by",
        "time",
        "why",
        "shown: verb",
        "shown: version",
        "shown: state",
    )
    rows = tuple(_approved(subject, each) for each in given)
    tables = (Table("approvals", "Approvals", columns, rows),) if rows else ()
    gone = tuple(
        f"run {number} is older than what is kept: who approved its steps is only in the audit"
        for number in _gone(subject)
    )
    return Section("approvals", "Approvals", (("approvals", len(rows)),), tables, missing=gone)


def _runs(subject: Subject) -> list[int]:
    """Returns the numbers of the runs that made or moved the version."""
    rows = subject.journal.ledger.about(subject.model, subject.number)
    numbers = {row.run_id for row in rows} | {subject.version.run_id}
    return sorted(each for each in numbers if each is not None)


def _gone(subject: Subject) -> Iterator[int]:
    for number in _runs(subject):
        try:
            subject.journal.runs.get(number)
        except NotFound:
            yield number


def _approvals(subject: Subject) -> Iterator[Approval]:
    """Yields the approvals of runs that made or moved the version, the first first."""
    for number in _runs(subject):
        for step in subject.journal.steps.of(number):
            yield from subject.journal.runs.approvals(number, step.name)


def _approved(subject: Subject, each: Approval) -> tuple[Cell, ...]:
    shown = subject.journal.agreements.get(each.run_id, each.step)
    return (
        each.run_id,
        each.step,
        each.who,
        each.account or None,
        each.proof.value,
        moment(each.at),
        each.why or None,
        None if shown is None else shown.verb,
        None if shown is None else f"v{shown.version} to {shown.environment}",
        None if shown is None else "; ".join(f"{key}: {value}" for key, value in sorted(shown.rests_on.items())),
    )


def verdicts(subject: Subject) -> Section:
    """Returns what the version met on its way, the last word first."""
    found = subject.journal.verdicts.of(subject.model, subject.number)
    columns = ("what", "verdict", "where", "who", "time", "run", "words")
    rows = tuple(
        (
            each.title,
            each.verdict.value,
            each.environment or None,
            each.who or None,
            moment(each.at),
            each.run_id,
            each.words or None,
        )
        for each in found
    )
    tables = (Table("verdicts", "Verdicts, the last word first", columns, rows),) if rows else ()
    return Section("verdicts", "Verdicts", (("verdicts", len(rows)),), tables)


def audit(subject: Subject) -> Section:
    """Returns the audit's entries about the version, its head, and whether its chain is intact."""
    entries = subject.journal.audit.page(None, only=AuditFilter(version=subject.number))
    number, digest = subject.journal.audit.head()
    problems = subject.journal.audit.verify()
    facts: tuple[tuple[str, Cell], ...] = (
        ("entries in all", number),
        ("digest of the last one", digest or None),
        ("chain", "intact" if not problems else "broken"),
    )
    columns = ("number", "time", "who", "action", "subject", "why", "digest")
    rows = tuple((e.id, moment(e.at), e.who, e.action, e.subject, e.why or None, e.digest) for e in reversed(entries))
    return Section(
        "audit",
        "Audit",
        facts,
        (Table("entries", "Entries about this version", columns, rows),),
        missing=tuple(problems),
    )
