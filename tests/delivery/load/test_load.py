"""The load check: an open loop that a stall cannot hide from, and verdicts on a real environment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.delivery.load import driving, generator, judging, load_step
from podium.core.delivery.load.driving import Load, LoadRequest, send
from podium.core.delivery.load.generator import Answers
from podium.core.delivery.load.judging import figures, late, limits, slowdown, too_slow
from podium.core.delivery.load.load_step import gate_check
from podium.core.delivery.load.requests import requests_for
from podium.core.domain.gates.checks import LoadCheck
from podium.core.domain.models import CHAMPION, Version
from podium.core.domain.project import Check, Gate
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.engine.context import StepContext
from podium.core.errors import RunFailed

from tests.delivery.light import MODEL, World
from tests.runner.scale import scaled
from tests.support import free_port

BODY = LoadRequest(b'{"inputs": [[1.0]]}')
RATE, SECONDS, STALL = 60.0, 3.0, 1.0


@pytest.fixture
def stalling() -> Iterator[int]:
    """The port of a server that stalls for a second, a second after its first request."""
    port = free_port()
    server = Path(__file__).with_name("stalling.py")
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", str(server), str(port), "1.0", str(STALL)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline()
    yield port
    process.kill()
    process.communicate()


def test_a_stall_counts_for_every_request_that_was_due_in_it(stalling: int) -> None:
    """Of a closed loop with one connection one request in a hundred would be slow, and the 95th percentile fine. Here
    a third of them is, each as long as its client would have waited: the 95th percentile is most of the stall."""
    answers = send(Load("127.0.0.1", stalling, [BODY], RATE, SECONDS, timeout=scaled(10)))
    found = figures(answers, RATE)
    assert (found.requests, found.errors) == (RATE * SECONDS, 0)
    slow = [latency for latency in answers.latency if latency > 0.1]
    assert len(slow) >= 0.85 * (STALL - 0.1) * RATE
    assert found.latency["p95"] > 0.6 * STALL
    # Their waiting times fall evenly from the whole stall to nothing: the mean is its half.
    assert np.mean(slow) >= 0.4 * STALL


def test_what_does_not_answer_is_an_error_and_not_fast() -> None:
    answers = send(Load("127.0.0.1", free_port(), [BODY], 50.0, 1.0, timeout=1.0))
    found = figures(answers, 50.0)
    assert (found.errors, found.unanswered, found.requests) == (50, 50, 50)
    (refused,) = limits("load", found, LoadCheck("staging", 50.0, 1.0, p95=10.0))
    assert refused.verdict is Verdict.FAIL and "50 requests of 50 (100.00%) had no good answer" in refused.message
    assert "fewer than 95% were answered within 10,000 ms" in refused.message
    some = replace(found, errors=2, unanswered=0)
    median, slowest = limits("load", some, LoadCheck("staging", 50.0, 1.0, p50=10.0, p99=10.0))
    assert (median.verdict, slowest.verdict) == (Verdict.PASS, Verdict.FAIL), "2 of 50 are more than 1 %"
    assert "2 requests of 50 (4.00%) had no good answer" in median.message


def test_a_generator_that_cannot_keep_the_rate_says_so(stalling: int) -> None:
    rate = 200_000.0
    words = too_slow(figures(send(Load("127.0.0.1", stalling, [BODY], rate, 0.05, timeout=scaled(10))), rate), rate)
    assert "could not keep 200000/s" in words and "not the load that was asked for" in words
    steady = figures(Answers([0.2] * 100, [200] * 100, [0.001] * 100), 100.0)
    assert too_slow(steady, 100.0) == "" == late(steady)
    jerky = figures(Answers([0.2] * 100, [200] * 100, [0.05] * 99 + [0.0]), 100.0)
    assert too_slow(jerky, 100.0) == "" and "50 ms late" in late(jerky) and late(jerky, 0.6) == ""
    behind = figures(Answers([0.2] * 100, [200] * 100, [place / 1000 for place in range(100)]), 100.0)
    assert "could not keep 100/s" in too_slow(behind, 100.0)


def test_a_generator_that_breaks_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "MODULE", "podium.core.no_such_module")
    with pytest.raises(RunFailed, match=r"generator ended with exit code 1: .*No module named"):
        send(Load("127.0.0.1", 1, [BODY], 1.0, 1.0))
    assert generator.as_request("::1", 5, b"x", None).startswith(b"POST /invocations HTTP/1.1\r\nHost: [::1]:5\r\n")


def test_a_slower_version_is_told_from_chance() -> None:
    random = np.random.default_rng(0)

    def pairs(factor: float, noise: float, size: int = 100) -> list[tuple[judging.LoadFigures, judging.LoadFigures]]:
        """Six pairs on a machine whose speed changes by up to ten times from pair to pair."""
        made = []
        for _ in range(6):
            machine = random.uniform(0.1, 1.0)
            sides = [random.lognormal(-4, 0.3, size) * machine * random.lognormal(0, noise) for _ in range(2)]
            sides[0] *= factor
            made.append([figures(Answers(each.tolist(), [200] * size, [0.0] * size), 100.0) for each in sides])
        return [(mine, theirs) for mine, theirs in made]

    assert slowdown("load", pairs(1.0, 0.02), 1, 0.2).verdict is Verdict.PASS
    found = slowdown("load", pairs(2.0, 0.02), 1, 0.2)
    assert found.verdict is Verdict.FAIL and found.value == pytest.approx(1.0, abs=0.2)
    assert found.low is not None and found.high is not None and 0.2 < found.low < found.value < found.high
    few = slowdown("load", pairs(1.0, 0.02, size=19), 1, 0.2)
    assert few.verdict is Verdict.INCONCLUSIVE and "too few for a 95th percentile" in few.message
    # Equal versions: of 300 comparisons at most 5 % (binomial bound at 1 in 1,000: 27) fail at a limit of 0.
    equal = [slowdown("load", pairs(1.0, 0.3), 1, 0.0).verdict for _ in range(300)]
    assert equal.count(Verdict.FAIL) <= 27
    # Likewise one that is slower by exactly the limit does not pass.
    slower = [slowdown("load", pairs(1.2, 0.3), 1, 0.2).verdict for _ in range(300)]
    assert slower.count(Verdict.PASS) <= 27 and slower.count(Verdict.INCONCLUSIVE) > 240


@pytest.mark.parametrize(
    ("ratios", "value", "verdict"),
    [
        ((1.0, 1.1, 0.9, 1.0, 1.1, 0.9), -0.003, Verdict.PASS),
        ((0.7, 1.4, 0.8, 1.3, 0.9, 1.2), 0.017, Verdict.INCONCLUSIVE),
        ((0.9, 2.0, 1.1, 1.7, 1.0, 1.8), 0.350, Verdict.INCONCLUSIVE),
        ((1.4, 1.5, 1.6, 1.4, 1.5, 1.6), 0.498, Verdict.FAIL),
    ],
)
def test_an_interval_that_has_the_limit_within_is_no_pass(
    ratios: Sequence[float], value: float, verdict: Verdict
) -> None:
    def measured(seconds: float) -> judging.LoadFigures:
        return figures(Answers([seconds] * 100, [200] * 100, [0.0] * 100), 100.0)

    found = slowdown("load", [(measured(each), measured(1.0)) for each in ratios], 1, 0.2)
    assert (found.verdict, found.value) == (verdict, pytest.approx(value, abs=0.001))
    assert found.low is not None and found.high is not None
    assert (found.low <= 0.2 < found.high) == (verdict is Verdict.INCONCLUSIVE)
    assert ("whether that is within 20% cannot be told" in found.message) == (verdict is Verdict.INCONCLUSIVE)


# -- a real environment
# --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(judging, "_LATE", 60.0)  # however busy this machine is
    monkeypatch.setattr(judging, "_KEPT", 0.1)
    made = World(tmp_path, replicas=1)
    pandas.DataFrame({"x": range(20), "word": ["007"] * 20, "late": [0, 1] * 10}).to_csv(
        tmp_path / "t.csv", index=False
    )
    yield made
    made.close()


def judge(world: World, number: int, **limits: Any) -> dict[str, CheckResult]:
    gate = Gate("quality", "t.csv", "late", ())
    world.project = replace(world.project, gates={"quality": gate})
    run = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0)
    context = StepContext(world.project, run, "gate", {"gate": "quality"}, _journal=world.journal)
    check = LoadCheck("staging", limits.pop("rate", 40.0), 1.5, **limits)
    found = gate_check(context, Check("load", load=check), Version(MODEL, number, time.time()))
    return {each.name.removeprefix("load on staging").removeprefix(": "): each for each in found}


def test_a_staged_version_is_judged_under_load(world: World) -> None:
    world.version(1)
    world.deploy(1)
    found = judge(world, 1, p50=scaled(5.0), p99=1e-5, errors=0.0, memory=1 << 30)
    assert {name.split(" ")[0]: str(each.verdict) for name, each in found.items()} == {
        "p50": "pass",
        "p99": "fail",
        "errors": "pass",
        "memory": "pass",
    }, found
    memory = next(each for name, each in found.items() if name.startswith("memory"))
    assert memory.value is not None and memory.value > 1 << 20
    assert "0 requests of 60" in found["errors ≤ 0.00%"].message
    small = judge(world, 1, memory=1 << 20)
    assert [each.verdict for each in small.values()] == [Verdict.FAIL]
    assert not world.journal.locks.all()


def test_errors_under_load_fail(world: World) -> None:
    world.version(1, example=False, status=500, fails_after=30)
    world.deploy(1)
    found = judge(world, 1, errors=0.1)["errors ≤ 10.00%"]
    assert found.verdict is Verdict.FAIL and found.value is not None and found.value > 0.4


def test_only_the_version_that_is_staged_is_judged(world: World) -> None:
    world.version(1)
    found = judge(world, 1, p95=1.0)[""]
    assert found.verdict is Verdict.ERROR and "nothing serves staging, not version 1" in found.message
    world.deploy(1)
    found = judge(world, 2, p95=1.0)[""]
    assert "version 1 serves staging, not version 2" in found.message and "uses: deploy" in found.message
    world.change(protected=True)
    assert "is protected" in judge(world, 1, p95=1.0)[""].message


def test_a_rate_that_is_not_kept_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.version(1)
    world.deploy(1)
    monkeypatch.setattr(judging, "_KEPT", 2.0)
    found = judge(world, 1, p95=100.0)[""]
    assert found.verdict is Verdict.ERROR and "could not keep 40/s" in found.message and "p95" in found.message
    monkeypatch.setattr(judging, "_KEPT", 0.1)
    monkeypatch.setattr(judging, "_LATE", -1.0)
    monkeypatch.setattr(judging, "_LATE_SHARE", -1.0)
    found = judge(world, 1, p95=1e-6)[""]
    assert found.verdict is Verdict.ERROR and "may be its fault" in found.message
    assert [each.verdict for each in judge(world, 1, p95=100.0).values()] == [Verdict.PASS]


def test_compared_with_the_champion_under_the_same_load(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alias: dict[str, int] = {}
    monkeypatch.setattr(load_step._LoadTest, "_champion", lambda self: alias.get(CHAMPION))
    world.version(1)
    world.version(2, delay=0.3)
    world.deploy(2)
    assert judge(world, 2, compare="champion")[" against champion"].message == "no champion to compare with"
    alias[CHAMPION] = 2
    assert judge(world, 2, compare="champion")[" against champion"].message == "the candidate is the champion"
    alias[CHAMPION] = 1
    found = judge(world, 2, rate=100.0, compare="champion", max_slowdown=1.0)
    assert found["slowdown ≤ 100%"].verdict is Verdict.FAIL, found
    assert found[" against champion: errors"].verdict is Verdict.PASS
    assert not world.journal.locks.all() and world.answers() == "2"


def test_the_gates_rows_are_asked_with_the_types_of_the_signature(world: World, tmp_path: Path) -> None:
    world.version(1)
    files = world.runtime.files.directory(1)
    inputs = '[{"name": "word", "type": "string"}, {"name": "x", "type": "double"}]'
    (files / "MLmodel").write_text(f"signature:\n  inputs: '{inputs}'\n")
    gate = Gate("quality", "t.csv", "late", ())
    world.project = replace(world.project, gates={"quality": gate})
    run = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0)
    context = StepContext(world.project, run, "gate", {"gate": "quality"}, _journal=world.journal)
    requests, words = requests_for(world.runtime, context, Version(MODEL, 1, 0.0), files)
    assert words == "20 rows of t.csv in turn, one a request"
    assert requests[3].body == b'{"dataframe_split": {"columns": ["word", "x"], "data": [["007", 3.0]]}}'
    for broken in ({"redacted": ["age"]}, {"content_type": "text/csv\r\nX-Evil: 1"}, {"at": "soon"}):
        captured(world.runtime.driver.captures(), 60, **broken)
        _, words = requests_for(world.runtime, context, Version(MODEL, 1, 0.0), files)
        assert words == "20 rows of t.csv in turn, one a request", broken
    captured(world.runtime.driver.captures(), 60)
    requests, words = requests_for(world.runtime, context, Version(MODEL, 1, 0.0), files)
    assert words == "60 captured requests in turn" and requests[0].body == b"[1]"


def captured(directory: Path, count: int, **more: object) -> None:
    record = {"version": "1", "status": 200, "content_type": "application/json", "input": "[1]", "output": "1"}
    directory.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({"at": time.time() + each, **record, **more}) + "\n" for each in range(count))
    (directory / "capture-20001.jsonl").write_text(text)
