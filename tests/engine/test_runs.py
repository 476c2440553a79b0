"""Runs end to end, with real workers and real processes."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.models import TAG_KEY, TAG_RUN, TAG_STEP
from podium.core.domain.runs import RunState, StepState
from podium.core.engine.submit import approve, cancel, resume
from podium.core.errors import NotFound, Refused, UsageError

from tests.engine.lab import Lab, running, wait_for_file, wait_gone
from tests.support import wait_until


def test_steps_run_in_order_and_all_is_on_record(lab: Lab) -> None:
    lab.pipeline("""
a: {run: "echo one; echo two >&2"}
b: {run: "echo b", needs: [a]}
""")
    run, steps = lab.run(why="because")
    assert (run.state, run.message, run.who, run.why) == (RunState.SUCCEEDED, "", "tester", "because")
    assert run.created <= (run.started or 0) <= (run.ended or 0)
    assert steps["a"].state is StepState.SUCCEEDED
    assert steps["a"].exit_code == 0
    assert (steps["a"].ended or 0) <= (steps["b"].started or 0) + 0.001
    assert lab.log(run.id, "a", "o") == "one"
    assert lab.log(run.id, "a", "e") == "two"
    assert [entry.action for entry in lab.journal.audit.page()] == ["run"]
    assert not running(run.worker_pid) or wait_gone(run.worker_pid or 0) is None


def test_a_failure_stops_what_needs_it_and_nothing_else(lab: Lab) -> None:
    lab.pipeline("""
bad: {run: "echo reason >&2; exit 3"}
after: {run: "true", needs: [bad]}
later: {run: "true", needs: [after]}
other: {run: "sleep 0.2"}
beside: {run: "true", needs: [other]}
""")
    run, steps = lab.run()
    assert run.state is RunState.FAILED
    assert run.message == "step bad: reason (exit code 3)"
    assert {name: str(step.state) for name, step in steps.items()} == {
        "bad": "failed",
        "after": "skipped",
        "later": "skipped",
        "other": "succeeded",
        "beside": "succeeded",
    }
    assert steps["bad"].message == "exit code 3\nreason"
    assert steps["bad"].exit_code == 3
    assert steps["after"].message == "needs bad, which failed"
    assert steps["later"].message == "needs after, which was skipped"


def test_an_allowed_failure_and_conditions(lab: Lab) -> None:
    lab.pipeline(
        """
lint: {run: "exit 1", allow_failure: true}
build: {run: "true", needs: [lint]}
never: {run: "true", when: "params.mode == 'full'"}
after-never: {run: "true", needs: [never]}
broken: {run: "exit 1", allow_failure: true}
report: {run: "true", needs: [broken], when: "failed()"}
by-name: {run: "true", needs: [lint], when: "needs.lint.state == 'failed'"}
always: {run: "true", needs: [after-never], when: "always()"}
pushed: {run: "true", when: "trigger == 'push'"}
cells: {run: "true", matrix: {n: [1, 2]}, when: "matrix.n == 2"}
""",
        extra='params: {mode: "quick"}',
    )
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    done = {name for name, step in steps.items() if step.state is StepState.SUCCEEDED}
    assert done == {"build", "report", "by-name", "always", "cells[n=2]"}
    assert steps["never"].message == "its condition does not hold: params.mode == 'full'"
    _, steps = lab.run(params={"mode": "full"})
    assert {steps["never"].state, steps["after-never"].state} == {StepState.SUCCEEDED}


def test_as_many_at_once_as_jobs_allow(lab: Lab) -> None:
    lab.pipeline(
        "work: {run: 'mkdir now-${{ matrix.n }}; echo now-* | wc -w; sleep 0.1; rmdir now-${{ matrix.n }}', matrix: {n:"
        " [1, 2, 3, 4, 5, 6]}}"
    )
    run, steps = lab.run(jobs=3)
    seen = [int(lab.log(run.id, name)) for name in steps]
    assert run.state is RunState.SUCCEEDED
    assert 1 < max(seen) <= 3
    run, steps = lab.run(jobs=1)
    assert {lab.log(run.id, name) for name in steps} == {"1"}


def test_the_environment_of_a_step(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING_OF_MINE", "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    lab.pipeline('a: {run: "env -0 > seen", env: {MINE: "b", PODIUM_RUN: "x"}}', extra="env: {MINE: a, OTHER: o}")
    run, steps = lab.run()
    seen = dict(pair.split("=", 1) for pair in (lab.home / "seen").read_text().split("\0") if pair)
    assert "SOMETHING_OF_MINE" not in seen
    assert (seen["MINE"], seen["OTHER"], seen["HTTPS_PROXY"]) == ("b", "o", "http://proxy:1")
    assert (seen["PODIUM_RUN"], seen["PODIUM_STEP"], seen["PODIUM_STEP_KEY"]) == (str(run.id), "a", steps["a"].key)
    assert (seen["PODIUM_ROOT"], seen["PODIUM_HOME"]) == (str(lab.home), str(lab.home))
    assert seen["MLFLOW_TRACKING_URI"] == lab.project.mlflow.tracking_uri
    tags = json.loads(seen["MLFLOW_RUN_CONTEXT"])
    assert (tags[TAG_RUN], tags[TAG_STEP], tags[TAG_KEY]) == (str(run.id), "a", steps["a"].key)
    import sys

    assert seen["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_no_value_becomes_shell(lab: Lab) -> None:
    lab.pipeline(
        """a: {run: "printf '%s' ${{ params.x }} > got; printf '%s' '${{ params.x }}' > got2"}""",
        extra='params: {x: "1"}',
    )
    evil = "'; touch owned; echo $(touch owned) `touch owned` \" ä \n &"
    run, _ = lab.run(params={"x": evil})
    assert run.state is RunState.SUCCEEDED
    assert (lab.home / "got").read_text() == (lab.home / "got2").read_text() == evil
    assert not (lab.home / "owned").exists()


def test_retries_go_on_after_a_while(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo x >> tries; test $(wc -l < tries) -ge 3", retries: 3, backoff: 50ms}')
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    assert steps["a"].attempt == 3
    assert "attempt 1 of 4: exit code 1; again in 0.05 s" in lab.log(run.id, "a", "p")
    lab.pipeline('a: {run: "echo x >> more; exit 1", retries: 1, backoff: 10ms}')
    run, steps = lab.run()
    assert (run.state, steps["a"].attempt) == (RunState.FAILED, 2)
    assert (lab.home / "more").read_text().count("x") == 2


def test_cancel_ends_what_runs_and_what_would_run(lab: Lab) -> None:
    lab.pipeline("""
long: {run: "sleep 60 & echo $! > pid; wait"}
next: {run: "true", needs: [long]}
""")
    run = lab.start()
    pid = int(wait_for_file(lab.home / "pid"))
    cancel(lab.journal, run.id, "anna", why="wrong data")
    run, steps = lab.finish(run.id)
    assert (run.state, run.message) == (RunState.CANCELLED, "cancelled by anna: wrong data")
    assert {step.state for step in steps.values()} == {StepState.CANCELLED}
    wait_gone(pid)
    with pytest.raises(Refused, match="is over"):
        cancel(lab.journal, run.id, "anna")


def test_a_run_that_is_cancelled_before_its_worker_listens_is_cancelled(lab: Lab) -> None:
    lab.pipeline('wait: {run: "sleep 30"}')
    for pause in (0.0, 0.02, 0.05):
        run = lab.start()
        time.sleep(pause)
        cancel(lab.journal, run.id, "anna", "a slip of the finger")
        ended, steps = lab.finish(run.id, timeout=10)
        assert (
            ended.state is RunState.CANCELLED and "anna" in ended.message and steps["wait"].state is StepState.CANCELLED
        )


def test_sigterm_to_the_worker_cancels(lab: Lab) -> None:
    import signal

    lab.pipeline('long: {run: "echo > started; sleep 60", retries: 5}')
    run = lab.start()
    wait_until((lab.home / "started").exists)
    os.kill(lab.journal.runs.get(run.id).worker_pid or 0, signal.SIGTERM)
    run, _steps = lab.finish(run.id)
    assert run.state is RunState.CANCELLED
    assert "told to end" in run.message


def test_cancelling_during_the_pause_before_a_retry(lab: Lab) -> None:
    lab.pipeline('a: {run: "exit 1", retries: 5, backoff: 1m}')
    run = lab.start()
    wait_until(lambda: "again in" in lab.steps(run.id)["a"].message)
    cancel(lab.journal, run.id, "anna")
    run, steps = lab.finish(run.id, timeout=5)
    assert (run.state, steps["a"].state) == (RunState.CANCELLED, StepState.CANCELLED)


APPROVED = """
first: {run: "true"}
ship: {run: "echo shipped", needs: [first], approval: required}
side: {run: "true"}
"""


def test_a_step_waits_for_a_person(lab: Lab) -> None:
    lab.pipeline(APPROVED)
    run = lab.start()
    lab.transport(run.id, RunState.WAITING)
    assert lab.steps(run.id)["ship"].state is StepState.WAITING
    assert lab.journal.runs.get(run.id).message == "waits for approval of ship"
    with pytest.raises(Refused, match="is not waiting"):
        approve(lab.journal, run.id, "first", who="anna")
    approval = approve(lab.journal, run.id, None, who="anna", why="looks good")
    assert (approval.step, approval.who) == ("ship", "anna")
    run, _steps = lab.finish(run.id, timeout=5)
    assert run.state is RunState.SUCCEEDED
    assert lab.log(run.id, "ship") == "shipped"


def test_a_waiting_worker_notices_an_approval_that_nobody_told_it_of(lab: Lab) -> None:
    lab.pipeline(APPROVED)
    run = lab.start()
    lab.transport(run.id, RunState.WAITING)
    lab.journal.runs.approve(run.id, "ship", "anna")
    assert lab.finish(run.id, timeout=5)[0].state is RunState.SUCCEEDED


def test_a_step_that_nobody_approves_in_time_fails(lab: Lab) -> None:
    lab.pipeline(APPROVED.replace("approval: required", "approval: required, approval_timeout: 300ms"))
    run, steps = lab.run()
    assert run.state is RunState.FAILED
    assert steps["ship"].message.startswith("nobody approved it within 0.3s")


def test_an_approval_that_has_expired_does_not_count(lab: Lab) -> None:
    lab.pipeline(APPROVED)
    run = lab.start()
    lab.journal.runs.approve(run.id, "ship", "anna")
    lab.journal._database.run("UPDATE approvals SET at = ?", (run.created - 8 * 86400,))
    lab.transport(run.id, RunState.WAITING)
    wait_until(lambda: lab.journal.runs.approval(run.id, "ship") is None, what="it is taken back")
    lab.journal.runs.approve(run.id, "ship", "ben")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


def test_a_waiting_run_can_be_cancelled_and_survives_its_worker(lab: Lab) -> None:
    lab.pipeline(APPROVED)
    run = lab.start()
    lab.transport(run.id, RunState.WAITING)
    lab.kill_worker(run.id)
    with pytest.raises(Refused, match="it is interrupted") as caught:
        approve(lab.journal, run.id, None, who="anna")
    assert f"podium resume {run.id}" in caught.value.hint
    resume(lab.project, lab.journal, run.id, "anna")
    lab.transport(run.id, RunState.WAITING)
    cancel(lab.journal, run.id, "anna")
    assert lab.finish(run.id)[0].state is RunState.CANCELLED


def test_resume_goes_on_after_the_last_finished_step(lab: Lab) -> None:
    lab.pipeline("""
a: {run: "echo a >> done"}
b: {run: "echo b >> done; test -e fixed", needs: [a]}
c: {run: "echo c >> done", needs: [b]}
""")
    run, steps = lab.run()
    assert (run.state, steps["c"].state) == (RunState.FAILED, StepState.SKIPPED)
    lab.write("fixed", "")
    resume(lab.project, lab.journal, run.id, "anna")
    run, steps = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED
    assert (lab.home / "done").read_text().split() == ["a", "b", "b", "c"]
    with pytest.raises(Refused, match="nothing left to do"):
        resume(lab.project, lab.journal, run.id, "anna")


def test_a_cancelled_run_resumes(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo > started; test -e quick || sleep 60"}')
    run = lab.start()
    wait_until((lab.home / "started").exists)
    with pytest.raises(Refused, match="is running"):
        resume(lab.project, lab.journal, run.id, "anna")
    cancel(lab.journal, run.id, "anna")
    assert lab.finish(run.id)[0].state is RunState.CANCELLED
    lab.write("quick", "")
    resume(lab.project, lab.journal, run.id, "anna")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


def test_resume_uses_commands_as_they_are_now_but_not_other_steps(lab: Lab) -> None:
    lab.pipeline('a: {run: "exit 1"}')
    run, _ = lab.run()
    lab.pipeline('a: {run: "echo better"}')
    resume(lab.project, lab.journal, run.id, "anna")
    run, steps = lab.finish(run.id)
    assert (run.state, steps["a"].command) == (RunState.SUCCEEDED, "echo better")
    lab.pipeline('a: {run: "exit 1"}')
    run, _ = lab.run()
    lab.pipeline('a: {run: "exit 1"}\nb: {run: "true"}')
    resume(lab.project, lab.journal, run.id, "anna")
    run, _ = lab.finish(run.id)
    assert run.state is RunState.FAILED
    assert "other steps now" in run.message
    assert "podium run main" in run.message


def test_what_cannot_be_started_is_refused_before_anything_is_written(lab: Lab) -> None:
    project = lab.pipeline('a: {run: "true"}')
    with pytest.raises(NotFound, match="no pipeline 'nope'"):
        from podium.core.engine.submit import submit_pipeline

        submit_pipeline(project, lab.journal, "nope", who="x")
    with pytest.raises(UsageError, match="no parameter"):
        lab.start(params={"x": "1"})
    with pytest.raises(UsageError, match="at least one job"):
        lab.start(jobs=0)
    with pytest.raises(UsageError, match="'levitate' is not an operation"):
        from podium.core.engine.submit import submit_operation

        submit_operation(project, lab.journal, "levitate", "prod", who="x")
    assert lab.journal.runs.count() == 0


def test_a_missing_executor_fails_the_step_with_advice(lab: Lab) -> None:
    project = lab.pipeline('a: {run: "true"}')
    pipeline = project.pipelines["main"]
    spec = replace(pipeline.steps["a"], executor="moon")
    project = replace(project, pipelines={"main": replace(pipeline, steps={"a": spec})})
    run, steps = lab.run(project)
    assert run.state is RunState.FAILED
    assert "no executor 'moon'" in steps["a"].message
    assert "process" in steps["a"].message


def test_secrets_are_masked_in_logs_and_messages(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "tok-12345-secret")
    lab.pipeline('a: {run: "echo $T; echo bad $T >&2; exit 1", env: {T: "${MY_API_TOKEN}"}}')
    run, steps = lab.run()
    assert lab.log(run.id, "a", "o") == "***"
    assert steps["a"].message == "exit code 1\nbad ***"
    everything = b"".join(path.read_bytes() for path in (lab.home / ".podium").rglob("*") if path.is_file())
    assert b"tok-12345-secret" not in everything


def test_secrets_are_masked_before_anything_is_cut_off(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_TOKEN", "abcd")
    monkeypatch.setenv("SECOND_TOKEN", "abcd-and-the-rest-of-a-longer-one")
    env = 'env: {A: "${FIRST_TOKEN}", B: "${SECOND_TOKEN}"}'
    lines = (f"x{'=' * 280} $B", f"$B{'=' * 9000} end", "depth $A $B")
    lab.pipeline("\n".join(f'a{n}: {{run: "echo \\"{line}\\" >&2; exit 1", {env}}}' for n, line in enumerate(lines)))
    _, steps = lab.run()
    said = [steps[f"a{n}"].message.partition("\n")[2] for n in range(3)]
    assert said == [f"x{'=' * 280} ***", "end", "depth *** ***"]


def test_a_secret_that_is_a_parameters_default_stays_out_of_the_journal(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "hunter2-and-more")
    extra = 'params: {token: "${API_TOKEN}", n: "1"}'
    lab.pipeline(
        'a: {run: "test ${{ params.token }} = hunter2-and-more; test -e may-go-on", when: "params.n == 1"}', extra=extra
    )
    run, steps = lab.run()
    assert run.state is RunState.FAILED and run.params == {"n": "1"}
    assert steps["a"].command == "test '***' = hunter2-and-more; test -e may-go-on".replace("hunter2-and-more", "***")
    lab.write("may-go-on", "")
    resume(lab.project, lab.journal, run.id, "anna")
    run, steps = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED
    assert b"hunter2" not in b"".join(path.read_bytes() for path in (lab.home / ".podium").rglob("*") if path.is_file())


def test_files_of_a_run_are_for_their_owner_only(lab: Lab) -> None:
    lab.pipeline('a: {run: "date > out", outputs: [out]}')
    lab.run()
    for path in (lab.home / ".podium").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_cell_that_fails_stops_the_others(lab: Lab) -> None:
    """The first one fails once the second is at work; the third would be next, the fourth waits for a person."""
    lab.pipeline("""
train:
  matrix: {n: [1, 2, 3]}
  run: "case ${{ matrix.n }} in 1) until test -e begun; do sleep 0.05; done; echo no such column >&2; exit 3;;
    *) touch begun; sleep 600;; esac"
other: {run: "true"}
after: {run: "true", needs: [train]}
""")
    run, steps = lab.run(jobs=2)
    assert run.state is RunState.FAILED
    assert {name: str(step.state) for name, step in steps.items()} == {
        "train[n=1]": "failed",
        "train[n=2]": "cancelled",
        "train[n=3]": "cancelled",
        "other": "succeeded",
        "after": "skipped",
    }
    assert steps["train[n=2]"].message == steps["train[n=3]"].message == "stopped because train[n=1] failed (fail_fast)"
    assert steps["train[n=3]"].started is None
    assert run.message == "step train[n=1]: no such column (exit code 3)"


def test_fail_fast_stops_cells_that_wait_for_a_person_or_for_their_next_attempt(lab: Lab) -> None:
    lab.pipeline("""
train:
  matrix: {n: [1, 2]}
  run: "if test ${{ matrix.n }} = 1; then exit 3; fi; until test -e never; do sleep 0.05; done"
asks:
  approval: required
  matrix: {n: [1, 2]}
  needs: []
  run: "exit 4"
again:
  matrix: {n: [1, 2]}
  retries: 1
  backoff: 1h
  run: "if test ${{ matrix.n }} = 1; then exit 5; fi; until test -e never; do sleep 0.05; done"
""")
    started = lab.start(jobs=8)
    wait_until(lambda: sum(step.state is StepState.WAITING for step in lab.journal.steps.of(started.id)) == 2)
    approve(lab.journal, started.id, "asks[n=1]", who="anna")
    wait_until(lambda: lab.steps(started.id)["asks[n=2]"].state is StepState.CANCELLED)
    wait_until(lambda: "again in" in lab.steps(started.id)["again[n=1]"].message)
    # It may succeed yet, so the other one goes on.
    assert lab.steps(started.id)["again[n=2]"].state is StepState.RUNNING
    cancel(lab.journal, started.id, who="anna")
    lab.finish(started.id)


@pytest.mark.parametrize("keys", ["fail_fast: false", "allow_failure: true"])
def test_cells_run_to_their_end_where_nothing_else_is_wanted(lab: Lab, keys: str) -> None:
    lab.pipeline(f"""
train: {{matrix: {{n: [1, 2]}}, run: "if test ${{{{ matrix.n }}}} = 1; then touch ended; exit 3; fi; until test -e ended;
  do sleep 0.05; done", {keys}}}
""")
    _, steps = lab.run(jobs=2)
    assert {name: str(step.state) for name, step in steps.items()} == {
        "train[n=1]": "failed",
        "train[n=2]": "succeeded",
    }


def test_resume_starts_the_cells_that_were_stopped(lab: Lab) -> None:
    lab.pipeline("""
train: {matrix: {n: [1, 2]}, run: "test -e mended || exit 3; echo done"}
""")
    run, steps = lab.run(jobs=1)
    assert [str(step.state) for step in steps.values()] == ["failed", "cancelled"]
    (lab.home / "mended").touch()
    resume(lab.project, lab.journal, run.id, who="anna")
    run, steps = lab.finish(run.id)
    assert run.state is RunState.SUCCEEDED and all(step.state is StepState.SUCCEEDED for step in steps.values())


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo reason >&2; exit 3", "reason (exit code 3)"),
        ("echo one test failed; exit 1", "one test failed (exit code 1)"),
        ("exit 3", "exit code 3"),
        ("kill -9 $$", "ended by signal 9 (SIGKILL)"),
        (
            "printf 'Traceback (most recent call last):\\n  File x\\n    y\\nKeyError: 1\\n"
            "/usr/lib/multiprocessing: leaked semaphores\\n' >&2; exit 1",
            "KeyError: 1 (exit code 1)",
        ),
    ],
)
def test_a_runs_reason_is_the_line_that_says_why(lab: Lab, command: str, reason: str) -> None:
    lab.pipeline(f"bad: {{run: {json.dumps(command)}}}")
    run, _ = lab.run()
    assert run.message == f"step bad: {reason}"


def test_what_podium_hands_to_steps_is_masked_in_each_form(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "t0ken/of-the&server"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    (lab.home / "host.token").write_text("ghp_of-the-host")
    (lab.home / "host.token").chmod(0o600)
    project = lab.pipeline(
        """
tell:
  run: |
    echo "plain $MLFLOW_TRACKING_TOKEN"; printf %s "user:$MLFLOW_TRACKING_TOKEN" | base64
    cat "$PODIUM_HOME/host.token"; echo; echo "$MLFLOW_TRACKING_TOKEN is wrong" >&2; exit 3
"""
    )
    file = lab.home / "podium.yaml"
    file.write_text(file.read_text() + "git: {host: {kind: github, repo: a/b, token_file: host.token}}\n")
    run, steps = lab.run(lab.project)
    assert run.state is RunState.FAILED and project is not None
    seen = lab.log(run.id, "tell") + steps["tell"].message + lab.worker_log(run.id)
    assert "t0ken" not in seen and "ghp_of" not in seen and "dDBrZW4" not in seen and "plain ***" in seen
