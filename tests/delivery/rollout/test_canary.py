"""A canary and the people who watch it: pause, resume, all traffic, abort; inconclusive waits; what cannot be saved
goes back at once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from podium.core.delivery.rollout import analysis, canary, plans
from podium.core.domain.delivery import CanaryRequest, CanaryState, CanaryStatus, DeploymentState, How
from podium.core.domain.project import AnalysisRule, Strategy
from podium.core.domain.rollout import RolloutState
from podium.core.domain.text.format import duration
from podium.core.domain.verdicts import Verdict
from podium.core.errors import PodiumError, Refused, RunFailed
from podium.core.journal import Journal
from podium.core.telemetry.windows import Reading, Window

from tests.runner.scale import scaled

from ...support import wait_until
from ..light import Load, World

ERRORS = AnalysisRule("error_rate", at_most=0.01)


def strategy(*weights: int, interval: float = 30.0, rules: tuple[AnalysisRule, ...] = (ERRORS,)) -> Strategy:
    return Strategy("canary", weights=weights, interval=interval, drain=2.0, analysis=rules)


class Promotion:
    """The deployment of version 2 over version 1 in a thread, and a journal of our own to watch and order it by."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = Journal.open(world.project.state / "journal.db")
        self.error: PodiumError | None = None
        self.thread = threading.Thread(target=self._carry_out, daemon=True)

    def _carry_out(self) -> None:
        own = World.__new__(World)
        own.__dict__.update(self.world.__dict__)
        own.journal = Journal.open(self.world.project.state / "journal.db")
        try:
            own.deploy(2)
        except PodiumError as error:
            self.error = error
        finally:
            own.journal.close()

    def status(self) -> CanaryStatus | None:
        return canary.status(self.journal, "staging")

    def at(self, share: int, state: CanaryState = CanaryState.RUNNING) -> CanaryStatus:
        return wait_until(
            lambda: (now := self.status()) and now.share == share and now.state is state and now,
            timeout=20.0,
            what=f"{share} % {state}: {self.error}",
        )

    def request(self, what: CanaryRequest, why: str = "") -> None:
        canary.request(self.journal, "staging", what, who="ops", why=why)

    def ended(self) -> DeploymentState:
        self.thread.join(scaled(20.0))
        assert not self.thread.is_alive()
        assert self.status() is None
        return self.journal.ledger.history("staging")[0].state


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, replicas=1)
    yield made
    made.close()


@contextmanager
def promotion(world: World, how: Strategy, *, example: bool = True, **behaviour: object) -> Iterator[Promotion]:
    world.version(1)
    world.version(2, example=example, **behaviour)
    world.deploy(1)
    world.change(strategy=how)
    made = Promotion(world)
    made.thread.start()
    try:
        yield made
    finally:
        made.thread.join(scaled(20.0))
        made.journal.close()


def test_pause_holds_and_resume_goes_on(world: World) -> None:
    with promotion(world, strategy(25, 50, interval=2.0)) as going, Load(world.port) as load:
        going.at(25)
        going.request(CanaryRequest.PAUSE, "lunch")
        paused = going.at(25, CanaryState.PAUSED)
        assert paused.until is None
        assert paused.message == "paused by ops: lunch"
        with pytest.raises(Refused, match="already paused"):
            going.request(CanaryRequest.PAUSE)
        # Longer than the stage would have lasted, and still there, with the analysis going on.
        still = wait_until(
            lambda: (now := going.status()) and time.time() > now.since + 3.0 and now.results and now, timeout=10.0
        )
        assert (still.share, still.state, still.verdict) == (25, CanaryState.PAUSED, Verdict.PASS)
        going.request(CanaryRequest.RESUME)
        going.at(50)
        with pytest.raises(Refused, match="not paused"):
            going.request(CanaryRequest.RESUME)
        assert going.ended() is DeploymentState.SUCCEEDED
    assert world.answers() == "2"
    assert not load.failures
    assert [entry.action for entry in world.journal.audit.page()].count("pause") == 1


@pytest.mark.parametrize(
    ("what", "state"), [(CanaryRequest.ABORT, DeploymentState.FAILED), (CanaryRequest.PAUSE, DeploymentState.SUCCEEDED)]
)
def test_what_is_asked_while_the_last_stage_is_judged_is_obeyed(
    world: World, monkeypatch: pytest.MonkeyPatch, what: CanaryRequest, state: DeploymentState
) -> None:
    judged = canary.Canary._judged

    def slowly(self: canary.Canary, hold: canary._Hold) -> bool:
        decided = judged(self, hold)
        if decided and not self._runtime.journal.canary_requests.after(self._deployment.id):
            canary.request(self._runtime.journal, "staging", what, who="ops", why="just now")
        return decided

    monkeypatch.setattr(canary.Canary, "_judged", slowly)
    with promotion(world, strategy(50, interval=1.5)) as going, Load(world.port):
        if what is CanaryRequest.PAUSE:
            going.at(50, CanaryState.PAUSED)
            going.request(CanaryRequest.RESUME)
        assert going.ended() is state
    assert ("aborted by ops at 50 %: just now" in str(going.error)) is (what is CanaryRequest.ABORT)
    assert world.answers() == ("1" if what is CanaryRequest.ABORT else "2")


def test_what_was_asked_before_all_traffic_moves_is_obeyed_still(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    check_abort = canary.Canary.check_abort

    def late(self: canary.Canary) -> None:
        with pytest.raises(Refused, match="no canary is running"):
            canary.request(self._runtime.journal, "staging", CanaryRequest.PAUSE, who="ops")
        self._runtime.journal.canary_requests.add(
            self._deployment.id, CanaryRequest.ABORT, "ops", environment="staging", why=""
        )
        check_abort(self)

    monkeypatch.setattr(canary.Canary, "check_abort", late)
    with promotion(world, strategy(50, interval=0.5, rules=())) as going:
        assert going.ended() is DeploymentState.FAILED
    assert "aborted by ops before all traffic had moved" in str(going.error) and world.answers() == "1"


def test_a_replica_that_missed_the_first_look_counts_from_its_first_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, looks = canary.Canary._reading, count()

    def missing(self: canary.Canary) -> Reading:
        answered = 100.0 * next(
            looks
        )  # in the tests' replicas nothing is measured: a histogram of 100 requests more each time, but for the first
        return replace(reading(self), latency={"v2-1": {0.1: answered, math.inf: answered}} if answered else {})

    monkeypatch.setattr(canary.Canary, "_reading", missing)
    rule = AnalysisRule("latency_p95", at_most=5.0)
    with promotion(world, strategy(50, interval=3.0, rules=(rule,))) as going, Load(world.port):
        assert going.ended() is DeploymentState.SUCCEEDED, going.error


def test_full_does_not_wait(world: World) -> None:
    with promotion(world, strategy(10, 50, interval=scaled(300.0))) as going:
        going.at(10)
        going.request(CanaryRequest.FULL, "it is fine")
        assert going.ended() is DeploymentState.SUCCEEDED, "long before the stage would have been over"
    assert world.answers() == "2"
    assert any("ops sends all traffic to version 2: it is fine" in line for line in world.said)


def test_abort_goes_back(world: World) -> None:
    with promotion(world, strategy(10, interval=300.0)) as going, Load(world.port) as load:
        going.at(10)
        refused = plans.plan(world.project, going.journal, How.DEPLOY, "staging", 1).refusal
        assert "a canary of version 2 has 10 % of the traffic: `podium abort -e staging` sends it back" in refused
        going.request(CanaryRequest.ABORT, "complaints")
        assert going.ended() is DeploymentState.FAILED
        assert isinstance(going.error, RunFailed)
        assert "aborted by ops at 10 %: complaints" in str(going.error)
    assert world.answers() == "1"
    assert not load.failures
    assert {row.version for row in world.runtime.replicas()} == {1}


def test_inconclusive_waits_for_a_person(world: World) -> None:
    """A handful of requests say nothing: they neither pass nor fail."""
    with promotion(world, strategy(50, interval=2.0)) as going:
        going.at(50)
        with Load(world.port, rate=8.0, clients=1):
            waiting = going.at(50, CanaryState.INCONCLUSIVE)
        assert waiting.verdict is Verdict.INCONCLUSIVE
        assert waiting.until is None
        assert "a person decides" in waiting.message
        going.request(CanaryRequest.RESUME, "known to be quiet")
        assert going.ended() is DeploymentState.SUCCEEDED
    assert world.answers() == "2"


def test_a_waiting_canary_that_begins_to_fail_goes_back_by_itself(world: World) -> None:
    with promotion(world, strategy(50, interval=1.5), example=False, status=500) as going:
        going.at(50)
        with Load(world.port, rate=6.0, clients=1):
            going.at(50, CanaryState.INCONCLUSIVE)
        with Load(world.port, rate=100.0):
            assert going.ended() is DeploymentState.FAILED
        assert "ends in fail at 50 %" in str(going.error)
    assert world.answers() == "1"


def test_what_cannot_be_saved_does_not_wait_for_its_time(world: World) -> None:
    patient = strategy(50, interval=scaled(60.0))
    with promotion(world, patient, example=False, status=500) as going, Load(world.port):
        going.at(50)
        assert going.ended() is DeploymentState.FAILED, "long before the stage would have been over"
    assert "out of reach already" in str(going.error)
    assert world.answers() == "1"
    entry = world.journal.quarantine.find("tiny", 2)
    assert entry is not None and entry.commit == f"{2:040x}" and "staging: the canary ends in fail" in entry.why
    plan = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 2)
    assert plan.overridable and "version 2 is quarantined: staging: the canary ends in fail" in plan.refusal
    assert [each.word for each in world.journal.verdicts.of("tiny", 2)] == ["quarantined", "canary fail"]


@pytest.mark.parametrize("status", [400, 500])
def test_a_version_that_refuses_what_the_one_before_takes_goes_back_without_any_rule(world: World, status: int) -> None:
    with promotion(world, strategy(50, interval=2.0, rules=()), example=False, status=status) as going:
        with Load(world.port, rate=60.0):
            assert going.ended() is DeploymentState.FAILED
    signal = "refused_rate" if status == 400 else "error_rate"
    assert f"ends in fail at 50 %: {signal}: " in str(going.error), "and says of how many requests"
    assert world.answers() == "1"
    assert world.journal.quarantine.find("tiny", 2) is not None


def test_podium_yaml_may_keep_a_failed_canary_out_of_quarantine_and_its_plan_warns(world: World) -> None:
    kind = replace(strategy(50, interval=scaled(60.0)), quarantine_failed_canary=False)
    with promotion(world, kind, example=False, status=500) as going, Load(world.port):
        going.at(50)
        assert going.ended() is DeploymentState.FAILED
    assert world.journal.quarantine.all() == []
    plan = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 2)
    assert plan.refusal == ""
    assert any("version 2 was taken back" in warning and "ends in fail" in warning for warning in plan.warnings)


def test_without_a_canary_there_is_nothing_to_order(world: World) -> None:
    for what in CanaryRequest:
        with pytest.raises(Refused, match="no canary is running in staging"):
            canary.request(world.journal, "staging", what, who="ops")


def window(requests: int, errors: int) -> Window:
    return Window(requests, errors, {})


@pytest.mark.parametrize(
    ("requests", "errors", "share", "lost"),
    [
        (19, 19, 0.5, False),  # too few to say anything
        (100, 1, 0.1, False),  # 1 of 1,000 to come may be allowed
        (100, 11, 0.1, True),  # more than 1 % of all 1,000 already
        (100, 10, 0.1, False),  # exactly 1 % of them: limits are strict
        (100, 2, 1.0, True),
        (100, 0, 0.0, False),
    ],
)
def test_beyond_saving(requests: int, errors: int, share: float, lost: bool) -> None:
    assert bool(analysis.beyond_saving([ERRORS], window(requests, errors), share=share)) is lost


def test_other_signals_are_never_beyond_saving() -> None:
    rule = AnalysisRule("latency_p95", at_most=0.001)
    assert not analysis.beyond_saving([rule], window(1000, 1000), share=0.9)


@pytest.mark.parametrize("answer", ["resume", "abort", ""])
def test_a_canary_that_fails_asks_where_it_shall(world: World, answer: str) -> None:
    """It keeps its share while a person decides; without an answer it goes back. Both are kept for good."""
    rule = AnalysisRule("refused_rate", at_most=0.01)
    asks = replace(
        strategy(50, interval=2.0, rules=(rule,)),
        on_fail="ask",
        answer_within=scaled(60.0) if answer else scaled(0.5),
    )
    with promotion(world, asks, example=False, status=400) as going, Load(world.port):
        if answer:
            asked = going.at(50, CanaryState.ASKS)
            assert asked.message.startswith("fail at 50 %: refused_rate") and asked.verdict is not None
            assert asked.until is not None and "asks a person" in asked.headline(time.time())
            assert set(world.weights().values()) == {100}, "half of the traffic each, as before"
            with pytest.raises(Refused, match="is already waiting for a decision"):
                going.request(CanaryRequest.PAUSE)
            going.request(CanaryRequest(answer), "a known fault of the client")
        ended = going.ended()
        assert (ended is DeploymentState.SUCCEEDED) is (answer == "resume"), going.error
    row = world.journal.ledger.history("staging")[0]
    (stage,) = RolloutState.from_json(row.data).stages
    outcome = {
        "resume": "went on by ops: a known fault of the client",
        "abort": "taken back by ops: a known fault of the client",
        "": f"taken back: nobody answered within {duration(scaled(0.5))}",
    }[answer]
    assert (stage["verdict"], stage["share"], stage["outcome"]) == ("fail", 50, outcome)
    said = [(each.action, each.why) for each in world.journal.audit.page(20) if each.subject == "staging version 2"]
    assert tuple(action for action, _ in reversed(said) if "canary" in action) == ("canary asks", "canary answered")
    assert any(outcome in why for action, why in said if action == "canary answered")
    assert (world.journal.quarantine.find("tiny", 2) is not None) is (answer != "resume")
