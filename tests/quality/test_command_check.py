"""`run:` checks: a command's metrics, and every way in which there may be none."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from podium.core.domain.gates.checks import CommandCheck, Limits
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Gate, Git, Mlflow, Project
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.engine.context import StepContext
from podium.core.identity.processes import started_at
from podium.core.quality.outside.command import MAX_DOCUMENT_BYTES, gate_check

from tests.support import wait_until

SECRET = "hunter2hunter2"
Judge = Callable[..., Sequence[CheckResult]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    gate = Gate("quality", "data/test.csv", "late", ())
    project = Project(
        "p", tmp_path, tmp_path, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {"quality": gate}, {}, {}, {}, {},
        env={"TOKEN": SECRET}, secrets=(SECRET,), nice=0,
    )  # fmt: skip
    run = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0, commit="c0ffee1")

    def carry_out(command: str, timeout: float = 60.0, **limits: Limits) -> Sequence[CheckResult]:
        spec = CommandCheck(command, limits or {"profit": Limits(at_least=3)}, timeout)
        context = StepContext(project, run, "gate", {"gate": "quality"})
        return gate_check(context, Check("run", command=spec), Version("m", 4, 0.0, mlflow_run="abc"))

    return carry_out


def test_the_document_is_judged_metric_by_metric(judge: Judge) -> None:
    command = """echo '{"profit": 3.5, "cost": 7, "odd": "x", "nan": NaN, "huge": 1%s}'""" % ("0" * 400)
    limits = {
        "profit": Limits(at_least=3),
        "cost": Limits(at_least=1, at_most=6),
        "odd": Limits(at_most=1),
        "nan": Limits(at_most=1),
        "gone": Limits(at_most=1),
        "huge": Limits(at_most=1),
    }
    found = {each.name.split()[0]: each for each in judge(command, **limits)}
    assert [each.verdict for each in found.values()] == [Verdict.PASS, Verdict.FAIL, *[Verdict.ERROR] * 4]
    assert (found["profit"].name, found["profit"].value, found["profit"].low) == ("profit ≥ 3", 3.5, None)
    assert "without an interval" in found["profit"].message and "7 is above 6" in found["cost"].message
    assert "printed no 'gone'" in found["gone"].message


def test_what_is_printed_before_the_last_line_is_no_harm(judge: Judge) -> None:
    assert judge("echo loading; echo '{\"profit\": 4}'")[0].verdict is Verdict.PASS


def test_the_command_knows_what_it_is_about(judge: Judge, tmp_path: Path) -> None:
    names = ("PODIUM_MODEL", "PODIUM_VERSION", "PODIUM_MODEL_RUN", "PODIUM_GATE_DATA", "PODIUM_STEP", "TOKEN")
    told = " ".join(f"${name}" for name in names)
    assert judge(f'echo "{told}" > told; pwd >> told; echo \'{{"profit": 4}}\'')[0].verdict is Verdict.PASS
    assert (tmp_path / "told").read_text().splitlines() == [f"m 4 abc data/test.csv gate {SECRET}", str(tmp_path)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo no json", "printed no JSON object of metrics, but 'no json'"),
        ("echo '[1]'", "printed no JSON object"),
        (":", "but 'nothing'"),
        ("echo last words >&2; exit 3", "failed with exit code 3: last words"),
        ("kill -9 $$", "was ended by signal 9"),
        ("no-such-program", "failed with exit code 127"),
        ("yes | head -c 3000000", "printed more than 1 MiB"),
        ("printf '\\033[31m{'", "printed no JSON object"),
        ("false; echo '{\"profit\": 4}'", "failed with exit code 1"),
    ],
)
def test_a_command_without_metrics_is_an_error(judge: Judge, command: str, words: str) -> None:
    (found,) = judge(command)
    assert found.verdict is Verdict.ERROR and words in found.message and "\033" not in found.message, found.message
    assert MAX_DOCUMENT_BYTES == 1 << 20


def test_secrets_are_masked_in_what_is_kept(judge: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("echo $TOKEN", "echo $TOKEN >&2; exit 1", f"exit 1 # {SECRET}"):
        (found,) = judge(command)
        assert SECRET not in found.message + found.name and found.verdict is Verdict.ERROR
    assert "***" in judge("echo $TOKEN")[0].message
    for document in ('{\\"$TOKEN\\": 1}', '{\\"profit\\": \\"$TOKEN\\"}'):
        (found,) = judge(f'echo "{document}"')
        assert found.verdict is Verdict.ERROR and SECRET not in found.message and "***" in found.message


def test_a_command_that_does_not_end_is_ended_with_all_it_started(judge: Judge, tmp_path: Path) -> None:
    (found,) = judge("sleep 600 & echo $! > pid; sleep 600", timeout=1.0)
    assert "did not end within 1 s" in found.message and found.verdict is Verdict.ERROR
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: started_at(pid) is None)


def test_what_it_leaves_running_does_not_hold_the_gate(judge: Judge, tmp_path: Path) -> None:
    (found,) = judge("sleep 600 & echo $! > pid; echo '{\"profit\": 4}'")
    assert found.verdict is Verdict.PASS
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: started_at(pid) is None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)
