"""Models that are judged in processes of their own: code of one name, models that end, hang or print."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Gate, Git, Mlflow, Project
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.errors import Interrupted
from podium.core.identity.processes import started_at
from podium.core.quality import evaluate as evaluating
from podium.core.quality import subjects
from podium.core.quality.evaluate import evaluate

from tests.runner.scale import scaled
from tests.support import wait_until

SECRET = "very secret"
ERROR = Check("metric", metric="rmse", at_most=0.1)
AGAINST = Check("metric", metric="rmse", compare="champion", margin=0.01)
LATENCY = Check("latency", percentile="p95", at_most=5.0)

# What `predict` and `load_context` of a model do, by its name.
PREDICTS = {
    "good": "return model_input['x'].to_numpy() * 1.0",
    "exits": "print('last words', file=sys.stderr, flush=True); os._exit(3)",
    "segfaults": "ctypes.string_at(0)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "hangs": "pathlib.Path(os.environ['HANGING']).write_text(str(os.getpid())); time.sleep(600)",
    "leaves": "raise SystemExit(3)",
    "noisy": """
        sys.stdout.write('x' * 3_000_000); sys.stdout.flush(); sys.stderr.write('y' * 3_000_000)
        os.write(1, b'{}' * 99_999); sys.stdin.read(); return model_input['x'].to_numpy() * 1.0
    """,
    "forges": """
        for descriptor in {int(name) for name in os.listdir('/proc/self/fd')} - {0, 1, 2}:
            try: os.write(descriptor, b'\\xff' * 64)
            except OSError: pass
        return model_input['x'].to_numpy() * 1.0
    """,
    "forks": """
        if (pid := os.fork()) == 0: time.sleep(600)
        pathlib.Path(os.environ['HANGING']).write_text(str(pid))
        os._exit(4)
    """,
    "rewrites": """
        with open(os.environ['DATA'], 'ab') as file: file.write(b'1')
        return model_input['x'].to_numpy() * 1.0
    """,
    "tells": "raise ValueError('x' * 103 + 'very secret' + 'y' * 400)",
    "long": "raise ValueError('\\n'.join(['a table:', *['0 1 2 3'] * 200, 'column n is int64, not int32']))",
    "exits-on-one-row": """
        if len(model_input) == 1: os._exit(5)
        return model_input['x'].to_numpy() * 1.0
    """,
}


def save(home: Path, code: str, **more: object) -> None:
    """Saves a model whose code is text, so that no class of this process is pickled."""
    home.parent.mkdir(parents=True, exist_ok=True)
    script = home.with_suffix(".py")
    script.write_text(textwrap.dedent(code))
    import mlflow

    mlflow.pyfunc.save_model(str(home), python_model=str(script), pip_requirements=[], **more)


def model_code(body: str) -> str:
    lines = textwrap.indent(textwrap.dedent(body).strip(), " " * 8)
    return (
        "import ctypes, os, pathlib, signal, sys, time\nimport mlflow\n"
        "class Model(mlflow.pyfunc.PythonModel):\n"
        f"    def predict(self, context, model_input, params=None):\n{lines}\n"
        "mlflow.models.set_model(Model())\n"
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("models")
    for name, body in PREDICTS.items():
        save(home / name, model_code(body))
    for name, factor in (("plus", 1), ("minus", -1)):
        folder = home / f"code-{name}"
        folder.mkdir()
        (folder / "prep.py").write_text(
            f"FACTOR = {factor}\nclass Scaler:\n    def scaled(self, x):\n        return x * FACTOR\n"
        )
        body = "import prep\nreturn prep.Scaler().scaled(model_input['x'].to_numpy() * 1.0)"
        save(home / name, model_code(body), code_paths=[str(folder / "prep.py")])
    return home


@pytest.fixture
def gate(models: Path, tmp_path: Path) -> Callable[..., GateReport]:
    x = [number / 7 for number in range(300)]
    pandas.DataFrame({"x": x, "y": x}).to_csv(tmp_path / "test.csv", index=False)
    project = Project(
        "p", tmp_path, tmp_path, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {}, secrets=(SECRET,)
    )

    def run(candidate: str, champion: str | None, *checks: Check) -> GateReport:
        names = {1: champion, 2: candidate}
        other = Version("m", 1, 0.0) if champion else None
        return evaluate(
            project,
            Gate("quality", "test.csv", "y", checks),
            Version("m", 2, 0.0),
            other,
            fetch=lambda version: models / str(names[version.version]),
        )

    return run


def only(report: GateReport) -> tuple[Verdict, str]:
    assert report.checks[0].name == "measurement"
    return report.checks[0].verdict, report.checks[0].message


@pytest.mark.parametrize("room", [True, False])
def test_each_version_is_asked_through_its_own_code(
    gate: Callable[..., GateReport], monkeypatch: pytest.MonkeyPatch, room: bool
) -> None:
    monkeypatch.setattr(evaluating, "have_room_for_two", lambda data: room)
    good = gate("plus", "minus", ERROR, AGAINST)
    assert good.verdict is Verdict.PASS and good.checks[1].value == 0.0 and good.checks[1].baseline > 1
    bad = gate("minus", "plus", AGAINST)
    assert bad.verdict is Verdict.FAIL and bad.checks[0].baseline == 0.0 and bad.checks[0].value > 1
    assert "prep" not in sys.modules


ENDS = {
    "exits": "version 2 failed to load or predict: its process ended with exit code 3: last words",
    "segfaults": "its process was ended by the signal SIGSEGV",
    "killed": "SIGKILL (most likely the memory did not suffice)",
    "leaves": "version 2 failed to predict: SystemExit: 3",
    "forks": "ended with exit code 4",
    "long": "column n is int64, not int32",
    "tells": "ValueError: " + "x" * 103 + "***yy",
    "forges": "no proper answer",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_model_that_ends_its_process_is_an_error_that_says_how(
    gate: Callable[..., GateReport], hanging: Path, name: str
) -> None:
    verdict, message = only(gate(name, "good", ERROR, AGAINST))
    assert verdict is Verdict.ERROR and ENDS[name] in message
    assert "secret" not in message and "very" not in message
    if name == "forks":
        wait_until(lambda: started_at(int(hanging.read_text())) is None, 10, what="what it started has ended, too")


def test_a_champion_that_ends_is_an_error_of_the_comparison(gate: Callable[..., GateReport]) -> None:
    report = gate("good", "segfaults", ERROR, AGAINST)
    assert [check.verdict for check in report.checks] == [Verdict.PASS, Verdict.ERROR]
    assert "the champion cannot be measured: version 1" in report.checks[1].message


def test_what_a_model_prints_does_no_harm(gate: Callable[..., GateReport], capfd: pytest.CaptureFixture[str]) -> None:
    assert gate("noisy", "noisy", ERROR, AGAINST, LATENCY).verdict is Verdict.PASS
    assert "xxx" not in capfd.readouterr().out


def test_latency_is_measured_in_the_models_process(gate: Callable[..., GateReport]) -> None:
    report = gate("plus", "minus", LATENCY, AGAINST)
    assert report.verdict is Verdict.PASS and report.checks[0].rows == 200
    report = gate("exits-on-one-row", "good", LATENCY, ERROR)
    assert [check.verdict for check in report.checks] == [Verdict.ERROR, Verdict.PASS]
    assert "version 2 failed on a single row: its process ended with exit code 5" in report.checks[0].message


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANGING", str(tmp_path / "pid"))
    return tmp_path / "pid"


def test_a_model_that_hangs_is_given_up_and_ended(
    gate: Callable[..., GateReport], hanging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = scaled(5.0)
    monkeypatch.setattr(subjects, "PREDICT_TIMEOUT", limit)
    verdict, message = only(gate("hangs", None, ERROR))
    assert verdict is Verdict.ERROR and f"no answer within {limit:g} s" in message
    wait_until(lambda: started_at(int(hanging.read_text())) is None, 10)


def test_a_model_is_not_blamed_for_a_gate_that_is_told_to_end(gate: Callable[..., GateReport], hanging: Path) -> None:
    def told(number: int, frame: object) -> None:
        if not hanging.exists():
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            return
        raise Interrupted("told to end")

    before = signal.signal(signal.SIGALRM, told)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(Interrupted):
            gate("hangs", None, ERROR)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: started_at(int(hanging.read_text())) is None, 10)


def test_the_model_ends_with_the_process_that_asked_it(models: Path, hanging: Path, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x,y\n1,1\n")
    code = f"""
from podium.core.quality.model_process import ModelProcess
process = ModelProcess("version 1")
process.send({{"do": "predict", "directory": {str(models / "hangs")!r}, "path": {str(tmp_path / "d.csv")!r},
              "shown": "d.csv", "targets": ["y"], "wanted": []}})
process.reply("failed", 600)
"""
    asking = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_until(lambda: hanging.exists() and hanging.read_text() != "", 60)
    finally:
        asking.kill()
        asking.wait(scaled(10))
    wait_until(lambda: started_at(int(hanging.read_text())) is None, 10)


def test_data_that_changes_under_the_gate_is_an_error(
    gate: Callable[..., GateReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "test.csv"))
    verdict, message = only(gate("rewrites", None, ERROR))
    assert verdict is Verdict.ERROR and "test.csv was changed while the gate read it" in message
