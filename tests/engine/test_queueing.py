"""Runs on a machine that others use as well: they wait for what is in use, say so, and never for themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, StepState
from podium.core.engine.submit import cancel
from podium.core.host_queue.queue import SWITCH, claims_in

from tests.engine.lab import Lab, wait_for_file
from tests.host_queue.conftest import fake_gpus  # noqa: F401 - a fixture
from tests.support import wait_until

WAIT = "while test ! -e {go}; do sleep 0.05; done"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with one CPU."""
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "host.json").write_text(json.dumps({"cpus": 1}))
    monkeypatch.setenv(SWITCH, str(tmp_path / "queue"))
    return tmp_path / "queue"


@pytest.fixture
def other(tmp_path: Path, place: Path) -> Iterator[Lab]:
    """Another project whose step has the CPU until its file `go` is there."""
    lab = Lab(tmp_path / "other")
    lab.pipeline("train: {run: 'echo yes >has; while test ! -e go; do sleep 0.05; done'}")
    lab.start()
    wait_for_file(lab.home / "has")
    yield lab
    lab.close()


def test_a_run_waits_for_another_projects_and_says_so(lab: Lab, other: Lab, place: Path) -> None:
    lab.pipeline("a: {run: 'echo done'}")
    run = lab.start()
    words = "waits for 1 CPU, in use by run 1 of lab (train)"
    wait_until(lambda: "waits for" in lab.journal.runs.get(run.id).message, what="it waits")
    waiting = lab.journal.runs.get(run.id)
    assert (waiting.state, waiting.message) == (RunState.QUEUED, f"a {words}")
    step = lab.steps(run.id)["a"]
    assert (step.state, step.message) == (StepState.PENDING, words)
    other.write("go", "")
    found, steps = lab.finish(run.id)
    assert found.state is RunState.SUCCEEDED and steps["a"].message == "" and steps["a"].attempt == 1
    assert words in lab.log(run.id, "a", "p") and "goes on" in lab.log(run.id, "a", "p")
    wait_until(lambda: not claims_in(place), what="nothing is claimed any more")


def test_one_that_waits_can_be_cancelled(lab: Lab, other: Lab, place: Path) -> None:
    lab.pipeline("a: {run: 'echo done'}\nb: {run: 'echo done'}")
    run = lab.start()
    wait_until(lambda: "waits for" in lab.journal.runs.get(run.id).message, what="it waits")
    cancel(lab.journal, run.id, "anna")
    found, steps = lab.finish(run.id)
    assert found.state is RunState.CANCELLED and {step.state for step in steps.values()} == {StepState.CANCELLED}
    assert [claim.owner.project for claim in claims_in(place)] == ["lab"], "the other one's alone"


def test_what_is_in_the_cache_and_what_delivers_wait_for_nobody(lab: Lab, place: Path, tmp_path: Path) -> None:
    lab.write("in", "1")
    lab.pipeline("a: {run: 'cp in out', inputs: [in], outputs: [out]}")
    lab.run()
    busy = Lab(tmp_path / "busy")
    try:
        busy.pipeline("train: {run: 'echo yes >has; while test ! -e go; do sleep 0.05; done'}")
        busy.start()
        wait_for_file(busy.home / "has")
        found, steps = lab.run()
        assert found.state is RunState.SUCCEEDED and steps["a"].cached
    finally:
        busy.close()


def test_a_step_that_runs_podium_does_not_wait_for_itself(lab: Lab, place: Path) -> None:
    inner = lab.home / "inner"
    inner.mkdir()
    (inner / "podium.yaml").write_text(
        "project: inner\npipelines: {main: {steps: {a: {run: 'echo inner'}, b: {run: 'echo too', needs: [a]}}}}\n"
    )
    lab.pipeline(f"outer: {{run: '{sys.executable} -m podium.cli -C inner run main -q'}}")
    found, steps = lab.run()
    assert found.state is RunState.SUCCEEDED, (steps["outer"].message, lab.log(found.id, "outer"))


def test_what_can_never_run_here_is_refused_at_once(lab: Lab, other: Lab) -> None:
    lab.pipeline("big: {run: 'echo', cpus: 64}")
    found, steps = lab.run()
    assert found.state is RunState.FAILED
    assert steps["big"].message.startswith("it can never run here: it asks for 64 CPUs, and this machine has 1 CPU\n")
    assert "ask for less" in steps["big"].message


def test_a_killed_workers_claim_is_free_at_once(lab: Lab, other: Lab) -> None:
    lab.pipeline("a: {run: 'echo done'}")
    run = lab.start()
    wait_until(lambda: "waits for" in lab.journal.runs.get(run.id).message, what="it waits")
    other.kill_worker(1)
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


def test_a_step_knows_its_gpus_and_shows_them(lab: Lab, place: Path, fake_gpus: Path) -> None:  # noqa: F811
    (place / "host.json").write_text(json.dumps({"cpus": 8}))
    lab.pipeline(
        "a: {run: 'echo $CUDA_DEVICE_ORDER $CUDA_VISIBLE_DEVICES; while test ! -e go; do sleep 0.05; done', gpus: [any, any]}\n"
        "b: {run: 'echo b ${CUDA_VISIBLE_DEVICES-none}'}\n"
        "never: {run: 'echo', gpus: [any, any, any], needs: [b], allow_failure: true}"
    )
    run = lab.start()
    words = "GPU 0: 87 % busy, 11.2 of 24.0 GiB, 71 °C; GPU 1: 0.0 of 24.0 GiB, 34 °C"
    wait_until(lambda: lab.steps(run.id)["a"].message == words, 20, what="what nvidia-smi says of them")
    lab.write("go", "")
    found, steps = lab.finish(run.id)
    assert found.state is RunState.SUCCEEDED and steps["a"].message == ""
    assert lab.log(run.id, "a", "o").strip() == "PCI_BUS_ID 0,1"
    assert lab.log(run.id, "b", "o").strip() == "b none"
    assert "it asks for 3 GPUs, and this machine has 2 GPUs" in steps["never"].message
