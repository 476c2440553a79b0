"""Built-in steps: their child process, what they are given, what becomes of their answers. The built-ins are a
package installed for the test."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core import handover
from podium.core.domain.project import Environment, Matrix, Project, StepSpec
from podium.core.domain.runs import RunState, StepState
from podium.core.engine import builtin_process
from podium.core.engine.graph import PlannedStep
from podium.core.engine.plan import operation_step
from podium.core.engine.submit import cancel

from tests.engine.lab import Lab, running, wait_for_file, wait_gone

MODULE = """
    import os, subprocess, sys, time
    from pathlib import Path
    from podium.core.errors import Refused, RunFailed

    def echo(context):
        context.log(f"hello from {context.step}")
        found = {name: [str(up.state), up.key, up.origin_run, dict(up.results)] for name, up in context.upstream.items()}
        return {"options": dict(context.options), "upstream": found, "attempt": context.attempt, "run": context.run.id,
                "nearest": context.upstream_result("version"), "home": str(context.project.home)}

    def version(context):
        context.journal.values.set("seen", context.step)
        return {"version": int(context.options["n"])}

    def refuse(context):
        raise Refused("the environment is locked", hint="wait for anna")

    def gate(context):
        raise RunFailed("gate quality: fail")

    def crash(context):
        raise ZeroDivisionError("oops")

    def die(context):
        os._exit(7)

    def slow(context):
        Path("slow.pid").write_text(str(os.getpid()))
        try:
            time.sleep(60)
        finally:
            Path("undone").write_text("yes")

    def tells(context):
        Path("tells.pid").write_text(str(os.getpid()))
        try:
            time.sleep(60)
        finally:
            for number in range(2_000):
                context.log(f"undoing {number} " + "x" * 100)
            Path("undone").write_text("yes")

    def leave(context):
        child = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        Path("left.pid").write_text(str(child.pid))
        return {}

    def flaky(context):
        if context.attempt < 3:
            raise RunFailed("not yet")
        return {"attempt": context.attempt}
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = tmp_path / "site"
    info = runtime / "teststeps-1.0.dist-info"
    info.mkdir(parents=True)
    (runtime / "teststeps.py").write_text(textwrap.dedent(MODULE))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: teststeps\nVersion: 1.0\n")
    names = ("echo", "version", "refuse", "gate", "crash", "die", "slow", "tells", "leave", "flaky")
    entry = "\n".join(f"t-{name} = teststeps:{name}" for name in names)
    (info / "entry_points.txt").write_text(f"[podium.steps]\n{entry}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(runtime), os.environ.get("PYTHONPATH")])))


def project_with(lab: Lab, *steps: StepSpec) -> Project:
    project = lab.pipeline('a: {run: "true"}')
    return replace(
        project, pipelines={"main": replace(project.pipelines["main"], steps={step.name: step for step in steps})}
    )


def uses(name: str, what: str, *needs: str, **fields: Any) -> StepSpec:
    options: Mapping[str, Any] = fields.pop("options", {})
    return StepSpec(name, uses=f"t-{what}", needs=needs, options=options, **fields)


def test_a_built_in_sees_all_that_came_before_it(lab: Lab) -> None:
    lab.write("in", "1")
    project = project_with(
        lab,
        StepSpec("train", run="true", inputs=("in",), matrix=Matrix({"d": (1, 2)})),
        uses("register", "version", "train", options={"n": 7}),
        uses("between", "echo", "register"),
        uses("last", "echo", "between", options={"environment": "staging", "deep": {"list": [1, 2]}}),
    )
    first, _ = lab.run(project)
    run, steps = lab.run(project)
    assert run.state is RunState.SUCCEEDED, [step.message for step in steps.values()]
    results = steps["last"].results
    assert results["options"] == {"environment": "staging", "deep": {"list": [1, 2]}}
    assert list(results["upstream"]) == ["between", "register", "train[d=1]", "train[d=2]"]
    key = steps["train[d=1]"].key
    assert results["upstream"]["train[d=1]"] == ["succeeded", key, first.id, {}]
    assert (results["nearest"], results["run"], results["home"]) == (7, run.id, str(lab.home))
    assert "hello from last" in lab.log(run.id, "last")
    assert lab.journal.values.get("seen") == "register"
    left = (lab.home / f".podium/runs/{run.id}").glob("*.json")
    assert not [path for path in left if not path.name.endswith(".key.json")], (
        "only what the step's key is made of stays"
    )


@pytest.mark.parametrize(
    ("what", "message", "code"),
    [
        ("refuse", "the environment is locked\nwait for anna", 4),
        ("gate", "gate quality: fail", 1),
        ("crash", "t-crash failed unexpectedly: ZeroDivisionError: oops", 1),
        ("die", "exit code 7", None),
        ("unknown", "there is no built-in step 't-unknown'", 5),
    ],
)
def test_how_built_ins_fail(lab: Lab, what: str, message: str, code: int | None) -> None:
    run, steps = lab.run(project_with(lab, uses("a", what)))
    assert run.state is RunState.FAILED
    assert steps["a"].message.startswith(message)
    assert steps["a"].results.get("exit_code") == code


def test_retries_and_time_out_hold_for_built_ins_too(lab: Lab) -> None:
    run, steps = lab.run(project_with(lab, uses("a", "flaky", retries=3, backoff=0.01)))
    assert (run.state, steps["a"].results) == (RunState.SUCCEEDED, {"attempt": 3})
    run, steps = lab.run(project_with(lab, uses("a", "slow", timeout=4.0)))
    assert run.state is RunState.FAILED
    assert steps["a"].message.startswith("timed out after 4 s")
    assert (lab.home / "undone").exists()


def test_cancel_lets_a_built_in_undo(lab: Lab) -> None:
    run = lab.start(project_with(lab, uses("a", "slow")))
    pid = int(wait_for_file(lab.home / "slow.pid"))
    cancel(lab.journal, run.id, "anna")
    run, steps = lab.finish(run.id)
    assert (run.state, steps["a"].state) == (RunState.CANCELLED, StepState.CANCELLED)
    assert (lab.home / "undone").exists()
    wait_gone(pid)


def test_a_built_in_ends_with_a_killed_worker(lab: Lab) -> None:
    run = lab.start(project_with(lab, uses("a", "slow")))
    pid = int(wait_for_file(lab.home / "slow.pid"))
    lab.kill_worker(run.id)
    wait_gone(pid)
    assert (lab.home / "undone").exists()


@pytest.mark.parametrize("preload", ["", "off"])
def test_a_built_in_whose_words_nobody_reads_any_more_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, preload: str
) -> None:
    if preload:
        monkeypatch.setenv("PODIUM_PRELOAD", preload)
    run = lab.start(project_with(lab, uses("a", "tells")))
    pid = int(wait_for_file(lab.home / "tells.pid"))
    os.kill(lab.journal.runs.get(run.id).worker_pid or 0, 9)
    wait_gone(pid)
    assert (lab.home / "undone").read_text() == "yes"


def test_what_a_built_in_starts_stays(lab: Lab) -> None:
    project = project_with(lab, uses("serve", "leave"), StepSpec("after", run="true", needs=("serve",)))
    run, _steps = lab.run(project)
    assert run.state is RunState.SUCCEEDED
    pid = int((lab.home / "left.pid").read_text())
    try:
        assert running(pid)
        assert b"PODIUM_RUN=" not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        os.kill(pid, 9)


def test_an_operation_is_one_step_of_that_name(lab: Lab) -> None:
    from podium.core.engine.submit import submit_operation

    project = replace(lab.pipeline('a: {run: "true"}'), environments={"prod": Environment("prod")})
    run = submit_operation(project, lab.journal, "promote", "prod", params={"version": "3"}, who="anna", why="better")
    step: PlannedStep = operation_step(run, project)
    assert (step.name, step.spec.uses, step.options) == (
        "promote",
        "promote",
        {"target": "prod", "environment": "prod", "version": "3"},
    )
    found, steps = lab.finish(run.id)
    assert list(steps) == ["promote"]
    assert (found.kind, found.name, found.why, found.jobs) == ("promote", "prod", "better", 1)
    assert any(
        (entry.action, entry.subject) == ("promote", f"prod (run {run.id})") for entry in lab.journal.audit.page()
    )


def test_a_project_is_handed_over_in_memory_only(lab: Lab) -> None:
    project = lab.pipeline('a: {run: "true"}')
    descriptor = handover.pack(project)
    try:
        assert os.fstat(descriptor).st_nlink == 0
        assert handover.unpack(Project, descriptor) == project
    finally:
        os.close(descriptor)
    (lab.home / "evil").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with (lab.home / "evil").open("rb") as file:
        assert handover.unpack(Project, file.fileno()) is None
    null = os.open(os.devnull, os.O_RDONLY)
    assert handover.unpack(Project, null) is None
    os.close(null)


def test_an_answer_is_for_the_owners_eyes_only(tmp_path: Path) -> None:
    """Whatever this user's umask lets others read."""
    before = os.umask(0o002)
    try:
        builtin_process._write(tmp_path / "one.result.json", {"results": {"version": 7}})
    finally:
        os.umask(before)
    assert builtin_process.read_result(tmp_path / "one.result.json") == {"results": {"version": 7}}
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.glob("one.*")] == [("one.result.json", 0o600)]


def test_an_operation_may_be_about_anything(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.core.engine.submit import submit_operation

    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    project = lab.pipeline('a: {run: "true"}')
    run = submit_operation(project, lab.journal, "t-echo", "stack network", params={"size": "3"}, who="anna")
    found, steps = lab.finish(run.id)
    assert (found.kind, found.name, found.is_operation, found.state) == (
        "t-echo",
        "stack network",
        True,
        RunState.SUCCEEDED,
    )
    assert steps["t-echo"].results["options"] == {"target": "stack network", "size": "3"}
