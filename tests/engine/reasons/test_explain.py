"""Why a step ran, was cached, or did not run; how long steps take; what differs between two runs."""

from __future__ import annotations

import json

import pytest
from podium.core.cockpit import Cockpit
from podium.core.domain.runs import Step, StepState
from podium.core.domain.why.critical import critical_path
from podium.core.errors import NotFound

from tests.engine.lab import Lab

CHAIN = """
data: {run: "mkdir -p data; cp source.txt data/copy.txt", inputs: [source.txt], outputs: [data/]}
train: {run: "cat data/copy.txt > model", needs: [data], inputs: [data/, train.py], outputs: [model]}
always: {run: "true"}
bad: {run: "false", needs: [train]}
after: {run: "true", needs: [bad]}
"""


def why(lab: Lab, run: int, step: str) -> str:
    return Cockpit(lab.home).why.step(run, step).short


def test_a_step_says_what_changed_and_since_which_run(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.write("train.py", "1")
    lab.pipeline(CHAIN)
    first, _ = lab.run()
    assert why(lab, first.id, "train") == "it is the first run that this step ran in with a key of its own"
    second, _ = lab.run()
    assert why(lab, second.id, "train") == f"cached: nothing it is made from changed since run {first.id}"
    assert why(lab, second.id, "always").startswith("it runs every time")
    assert why(lab, second.id, "after") == "skipped: needs bad, which failed"
    lab.write("train.py", "2")
    third, steps = lab.run()
    assert steps["data"].cached and not steps["train"].cached
    assert why(lab, third.id, "train") == f"train.py changed since run {second.id}"
    lab.write("source.txt", "two")
    lab.pipeline(CHAIN.replace("cat data/copy.txt >", "cat < data/copy.txt >"))
    fourth, _ = lab.run()
    assert why(lab, fourth.id, "data") == f"source.txt changed since run {third.id}"
    assert why(lab, fourth.id, "train") == f"data/copy.txt changed; its command changed since run {third.id}"
    with pytest.raises(NotFound):
        why(lab, fourth.id, "nowhere")


def test_a_step_that_failed_is_done_again_and_says_so(lab: Lab) -> None:
    lab.write("in.txt", "x")
    lab.pipeline("only: {run: 'test -f there && touch out', inputs: [in.txt], outputs: [out]}")
    first, _ = lab.run()
    lab.write("there", "")
    second, steps = lab.run()
    assert steps["only"].state is StepState.SUCCEEDED
    words = why(lab, second.id, "only")
    assert words == f"nothing changed since run {first.id}, but there it failed: only what succeeds is kept"
    third, _ = lab.run(fresh=True)
    assert "asked to ignore the cache" in why(lab, third.id, "only")


def test_what_is_noted_has_no_value_of_a_variable(lab: Lab) -> None:
    lab.write("in.txt", "x")
    lab.pipeline("only: {run: 'touch out', inputs: [in.txt], outputs: [out], env: {MODE: quick-and-visible}}")
    first, _ = lab.run()
    (noted,) = (lab.home / ".podium" / "runs" / str(first.id)).glob("*.key.json")
    assert "quick-and-visible" not in noted.read_text() and "MODE" in json.loads(noted.read_text())["variables"]
    assert noted.stat().st_mode & 0o077 == 0
    lab.pipeline("only: {run: 'touch out', inputs: [in.txt], outputs: [out], env: {MODE: slow}}")
    second, _ = lab.run()
    assert why(lab, second.id, "only") == f"the variable MODE changed since run {first.id}"
    noted.unlink()
    assert why(lab, second.id, "only").startswith("it is the first run"), "the files of the other run were removed"


def test_two_runs_side_by_side(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.write("train.py", "1")
    lab.pipeline(CHAIN, extra="params: {until: '2013'}")
    first, _ = lab.run()
    lab.write("train.py", "2")
    second, _ = lab.run(params={"until": "2014"})
    found = Cockpit(lab.home).why.runs(first.id, second.id)
    assert ("until", "2013", "2014") in found.params
    steps = {each.step: each for each in found.steps}
    assert steps["data"].states == ("succeeded", "cached") and not steps["data"].why
    assert steps["train"].states == ("succeeded", "succeeded") and steps["train"].why == "train.py changed"
    times = {each.step: each for each in Cockpit(lab.home).why.times(second.id)}
    assert times["train"].runs == 1 and times["train"].usual is not None
    assert times["bad"].critical and not times["always"].critical


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    def step(name: str, started: float | None, ended: float | None, *needs: str) -> Step:
        return Step(1, name, 0, StepState.SUCCEEDED, needs=needs, started=started, ended=ended)

    steps = [
        step("unit", 0, 9),
        step("data", 0, 4),
        step("train", 4, 20, "data"),
        step("quick", 9, 10, "unit"),
        step("gate", 20, 21, "train", "quick"),
        step("never", None, None, "gate"),
    ]
    assert critical_path(steps, 30) == ("data", "train", "gate")
    assert critical_path([step("runs", 0, None), step("over", 0, 5)], 30) == ("runs",)
    assert critical_path([], 30) == ()
