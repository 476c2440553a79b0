"""The statuses of a commit: what the journal says of its newest run of a pipeline, and of each gate in it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import field

from ..domain.frozen import Frozen
from ..domain.hosts import CommitStatus, StatusState
from ..domain.project import Project
from ..domain.runs import Run, RunState, Step, StepState
from ..domain.text import one_line
from ..domain.text.format import count
from ..domain.verdicts import CheckResult, GateReport, Verdict
from ..errors import NotFound
from ..journal import Journal
from ..logs.masking import masked
from .comment import gate_lines
from .markdown import shortened

MAX_DESCRIPTION = 140
MAX_SUMMARY = 60_000
"""Letters; GitHub takes 65,535."""
ROOT = "podium"
QUARANTINE = f"{ROOT}/quarantine"

_STATES = {
    RunState.QUEUED: StatusState.PENDING,
    RunState.RUNNING: StatusState.PENDING,
    RunState.WAITING: StatusState.PENDING,
    RunState.SUCCEEDED: StatusState.SUCCESS,
    RunState.FAILED: StatusState.FAILURE,
    RunState.CANCELLED: StatusState.ERROR,
    RunState.INTERRUPTED: StatusState.ERROR,
}
_VERDICTS = {
    Verdict.PASS: StatusState.SUCCESS,
    Verdict.FAIL: StatusState.FAILURE,
    Verdict.INCONCLUSIVE: StatusState.FAILURE,
    Verdict.ERROR: StatusState.ERROR,
}
# The worst last: what a gate says that several cells of a matrix asked.
_ORDER = (StatusState.SUCCESS, StatusState.PENDING, StatusState.ERROR, StatusState.FAILURE)


class RunStatuses(Frozen):
    """What a commit's statuses of one pipeline have to be."""

    commit: str
    pipeline: str
    """The context of the pipeline; those of its gates begin with it and a slash."""
    finished: bool
    wanted: Mapping[str, CommitStatus]
    summaries: Mapping[str, str] = field(default_factory=dict[str, str])
    """Context -> what the page of a gate's check run says, in Markdown."""

    @property
    def gates(self) -> frozenset[str]:
        """Returns the contexts of its gates."""
        return frozenset(each for each in self.wanted if self._is_gate(each))

    def changes(
        self,
        there: Iterable[CommitStatus],
        of: Container[str] | None = None,
        *,
        shown: Callable[[StatusState], StatusState] = lambda state: state,
    ) -> list[CommitStatus]:
        """Returns what has to be set, given what the host has: what differs, and a gate that would wait for ever,
        because the run ended without it. With `of` only of these contexts. `shown` says as what the host gives a state
        back."""
        known = {each.context: each for each in there}
        wanted = [each for each in self.wanted.values() if of is None or each.context in of]
        left = [
            CommitStatus(each.context, StatusState.ERROR, "the run ended without it")
            for each in known.values()
            if self.finished and self._is_gate(each.context) and each.state is StatusState.PENDING
        ]
        stale = [each for each in left if each.context not in self.wanted]
        return [each for each in wanted if not same(each, known.get(each.context), shown)] + stale

    def _is_gate(self, context: str) -> bool:
        return context.startswith(f"{self.pipeline}/")


def same(wanted: CommitStatus, there: CommitStatus | None, shown: Callable[[StatusState], StatusState]) -> bool:
    """Tells whether the host has what it was to be told, as far as it has words for it."""
    return there is not None and (there.state, there.description) == (shown(wanted.state), wanted.description)


def of_run(project: Project, journal: Journal, number: int) -> RunStatuses | None:
    """Returns what the commit of a run has to show for its pipeline: the newest run of both counts. None if the run
    says nothing about a commit, or is not there any more."""
    try:
        run = journal.runs.newest_like(journal.runs.get(number))
    except NotFound:
        return None
    if run is None:
        return None
    context = f"{ROOT}/{run.name}"
    steps = journal.steps.of(run.id)
    found = [CommitStatus(context, _STATES[run.state], described(_words(run, steps), _more(run), project.secrets))]
    reports = journal.gates.by_run(run.id)
    found += _gates(project, run, steps, reports)
    summaries = {f"{context}/{report.gate}": summary(report, run.id, project.secrets) for report in reports}
    return RunStatuses(run.commit, context, run.state.finished, {each.context: each for each in found}, summaries)


def summary(report: GateReport, run_id: int, secrets: Sequence[str]) -> str:
    """Returns a gate's report as the page of a check run: whole lines, as many as a host takes."""
    more, lines, left = f"More: `podium show {run_id}`", list[str](), MAX_SUMMARY
    for each in gate_lines(report, secrets):
        left -= len(each) + 1
        if left < 0:
            lines += ["", *(["</details>"] if lines.count("<details>") > lines.count("</details>") else ()), "", "…"]
            break
        lines.append(each)
    return "\n".join([*lines, "", more]).strip() + "\n"


def of_quarantine(project: Project, journal: Journal, model: str, version: int, commit: str) -> CommitStatus:
    """Returns the status that says whether a commit is quarantined."""
    entry = journal.quarantine.find(model, commit=commit)
    if entry is None:
        return CommitStatus(QUARANTINE, StatusState.SUCCESS, "the quarantine was lifted")
    words = f"version {entry.version} is quarantined: {entry.why or 'no reason was given'}"
    more = f"podium quarantine lift {entry.version}"
    return CommitStatus(QUARANTINE, StatusState.FAILURE, described(words, more, project.secrets))


def described(words: str, more: str, secrets: Sequence[str]) -> str:
    """Returns a description with the command that shows more, which is never cut off."""
    tail = f" · {more}" if more else ""
    return shortened(one_line(masked(words, secrets)).strip(), MAX_DESCRIPTION - len(tail)) + tail


def _more(run: Run) -> str:
    match run.state:
        case RunState.WAITING:
            return f"podium approve {run.id}"
        case RunState.INTERRUPTED:
            return f"podium resume {run.id}"
        case _:
            return f"podium show {run.id}"


def _words(run: Run, steps: Sequence[Step]) -> str:
    if run.state is RunState.FAILED:
        failed = next((step for step in steps if step.state is StepState.FAILED), None)
        return run.message or (f"step {failed.name} failed: {failed.message}" if failed is not None else "failed")
    if run.state is RunState.SUCCEEDED:
        return f"{count(len(steps), 'step')} succeeded"
    if run.state is RunState.WAITING:
        waiting = [step.name for step in steps if step.state is StepState.WAITING]
        return f"waits for approval of {', '.join(waiting)}"
    return f"{run.state}: {run.message}" if run.message else str(run.state)


def _gates(project: Project, run: Run, steps: Sequence[Step], reports: Sequence[GateReport]) -> list[CommitStatus]:
    """Returns a status for each gate of the run. What the steps say of a gate whose report is there already may be
    older than the report."""
    by_gate = {report.gate: report for report in reports}
    worst: dict[str, CommitStatus] = {}
    for step in steps:
        if step.uses != "gate":
            continue
        gate = _gate_of(project, run, step)
        status = _gate_status(project, run, step, gate, by_gate.get(gate))
        known = worst.get(gate)
        if known is None or _ORDER.index(status.state) > _ORDER.index(known.state):
            worst[gate] = status
    return list(worst.values())


def _gate_of(project: Project, run: Run, step: Step) -> str:
    """Returns the name of the gate that a step asks: what it said itself, else what podium.yaml has, else the step's
    own name."""
    if gate := step.results.get("gate"):
        return str(gate)
    pipeline = project.pipelines.get(run.name)
    spec = pipeline.steps.get(step.name.partition("[")[0]) if pipeline is not None else None
    return str(spec.options.get("gate") or step.name) if spec is not None else step.name


def _gate_status(project: Project, run: Run, step: Step, gate: str, report: GateReport | None) -> CommitStatus:
    context = f"{ROOT}/{run.name}/{gate}"
    verdict = step.results.get("verdict")
    if report is not None and (verdict is None or str(report.verdict) == verdict):
        words = f"{report.verdict}: {_found(report)}"
        more = f"podium show {run.id}"
        return CommitStatus(context, _VERDICTS[report.verdict], described(words, more, project.secrets))
    if verdict is not None:
        state = _VERDICTS[Verdict(verdict)]
        return CommitStatus(context, state, described(step.message or verdict, _more(run), project.secrets))
    if run.state.finished or step.state.finished:
        words = f"not judged: {step.message or f'the step was {step.state}'}"
        return CommitStatus(context, StatusState.ERROR, described(words, _more(run), project.secrets))
    return CommitStatus(context, StatusState.PENDING, described(f"{step.name} is {step.state}", "", project.secrets))


def _found(report: GateReport) -> str:
    """Returns what speaks against the version, or what it was compared with."""
    bad = [check for check in report.checks if check.verdict is not Verdict.PASS]
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        return _reason(bad[0]) + more
    against = f"champion {report.champion}" if report.champion is not None else "no champion"
    return f"{report.model} version {report.version} against {against}, {count(len(report.checks), 'check')}"


def _reason(check: CheckResult) -> str:
    where = f" [{check.slice}]" if check.slice else ""
    return f"{check.name}{where}: {check.message}"
