"""Commands that start, follow, stop and take up runs: real workers, real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, StepState
from podium.core.journal import Journal

from tests.runner.scale import scaled
from tests.support import wait_until

from ..conftest import Call


@pytest.fixture
def running(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in a session of its own, as a terminal's would be, and ends it with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "podium.cli", *words],
            cwd=home,
            env={**os.environ, "NO_COLOR": "1"},
            text=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def state_of(journal: Journal, run_id: int) -> RunState:
    return journal.runs.get(run_id).state


def test_a_run_is_followed_on_standard_error_only(shell: Call) -> None:
    done = shell("run", "ok", "--param", "who=you")
    assert (done.code, done.out) == (0, "")
    assert "hello │ hello you" in done.err or "hello | hello you" in done.err
    assert "oops" in done.err
    assert "run 1 succeeded" in done.err


def test_a_run_as_json(shell: Call) -> None:
    done = shell("run", "ok", "-q", "-o", "json", "--why", "to see")
    assert done.code == 0
    value = json.loads(done.out)
    assert (value["id"], value["state"], value["why"]) == (1, "succeeded", "to see")
    assert [step["state"] for step in value["steps"]] == ["succeeded", "succeeded"]
    assert Path(value["steps"][0]["log"]).is_file()
    assert "hello world" not in done.err


def test_a_failed_run(shell: Call) -> None:
    done = shell("run", "bad")
    assert (done.code, done.out) == (1, "")
    assert "about to fail" in done.err
    assert "podium logs 1 broken" in done.err
    assert json.loads(shell("show", "-o", "json").out)["steps"][1]["exit_code"] == 7


def test_detached_then_followed_through_its_log(shell: Call) -> None:
    done = shell("run", "ok", "-d")
    assert (done.code, done.out) == (0, "1\n")
    log = shell("logs", "1", "-f")
    assert log.code == 0
    assert "hello | hello world\n" in log.out
    assert log.err == ""
    only = shell("logs", "last", "hello", "--stream", "err")
    assert "oops" in only.out
    assert "hello world" not in only.out
    lines = [json.loads(line) for line in shell("logs", "1", "hello", "-o", "json").out.splitlines()]
    assert {"step", "number", "at", "stream", "text"} == set(lines[0])
    assert ("out", "hello world") in [(line["stream"], line["text"]) for line in lines]


def test_a_progress_bar_is_one_line_in_every_form_of_a_log(shell: Call, home: Path) -> None:
    (home / "bar.sh").write_text("printf 'begun\\n 10%%\\r 50%%\\r100%%\\ndone\\n'\n")
    file = home / "podium.yaml"
    steps = "  bar: {steps: {train: {run: sh bar.sh}}}\n"
    file.write_text(file.read_text().replace("pipelines:\n", f"pipelines:\n{steps}", 1))
    assert shell("run", "bar", "-q").code == 0
    for words in (("logs", "1"), ("logs", "1", "-f"), ("logs", "1", "train")):
        shown = [line.rpartition(" | ")[2].strip() for line in shell(*words).out.splitlines()]
        assert [line for line in shown if line in ("begun", "done") or "%" in line] == ["begun", "100%", "done"], words
    last = shell("logs", "1", "train", "-n", "2").out.splitlines()
    assert [line.rpartition(" | ")[2].strip() for line in last] == ["100%", "done"]


def test_ctrl_c_cancels_the_run(running: Callable[..., subprocess.Popen[str]], journal: Journal) -> None:
    process = running("run", "slow", "-o", "json")
    wait_until(
        lambda: journal.runs.count() and any(step.state is StepState.RUNNING for step in journal.steps.of(1)),
        what="the step runs",
    )
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=scaled(20))
    assert process.returncode == 130, err
    assert "cancelling run 1" in err
    assert state_of(journal, 1) is RunState.CANCELLED
    assert json.loads(out)["state"] == "cancelled"


def test_a_lost_terminal_does_not(running: Callable[..., subprocess.Popen[str]], shell: Call, journal: Journal) -> None:
    process = running("run", "slow")
    wait_until(
        lambda: journal.runs.count() and any(step.state is StepState.RUNNING for step in journal.steps.of(1)),
        what="the step runs",
    )
    os.killpg(process.pid, signal.SIGHUP)
    process.communicate(timeout=scaled(10))
    assert state_of(journal, 1) is RunState.RUNNING
    done = shell("cancel", "1", "--why", "enough")
    assert (done.code, done.out) == (0, "")
    wait_until(lambda: state_of(journal, 1) is RunState.CANCELLED, what="cancelled")
    assert shell("cancel", "1").code == 4


def test_an_approval_without_a_terminal(shell: Call, journal: Journal) -> None:
    done = shell("run", "asks")
    assert (done.code, done.out) == (4, "")
    assert "podium approve 1" in done.err
    approved = shell("approve", "1", "--why", "looks right", "-o", "json")
    assert approved.code == 0
    assert json.loads(approved.out)["step"] == "gated"
    wait_until(lambda: state_of(journal, 1) is RunState.SUCCEEDED, what="it went on")
    assert shell("approve", "1").code in (3, 4)


def test_resume(shell: Call, home: Path) -> None:
    assert shell("run", "bad").code == 1
    text = (home / "podium.yaml").read_text()
    (home / "podium.yaml").write_text(text.replace("exit 7", "exit 0"))
    done = shell("resume", "last")
    assert done.code == 0, done.err
    shown = json.loads(shell("show", "-o", "json").out)
    assert [step["state"] for step in shown["steps"]] == ["succeeded"] * 3
    assert shell("resume", "last").code == 4


def test_a_killed_worker_is_found_while_following(
    running: Callable[..., subprocess.Popen[str]], journal: Journal
) -> None:
    process = running("run", "slow")
    wait_until(
        lambda: journal.runs.count() and any(step.state is StepState.RUNNING for step in journal.steps.of(1)),
        what="the step runs",
    )
    pid = journal.runs.get(1).worker_pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=scaled(20))
    assert process.returncode == 1
    assert "interrupted" in err
    assert "podium resume 1" in err


def test_hostile_output_reaches_no_terminal(shell: Call, home: Path) -> None:
    (home / "podium.yaml").write_text(
        "project: x\npipelines: {p: {steps: {s: {run: 'printf \"a\\033[2Jb\\007\\n\"'}}}}\n"
    )
    done = shell("run")
    assert done.code == 0
    assert "\x1b" not in done.err
    assert "\x07" not in done.err
    assert "\x1b" not in shell("logs").out


def test_several_failed_steps_say_who_said_what_and_the_same_once(shell: Call, home: Path) -> None:
    (home / "podium.yaml").write_text("""\
project: small
pipelines:
  bad:
    steps:
      train:
        matrix: {n: [1, 2, 3, 4, 5]}
        fail_fast: false
        run: "echo no such column >&2; exit 3"
      other: {run: "echo another reason >&2; exit 4"}
""")
    done = shell("run", "bad")
    assert done.code == 1
    tail = done.err[done.err.index("run 1 failed") :].splitlines()
    assert tail[1] == "  train[n=1], train[n=2], train[n=3] and 2 more: no such column"
    assert tail[2] == "  other: another reason"
    assert (
        shell("ps", "-o", "plain").out.rstrip("\n").split("\t")[-1].startswith("step train[n=1]: no such column (exit")
    )


def test_validate_refuses_what_can_only_fail_later(shell: Call, home: Path) -> None:
    (home / "podium.yaml").write_text('project: p\npipelines: {a: {steps: {s: {run: "true", inputs: [gone.py]}}}}\n')
    done = shell("validate")
    assert done.code == 2 and "pipelines.a.steps.s.inputs[0]: `gone.py` does not exist" in done.err
    found = json.loads(shell("validate", "-o", "json").out)
    assert found["valid"] is False and found["problems"][0]["line"] == 2
    assert shell("ps").code == 0 and shell("status").code == 0
    (home / "gone.py").touch()
    assert shell("validate").code == 0
