"""Why a version serves, in ten lines, each with the command that shows more."""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.evidence.why import WhyLine
from ..domain.text import one_line
from ..domain.text.format import count, local, number
from ..domain.verdicts import CheckResult, GateReport, Verdict, last_word
from ..errors import PodiumError
from ..journal.verdicts import REPLAY_PREFIX
from ..scm.repository import Repository
from ..signatures import required
from .sections.served import spans
from .subject import Subject

_SHORT = 12


def why(subject: Subject) -> tuple[WhyLine, ...]:
    """Returns the reasons, from the commit to traffic."""
    return tuple(
        reason
        for part in (_commit, _training, _data, _gate, _approval, _signed, _image, _traffic, _alerts, _last_word)
        for reason in part(subject)
    )


def _commit(subject: Subject) -> Iterator[WhyLine]:
    version = subject.version
    if not version.commit:
        yield WhyLine("commit", "not recorded: no run of Podium's made it", f"podium lineage v{subject.number}")
        return
    words = version.commit[:_SHORT]
    try:
        found = Repository.open(subject.project.home).resolve(version.commit)
        words = f"{found.short} {one_line(found.subject)} ({one_line(found.author)}, {local(found.at)})"
    except PodiumError:
        words += " (the repository does not have it any more)"
    yield WhyLine("commit", words, f"git show {version.commit[:_SHORT]}")


def _training(subject: Subject) -> Iterator[WhyLine]:
    run = subject.version.run_id
    if run is None:
        yield WhyLine("training", "not recorded", f"podium models v{subject.number}")
        return
    try:
        found = subject.journal.runs.get(run)
    except PodiumError:
        yield WhyLine("training", f"run {run}, which is older than what is kept", f"podium models v{subject.number}")
        return
    yield WhyLine(
        "training",
        f"run {run} of {found.name}, {found.state}, started by {found.trigger} ({found.who})",
        f"podium show {run}",
    )


def _data(subject: Subject) -> Iterator[WhyLine]:
    learned = subject.version.learned
    if learned is not None:
        yield WhyLine("data", learned.words, f"podium lineage v{subject.number}")


def _gate(subject: Subject) -> Iterator[WhyLine]:
    reports = subject.journal.gates.of(subject.model, subject.number)
    if not reports:
        yield WhyLine("gate", "not recorded: nothing has judged it", f"podium models v{subject.number}")
    newest: dict[str, GateReport] = {}
    for each in reports:
        newest.setdefault(each.gate, each)
    for name, report in newest.items():
        replay = name.startswith(REPLAY_PREFIX)
        title = f"replay in {name.removeprefix(REPLAY_PREFIX)}" if replay else f"gate {name}"
        yield WhyLine("replay" if replay else "gate", f"{title}: {_report(report)}", f"podium models v{subject.number}")


def _report(report: GateReport) -> str:
    bad = [each for each in report.checks if each.verdict is not Verdict.PASS]
    shown = bad[0] if bad else next((each for each in report.checks if each.low is not None), None)
    against = "without a champion" if report.champion is None else f"against v{report.champion}"
    words = f"{report.verdict}, {count(len(report.checks), 'check')}, {against}"
    return f"{words}; {_check(shown)}" if shown is not None else words


def _check(check: CheckResult) -> str:
    words = f"{check.name} {number(check.value)}"
    if check.baseline is not None:
        words += f" beside {number(check.baseline)}"
    if check.low is not None and check.high is not None:
        words += f", difference {number(check.low)} to {number(check.high)}"
    return words


def _approval(subject: Subject) -> Iterator[WhyLine]:
    runs = {row.run_id for row in subject.journal.ledger.about(subject.model, subject.number)} | {
        subject.version.run_id
    }
    for run in sorted(each for each in runs if each is not None):
        for step in subject.journal.steps.of(run):
            for given in subject.journal.runs.approvals(run, step.name):
                because = f": {one_line(given.why)}" if given.why else ""
                yield WhyLine(
                    "approved", f"{given.who}, {local(given.at)}, step {step.name}{because}", f"podium show {run}"
                )


def _signed(subject: Subject) -> Iterator[WhyLine]:
    found = [each for each in required.seen(subject.project, subject.model, subject.number) if not each.problem]
    names = ", ".join(dict.fromkeys(one_line(each.signer) for each in found))
    if names:
        yield WhyLine("signed", f"{names}: it may be served", f"podium evidence v{subject.number}")


def _image(subject: Subject) -> Iterator[WhyLine]:
    images = subject.journal.images.of(subject.model, subject.number)
    if images:
        yield WhyLine("image", images[0].reference, "podium images")


def _traffic(subject: Subject) -> Iterator[WhyLine]:
    rows = subject.journal.ledger.about(subject.model, subject.number)
    for name, start, end in spans(subject)[-3:]:
        brought = next(row for row in reversed(rows) if row.environment == name and row.to_version == subject.number)
        forced = f", forced: {one_line(brought.why)}" if brought.forced else ""
        until = "until now" if end is None else f"to {local(end)}"
        yield WhyLine(
            "traffic",
            f"{name} from {local(start)} {until}: {brought.how} by {brought.who}{forced}",
            f"podium history -e {name}",
        )
    if not rows:
        yield WhyLine("traffic", "none: it was deployed nowhere", "podium status")


def _alerts(subject: Subject) -> Iterator[WhyLine]:
    during = spans(subject)
    fired = {
        each.name
        for each in subject.journal.alerts.recent(1000)
        if each.state == "firing"
        and any(name == each.environment and start <= each.at <= (end or each.at) for name, start, end in during)
    }
    if fired:
        yield WhyLine("alerts", f"fired while it served: {', '.join(sorted(fired))}", "podium alerts history")


def _last_word(subject: Subject) -> Iterator[WhyLine]:
    found = subject.journal.verdicts.of(subject.model, subject.number)
    words = found[0].sentence if found else last_word((), subject.version.verdict) or "nothing was said of it"
    yield WhyLine("last word", one_line(words), f"podium evidence v{subject.number}")
