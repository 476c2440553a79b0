"""The watched stages of a canary: held, analysed again and again, and open to what a person asks meanwhile.

The numbers are those that practice has settled on (Argo Rollouts, Flagger): one failed measurement ends it, an error
is measured again four times, inconclusive waits for a person. What it knows of itself stands in the ledger's `data`,
so that every screen and command can show it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from ...domain.delivery import CanaryRequest, CanaryState, CanaryStatus, Deployment, Replica, no_canary
from ...domain.rollout import RolloutState
from ...domain.text.format import duration
from ...domain.verdicts import CANARY_ABORTED, CANARY_ENDS, CheckResult, Verdict, worst
from ...errors import Refused, RunFailed
from ...journal import Journal
from ...telemetry.windows import Reading, window
from ..environment.runtime import EnvironmentRuntime
from . import analysis
from .strategies import Stage

MAX_RETRIES = 4
RETRY_INTERVAL = 10.0
# How often the journal is looked at for requests, and how often the traffic is measured.
POLL_INTERVAL = 0.2
MEASURE_INTERVAL = 1.0
_ROLLED_BACK_HINT = "the version before has all traffic again"


class CanaryFailed(RunFailed):
    """Raised when the analysis takes a canary back. `verdict` is fail, or error when nothing could be measured."""

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message, hint=_ROLLED_BACK_HINT)
        self.verdict = verdict


def status(journal: Journal, environment: str) -> CanaryStatus | None:
    """The running canary of an environment; None when there is none."""
    for row in journal.ledger.open():
        stage = RolloutState.from_json(row.data).canary
        if row.environment == environment and stage is not None:
            return _read(row, stage)
    return None


def request(journal: Journal, environment: str, what: CanaryRequest, *, who: str, why: str = "") -> CanaryStatus:
    """Writes down what a person asks of the running canary; returns what it was doing. Refused when there is none,
    or when the request makes no sense now."""
    now = status(journal, environment)
    if now is None:
        raise Refused(no_canary(environment), hint=f"podium status -e {environment} says what is")
    if refusal := now.why_not(what):
        running = f"it is judged in {_left(now):.0f} s; podium promote --full does not wait"
        raise Refused(refusal, hint=running if now.state is CanaryState.RUNNING else f"podium resume -e {environment}")
    journal.canary_requests.add(now.deployment, what, who, environment=environment, why=why)
    return now


def _left(now: CanaryStatus) -> float:
    return max(0.0, (now.until or 0.0) - time.time())


def _read(row: Deployment, data: Mapping[str, Any]) -> CanaryStatus:
    found = cast("list[dict[str, Any]]", data.get("results") or [])
    results = tuple(CheckResult(each["name"], Verdict(each["verdict"]), **_rest(each)) for each in found)
    return CanaryStatus(
        deployment=row.id,
        environment=row.environment,
        version=row.to_version,
        from_version=row.from_version,
        stage=data["stage"],
        weights=tuple(data["weights"]),
        share=data["share"],
        state=CanaryState(data["state"]),
        since=data["since"],
        until=data["until"],
        results=results,
        verdict=Verdict(data["verdict"]) if data.get("verdict") else None,
        message=data.get("message", ""),
        run_id=row.run_id,
    )


def _rest(result: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in ("name", "verdict")}


@dataclass(slots=True)
class _Hold:
    """One stage while it is held. `deadline` (monotonic) is when it is judged, None while a person is waited for;
    `left` is what was left of its time when it was paused. `message` says who is waited for and why."""

    stage: Stage
    index: int
    before: Reading
    since: float
    deadline: float | None
    left: float | None = None
    retries: int = 0
    message: str = ""
    results: tuple[CheckResult, ...] = ()
    requests: int = 0
    failed: Verdict | None = None
    """What its analysis ended with, while a person is asked; None else."""
    why: str = ""
    """Why it failed."""
    answer_by: float = 0.0
    """When a person has to have answered (monotonic)."""

    @property
    def state(self) -> CanaryState:
        if self.failed is not None:
            return CanaryState.ASKS
        if self.deadline is not None:
            return CanaryState.RUNNING
        return CanaryState.INCONCLUSIVE if self.left is None else CanaryState.PAUSED

    @property
    def verdict(self) -> Verdict:
        return worst(result.verdict for result in self.results)

    @property
    def words(self) -> str:
        return "; ".join(result.message for result in self.results)


class Canary:
    """The stages of one deployment, in order. `keep` writes what is known into the ledger, `keep_stage` how a stage
    ended; `tick` is called about once a second (healing)."""

    def __init__(
        self,
        runtime: EnvironmentRuntime,
        deployment: Deployment,
        new: Sequence[Replica],
        old: Sequence[Replica],
        *,
        keep: Callable[[Mapping[str, object]], None],
        keep_stage: Callable[[Mapping[str, object]], None],
        tick: Callable[[], object],
    ) -> None:
        self._runtime, self._deployment = runtime, deployment
        self._new, self._old = tuple(new), tuple(old)
        self._keep, self._keep_stage, self._tick = keep, keep_stage, tick
        self._rules = runtime.environment.strategy.analysis
        self._seen = max((asked.id for asked in runtime.journal.canary_requests.after(deployment.id)), default=0)

    def hold(self, stage: Stage, index: int) -> bool:
        """Stay at the stage, which has its weights already, until it may go on. False when a person wants all
        traffic moved now.

        RunFailed, with the numbers, when it has to go back.
        """
        hold = _Hold(stage, index, self._reading(), time.time(), time.monotonic() + stage.hold)
        self._runtime.say(
            f"version {self._deployment.to_version} has {stage.share} % of the traffic for {stage.hold:g} s"
        )
        self._publish(hold)
        next_look = time.monotonic() + MEASURE_INTERVAL
        while True:
            decided = self._obey(hold)
            if decided is not None:
                return decided
            now = time.monotonic()
            if hold.failed is not None and now >= hold.answer_by:
                self._unanswered(hold, hold.failed)
            due = hold.deadline is not None and now >= hold.deadline
            if due or now >= next_look:
                next_look = now + MEASURE_INTERVAL
                self._tick()
                self._measure(hold)
                if due and hold.failed is None and self._judged(hold):
                    # Once more: measuring takes seconds where replicas are slow, which is when people abort.
                    decided = self._obey(hold)
                    if decided is not None or hold.deadline is not None:
                        if decided is None:
                            self._note(hold, "went on by itself")
                        return decided is not False
                self._publish(hold)
            nearest = next_look if hold.deadline is None else min(next_look, hold.deadline)
            time.sleep(max(0.005, min(POLL_INTERVAL, nearest - time.monotonic())))

    def check_abort(self) -> None:
        """Honours an abort that was asked for after the last stage had been judged: RunFailed. Later requests are
        refused by then."""
        for asked in self._runtime.journal.canary_requests.after(self._deployment.id, self._seen):
            if asked.request is CanaryRequest.ABORT:
                raise RunFailed(
                    f"{CANARY_ABORTED} {asked.who} before all traffic had moved{f': {asked.why}' if asked.why else ''}",
                    hint=_ROLLED_BACK_HINT,
                )

    # What a person asks

    def _obey(self, hold: _Hold) -> bool | None:
        """True to go on to the next stage, False for all traffic now, None to stay. To abort comes before whatever
        else was asked for."""
        waiting = self._runtime.journal.canary_requests.after(self._deployment.id, self._seen)
        for asked in sorted(waiting, key=lambda each: each.request is not CanaryRequest.ABORT):
            self._seen = asked.id
            why = f": {asked.why}" if asked.why else ""
            if asked.request is CanaryRequest.ABORT:
                self._note(hold, f"taken back by {asked.who}{why}")
                if hold.failed is not None:
                    raise self._failed(hold, hold.failed, f"{hold.why}; {asked.who} takes it back{why}")
                raise RunFailed(f"{CANARY_ABORTED} {asked.who} at {hold.stage.share} %{why}", hint=_ROLLED_BACK_HINT)
            if asked.request is CanaryRequest.FULL:
                self._note(hold, f"given all traffic by {asked.who}{why}")
                self._runtime.say(f"{asked.who} sends all traffic to version {self._deployment.to_version}{why}")
                return False
            if asked.request is CanaryRequest.PAUSE:
                self._pause(hold, f"paused by {asked.who}{why}")
            elif hold.state.waits:
                self._note(hold, f"went on by {asked.who}{why}")
                self._runtime.say(f"{asked.who} goes on although {hold.stage.share} % is {hold.verdict}{why}")
                return True
            else:
                self._resume(hold, asked.who)
        return None

    def _pause(self, hold: _Hold, message: str) -> None:
        if hold.deadline is not None:
            hold.left, hold.deadline, hold.message = max(0.0, hold.deadline - time.monotonic()), None, message
            self._runtime.say(f"{message}; it stays at {hold.stage.share} %")
            self._publish(hold)

    def _resume(self, hold: _Hold, who: str) -> None:
        if hold.left is not None:
            self._runtime.say(f"{who} goes on; {hold.stage.share} % is judged in {hold.left:.0f} s")
            hold.deadline, hold.left, hold.message = time.monotonic() + hold.left, None, ""
            self._publish(hold)

    # What the traffic says

    def _reading(self) -> Reading:
        return analysis.read(self._runtime, [*self._new, *self._old])

    def _measure(self, hold: _Hold) -> None:
        """Since the stage began. RunFailed at once when nothing that is still to come could save it. While a person is
        asked, what they are shown stays."""
        if hold.failed is not None:
            return
        after = self._reading()
        fresh, before = (window(hold.before, after, [row.slot for row in rows]) for rows in (self._new, self._old))
        hold.results, hold.requests = tuple(analysis.judge(self._rules, fresh, before)), fresh.requests
        # A replica that did not answer when the stage began counts from its first answer.
        hold.before = replace(hold.before, latency={**after.latency, **hold.before.latency})
        elapsed = time.time() - hold.since
        lost = analysis.beyond_saving(self._rules, fresh, share=min(1.0, elapsed / max(hold.stage.hold, elapsed)))
        if lost or (hold.deadline is None and hold.verdict is Verdict.FAIL):
            self._fail(hold, Verdict.FAIL, lost or hold.words)

    def _judged(self, hold: _Hold) -> bool:
        """Whether the stage may go on, now that its time is over. An error is measured again; inconclusive begins to
        wait for a person."""
        verdict = hold.verdict if self._rules or hold.results else Verdict.PASS
        words = hold.words or "no more is refused or fails than before"
        if verdict is Verdict.ERROR and hold.retries < MAX_RETRIES:
            hold.retries += 1
            hold.deadline = time.monotonic() + min(RETRY_INTERVAL, max(hold.stage.hold, MEASURE_INTERVAL))
            self._runtime.say(f"{hold.stage.share} %: error, measured again ({hold.retries} of {MAX_RETRIES}): {words}")
            return False
        if verdict in (Verdict.FAIL, Verdict.ERROR):
            self._fail(hold, verdict, words)
            return False
        self._runtime.say(f"{hold.stage.share} %: {verdict}: {words}")
        if verdict is Verdict.PASS or self._deployment.forced:
            return True
        hold.deadline, hold.message = None, f"inconclusive at {hold.stage.share} %: a person decides"
        environment = self._runtime.name
        self._runtime.say(
            f"waits for a person: podium resume -e {environment} goes on, podium abort -e {environment} goes back"
        )
        return False

    def _fail(self, hold: _Hold, verdict: Verdict, words: str) -> None:
        """Takes the canary back: CanaryFailed. Where podium.yaml says so, it keeps its share and asks a person."""
        strategy, environment = self._runtime.environment.strategy, self._runtime.name
        if strategy.on_fail != "ask":
            self._note(hold, "taken back by itself", verdict)
            raise self._failed(hold, verdict, words)
        hold.failed, hold.why, hold.answer_by = verdict, words, time.monotonic() + strategy.answer_within
        hold.deadline = hold.left = None
        hold.message = f"{verdict} at {hold.stage.share} %: {words}"
        limit = duration(strategy.answer_within)
        version = self._deployment.to_version
        self._runtime.say(f"{hold.message}; it keeps {hold.stage.share} % and asks a person, who has {limit}")
        self._runtime.say(
            f"podium resume -e {environment} goes on all the same, podium abort -e {environment} goes back"
        )
        subject = f"{environment} version {version}"
        self._runtime.journal.audit.add("podium", "canary asks", subject, f"{hold.message}; to be answered in {limit}")
        self._publish(hold)

    def _unanswered(self, hold: _Hold, verdict: Verdict) -> None:
        limit = duration(self._runtime.environment.strategy.answer_within)
        self._note(hold, f"taken back: nobody answered within {limit}")
        raise self._failed(hold, verdict, f"{hold.why}; nobody answered within {limit}")

    def _note(self, hold: _Hold, outcome: str, verdict: Verdict | None = None) -> None:
        """Keeps how a stage ended, for good: it is evidence. An answer to a canary that has failed is in the audit of
        its version, too."""
        said = verdict or hold.failed or (hold.verdict if hold.results else None)
        self._keep_stage(
            {
                "share": hold.stage.share,
                "since": hold.since,
                "until": time.time(),
                "verdict": str(said) if said is not None else None,
                "requests": hold.requests,
                "results": [asdict(result) for result in hold.results],
                "outcome": outcome,
            }
        )
        if hold.failed is not None:
            subject = f"{self._runtime.name} version {self._deployment.to_version}"
            self._runtime.journal.audit.add("podium", "canary answered", subject, f"{outcome}; {hold.message}")

    def _failed(self, hold: _Hold, verdict: Verdict, words: str) -> CanaryFailed:
        self._publish(hold)
        return CanaryFailed(f"{CANARY_ENDS} {verdict} at {hold.stage.share} %: {words}", verdict)

    def _publish(self, hold: _Hold) -> None:
        end = hold.answer_by if hold.failed is not None else hold.deadline
        until = None if end is None else time.time() + end - time.monotonic()
        self._keep(
            {
                "stage": hold.index,
                "weights": list(self._runtime.environment.strategy.weights),
                "share": hold.stage.share,
                "state": str(hold.state),
                "since": hold.since,
                "until": until,
                "results": [asdict(result) for result in hold.results],
                "verdict": str(hold.verdict) if hold.results else None,
                "message": hold.message,
            }
        )
