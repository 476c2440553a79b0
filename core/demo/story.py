"""`podium demo` without its output: creates a project from the example and takes it through delivery, refusal,
rollback and back again. It uses the façade as any front end would, and reports its progress as `DemoEvent`s.
`stop()` ends everything that it started."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from ..domain.delivery import CanaryState, How
from ..domain.demo import DemoEvent, DemoResult, EventKind
from ..domain.models import Version
from ..domain.runs import Run, RunState, Step, StepState
from ..domain.text import format as fmt
from ..domain.verdicts import GateReport, Verdict
from ..errors import Refused, RunFailed
from ..preload.client import dismiss
from .project import DemoRepository, make, possible
from .traffic import DemoTraffic, TrafficCount

if TYPE_CHECKING:
    from .facade import Facade

POLL_INTERVAL = 0.05
PIPELINE = "release"
ENVIRONMENT = "production"
EVIDENCE = "evidence"
REQUEST_RATE = 50.0  # requests a second
NOTICE_TIMEOUT = 20.0
SWITCH_TIMEOUT = 60.0
END_TIMEOUT = 20.0
AGENT_TIMEOUT = 5.0
# A machine that is so busy that a stage saw too few requests: a person would look and go on; so does the demonstration,
# so often.
_MAX_RESUMED = 3


class Demo:
    """One demonstration in `directory`, which must not exist yet (Refused). Leaving it as a context manager stops
    everything it started."""

    def __init__(self, directory: Path, opened: Callable[[Path], Facade]) -> None:
        self.directory = directory.absolute()
        self.results: list[DemoResult] = []
        self._opened = opened
        self._cockpit: Facade | None = None
        self._changes: DemoRepository | None = None
        self._traffic: DemoTraffic | None = None
        self._counted = TrafficCount()
        self._agent_starting = False
        self._stage = (0, 0)
        self._resumed = 0

    @property
    def cockpit(self) -> Facade:
        if self._cockpit is None:
            raise RunFailed("the demonstration has not begun")
        return self._cockpit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def play(self) -> Iterator[DemoEvent]:
        """Plays the demonstration and yields its events. Raises RunFailed if a part does not go as expected."""
        began = time.monotonic()
        yield from self._begin()
        yield from self._first()
        yield from self._better()
        yield from self._worse()
        yield from self._back_and_forth()
        yield from self._evidence()
        self.results.append(DemoResult("the whole demonstration", "done", time.monotonic() - began))

    def _make(self) -> DemoRepository:
        from ..delivery.proxy.haproxy import binary

        possible(self.directory)
        binary()
        return make(self.directory, signed=True)

    def _begin(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "A project", str(self.directory))
        self._changes = self._make()
        self._cockpit = self._opened(self.directory)
        yield DemoEvent(
            EventKind.DONE,
            "a git repository with the example project: flights out of New York, 2013",
            f"commit {self._changes.head()[:9]}",
        )
        for note in self._changes.ports.notes:
            yield DemoEvent(EventKind.DONE, note)
        self._agent_starting = True
        agent = self.cockpit.agent.start()
        self._agent_starting = False
        yield DemoEvent(EventKind.DONE, "the agent watches the repository and what is served", f"process {agent.pid}")

    def _first(self) -> Iterator[DemoEvent]:
        yield DemoEvent(
            EventKind.CHAPTER,
            "From commit 1 to a served model",
            "tests, data, training, registration, gate, staging, smoke test, production",
        )
        run = self.cockpit.runs.start(PIPELINE, why="the first release")
        ended = yield from self._follow(run)
        self._must_succeed(ended)
        serving = self.cockpit.environments.get(ENVIRONMENT)
        yield DemoEvent(EventKind.DONE, f"version {serving.serving} is champion and serves", serving.url)
        self._result("commit 1: first model", f"v{serving.serving} serves", ended)

    def _better(self) -> Iterator[DemoEvent]:
        yield DemoEvent(
            EventKind.CHAPTER,
            "A better model, promoted under traffic",
            f"{REQUEST_RATE:.0f} requests a second, replayed from August",
        )
        self._traffic = DemoTraffic(self.directory, self.cockpit.environments.get(ENVIRONMENT).url, REQUEST_RATE)
        self._traffic.wait_until_flowing()
        before = self._traffic.count()
        commit, subject = self.changes.apply("better")
        yield DemoEvent(EventKind.DONE, f"committed and pushed to main: {subject}", commit[:9])
        run = yield from self._noticed(commit)
        ended = yield from self._follow(run)
        self._must_succeed(ended)
        yield from self._verdicts(ended)
        serving = self.cockpit.environments.get(ENVIRONMENT)
        count = self._settled() - before
        yield _traffic_event(f"version {serving.serving} serves", count)
        self._result("commit 2: better model, promoted", f"v{serving.serving} serves", ended, count)

    def _worse(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "A worse model, refused")
        serving = self.cockpit.environments.get(ENVIRONMENT).serving
        before = self._counted
        commit, subject = self.changes.apply("worse")
        yield DemoEvent(EventKind.DONE, f"committed and pushed to main: {subject}", commit[:9])
        run = yield from self._noticed(commit)
        ended = yield from self._follow(run, failing="gate")
        self._must_fail(ended, "gate", "the gate let the worse model through")
        yield from self._verdicts(ended)
        count = self._settled() - before
        yield DemoEvent(EventKind.DONE, f"nothing changed: version {serving} serves on")
        self._result("commit 3: worse model", "refused by the gate", ended, count)

    def _back_and_forth(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "Back to version 1, and forward again", "the traffic goes on")
        status = self.cockpit.environments.get(ENVIRONMENT)
        newer, older = status.serving, status.rollback_to
        if newer is None or older is None:
            raise RunFailed("there is no version to go back to", hint=f"podium -C {self.directory} status")
        yield from self._switch(How.ROLLBACK, older, "shown in the demonstration")
        held = [row for row in self.cockpit.models.quarantined() if row.version == newer]
        if held:
            yield DemoEvent(
                EventKind.DONE,
                f"version {newer} and its commit are quarantined: no push deploys them again until a person lifts it",
            )
            self.cockpit.models.lift_quarantine(newer, why="it was only shown")
        yield from self._switch(How.PROMOTE, newer, "forward again")

    def _evidence(self) -> Iterator[DemoEvent]:
        """Writes why the version serves, in files for others, and has them checked."""
        place = self.directory / EVIDENCE
        made = self.cockpit.evidence.write_served(ENVIRONMENT, None, place, self.directory)
        yield DemoEvent(EventKind.CHAPTER, "Why it serves, for others to check")
        yield DemoEvent(EventKind.DONE, f"everything that is recorded of version {made.version}: {place}/evidence.html")
        if made.unsigned:
            yield DemoEvent(EventKind.DONE, f"not signed: {made.unsigned}")
            return
        proof = self.cockpit.evidence.verify(place)
        if not proof.good:
            hint = f"podium -C {self.directory} evidence verify {EVIDENCE}"
            raise RunFailed(f"the evidence is not what was signed: {proof.problems[0]}", hint=hint)
        yield DemoEvent(EventKind.DONE, "signed by a key of this account's own, and verified", proof.signer)

    def _switch(self, how: How, version: int, why: str) -> Iterator[DemoEvent]:
        verb = "rollback" if how is How.ROLLBACK else "promotion"
        before = self._counted
        url = self.cockpit.environments.get(ENVIRONMENT).url
        began = time.monotonic()
        plan = self.cockpit.changes.plan(how, ENVIRONMENT, version=version)
        run = self.cockpit.changes.apply(plan, confirmed=plan.type_to_confirm, why=why)
        assert run is not None
        moved = _wait_for_version(url, version, began, lambda: self.cockpit.runs.get(run.id).run.state)
        ended = yield from self._follow(run)
        self._must_succeed(ended)
        count = self._settled() - before
        yield _traffic_event(f"{verb} to version {version}: traffic moved", count, moved)
        self.results.append(_under_traffic(f"{verb} to version {version}", f"v{version} serves", moved, count))

    # What the chapters share

    @property
    def changes(self) -> DemoRepository:
        if self._changes is None:
            raise RunFailed("the demonstration has not begun")
        return self._changes

    def _noticed(self, commit: str) -> Generator[DemoEvent, None, Run]:
        """Waits for the run that the agent starts for `commit` and returns it. Raises RunFailed if there is none."""
        began = time.monotonic()
        while time.monotonic() - began < NOTICE_TIMEOUT:
            for run in self.cockpit.runs.list(limit=5, name=PIPELINE):
                if run.commit == commit:
                    yield DemoEvent(
                        EventKind.DONE,
                        f"the agent noticed the push and started run {run.id}",
                        "",
                        time.monotonic() - began,
                    )
                    return run
            time.sleep(POLL_INTERVAL)
        raise RunFailed(
            "the agent did not notice the push", hint=f"read its log: {self.directory / '.podium' / 'agent.log'}"
        )

    def _follow(self, run: Run, *, failing: str = "") -> Generator[DemoEvent, None, Run]:
        """Reports each step of the run; returns the run as it ended. A step named `failing` is expected to fail."""
        told: dict[str, StepState] = {}
        while True:
            detail = self.cockpit.runs.get(run.id)
            for step in detail.steps:
                if told.get(step.name) is not step.state:
                    told[step.name] = step.state
                    if step.state is StepState.RUNNING:
                        yield DemoEvent(EventKind.DOING, step.name)
                    elif step.state.finished and step.state is not StepState.SKIPPED:
                        yield _step_event(step, failing)
            yield from self._meanwhile()
            if detail.run.state.finished:
                return detail.run
            if detail.run.state is RunState.WAITING:
                raise RunFailed(
                    f"run {run.id} waits for an approval", hint=f"podium -C {self.directory} approve {run.id}"
                )
            time.sleep(POLL_INTERVAL)

    def _meanwhile(self) -> Iterator[DemoEvent]:
        """Yields other events that occur during a run."""
        return iter(())

    def _canary(self) -> Iterator[DemoEvent]:
        """Yields each stage of a running canary once, and resumes one that waits for a person."""
        canary = self.cockpit.environments.canary(ENVIRONMENT)
        if canary is None:
            return
        if (canary.deployment, canary.share) != self._stage:
            self._stage = (canary.deployment, canary.share)
            yield DemoEvent(EventKind.DONE, f"  canary: version {canary.version} has {canary.share} % of the traffic")
        if canary.state is CanaryState.INCONCLUSIVE and self._resumed < _MAX_RESUMED:
            self._resumed += 1
            yield DemoEvent(EventKind.BAD, f"  {canary.message}", "resumed")
            changes = self.cockpit.changes
            changes.apply(changes.plan("resume", ENVIRONMENT), why="shown in the demonstration")

    def _must_succeed(self, run: Run) -> None:
        if run.state is not RunState.SUCCEEDED:
            failed = next((step for step in self.cockpit.runs.steps(run.id) if step.state is StepState.FAILED), None)
            because = f": {failed.name}: {failed.message}" if failed else f": {run.message}" if run.message else ""
            name = f" '{failed.name}'" if failed else ""
            raise RunFailed(
                f"run {run.id} {run.state.value}{because}", hint=f"podium -C {self.directory} logs {run.id}{name}"
            )

    def _must_fail(self, run: Run, name: str, otherwise: str) -> Step:
        """Returns the step in which the run failed. Raises RunFailed with the words `otherwise` if it went through, and
        with its own if it failed elsewhere."""
        hint = f"podium -C {self.directory} show {run.id}"
        return failed_in(run, self.cockpit.runs.steps(run.id), name, otherwise, hint=hint)

    def _verdicts(self, run: Run) -> Iterator[DemoEvent]:
        """Yields the gate's checks in this run, with their values."""
        for report in self._reports(run):
            told = EventKind.DONE if report.verdict is Verdict.PASS else EventKind.BAD
            against = f" against champion v{report.champion}" if report.champion is not None else ""
            yield DemoEvent(
                told,
                f"gate {report.gate}: {report.verdict.value} for v{report.version}{against}",
                fmt.count(report.rows, "row"),
            )
            for check in report.checks:
                if check.baseline is not None or check.verdict is not Verdict.PASS:
                    yield DemoEvent(
                        EventKind.DONE if check.verdict is Verdict.PASS else EventKind.BAD,
                        f"  {check.name}: {check.message}",
                        check.verdict.value,
                    )

    def _reports(self, run: Run) -> list[GateReport]:
        numbers = [
            step.results["version"]
            for step in self.cockpit.runs.steps(run.id)
            if isinstance(step.results.get("version"), int)
        ]
        model = self.cockpit.project.config.mlflow.model
        for number in dict.fromkeys(numbers):
            reports = self.cockpit.models.gate_reports(Version(model=model, version=number, created=0.0))
            if reports:
                return [report for report in reports if report.run_id in (run.id, None)][:1]
        return []

    def _settled(self) -> TrafficCount:
        """Returns the traffic's count once every request that was running has been counted; the next chapter
        counts from there."""
        if self._traffic is not None:
            self._counted = self._traffic.settled()
        return self._counted

    def _result(self, what: str, outcome: str, run: Run, count: TrafficCount | None = None) -> None:
        seconds = run.ended - run.started if run.ended is not None and run.started is not None else None
        self.results.append(
            _under_traffic(what, outcome, seconds, count) if count else DemoResult(what, outcome, seconds)
        )

    def stop(self) -> list[str]:
        """Stops the traffic, the agent, the runs and the environments; returns what was stopped, in words. An error
        in one does not prevent the others."""
        traffic, self._traffic = self._traffic, None
        stopped: list[str] = []
        errors: list[Exception] = []

        def end(*jobs: Callable[[], Sequence[str]]) -> None:
            for job in jobs:
                try:
                    stopped.extend(job())
                except Exception as error:
                    errors.append(error)

        if traffic is not None:
            end(traffic.stop)
        try:
            cockpit = self._opened_anew()
        except Exception as error:
            errors.append(error)
            cockpit = None
        if cockpit is not None:
            # The agent before the rest: it would start runs, and bring back what is stopped.
            end(
                lambda: _end_agent(cockpit, self._agent_starting), lambda: _end_runs(cockpit), cockpit.environments.stop
            )
            cockpit.close()
            dismiss(self.directory / ".podium")
        if self._changes is not None:
            self._changes.ports.close()
        if errors:
            raise errors[0]
        return stopped

    def _opened_anew(self) -> Facade | None:
        """Returns the project opened once more, None if it never was: an interrupt may have struck in the middle of
        anything that the one before was doing."""
        before, self._cockpit = self._cockpit, None
        if before is None:
            return None
        with contextlib.suppress(Exception):
            before.close()
        return self._opened(self.directory)


def failed_in(run: Run, steps: Sequence[Step], name: str, otherwise: str, *, hint: str = "") -> Step:
    """Returns the step of that name, in which the run failed. Raises RunFailed with the words `otherwise` if the step
    or the run went through, and with the run's own if it ended before that step."""
    found = next((step for step in steps if step.name == name), None)
    if run.state is RunState.FAILED and found is not None and found.state is StepState.FAILED:
        return found
    through = run.state is RunState.SUCCEEDED or (found is not None and found.state is StepState.SUCCEEDED)
    because = f": {run.message}" if run.message else ""
    raise RunFailed(otherwise if through else f"run {run.id} {run.state.value} before {name}{because}", hint=hint)


def _end_agent(cockpit: Facade, starting: bool) -> list[str]:
    """Stops the agent. One whose start was interrupted has yet to report; without waiting for it, it would keep
    running."""
    deadline = time.monotonic() + (AGENT_TIMEOUT if starting else 0.0)
    while not cockpit.agent.status().alive and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)
    return ["the agent"] if cockpit.agent.stop() else []


def _end_runs(cockpit: Facade) -> list[str]:
    active = cockpit.runs.active()
    for run in active:
        try:
            cockpit.runs.cancel(run.id, why="the demonstration ends")
        except Refused:  # it ended meanwhile
            continue
    deadline = time.monotonic() + END_TIMEOUT
    while cockpit.runs.active() and time.monotonic() < deadline:
        cockpit.runs.recover()
        time.sleep(POLL_INTERVAL)
    return [f"run {run.id}" for run in active]


def _step_event(step: Step, failing: str) -> DemoEvent:
    seconds = (
        step.ended - step.started if step.started is not None and step.ended is not None and not step.cached else None
    )
    if step.state is StepState.SUCCEEDED:
        shown = {key: value for key, value in step.results.items() if key in ("version", "verdict")}
        detail = (
            "unchanged, from the cache" if step.cached else ", ".join(f"{key} {value}" for key, value in shown.items())
        )
        return DemoEvent(EventKind.DONE, step.name, detail, seconds)
    detail = "as it should" if step.name == failing else step.message.partition("\n")[0]
    return DemoEvent(EventKind.BAD, f"{step.name} {step.state.value}", detail, seconds)


def _under_traffic(what: str, outcome: str, seconds: float | None, count: TrafficCount) -> DemoResult:
    return DemoResult(what, outcome, seconds, count.sent, count.failed, count.failures)


def _traffic_event(text: str, count: TrafficCount, seconds: float | None = None) -> DemoEvent:
    return DemoEvent(EventKind.BAD if count.failed else EventKind.DONE, text, str(count), seconds)


def _wait_for_version(url: str, version: int, began: float, state: Callable[[], RunState]) -> float:
    """Returns the seconds from `began` until the environment answers as `version`, as a client sees it."""
    parts = urlsplit(url)
    while time.monotonic() - began < SWITCH_TIMEOUT:
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=5.0)
        try:
            connection.request("GET", "/version")
            answer = json.loads(connection.getresponse().read())
            if str(answer.get("version")) == str(version):
                return time.monotonic() - began
        except (OSError, ValueError, http.client.HTTPException):
            pass  # an answer that does not come is the traffic's business to count
        finally:
            connection.close()
        if state() in (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED):
            break
        time.sleep(0.01)
    raise RunFailed(f"version {version} did not take over", hint="run `podium show last`")
