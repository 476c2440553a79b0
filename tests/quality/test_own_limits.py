"""The limits of the process of a project's own metric. The kernel's files are stood in for by a directory, as in
tests/engine/test_control_groups.py."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from podium.core import control_groups
from podium.core.config import load
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Gate, Git, Mlflow, Project
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.errors import PodiumError
from podium.core.quality.evaluate import evaluate

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there are no control groups elsewhere")

METRICS_PY = """
    import os, signal
    from pathlib import Path

    AT_LOAD = Path("{procs}").read_text() if Path("{procs}").exists() else ""

    def threads(truth, answer, rows):
        return float(os.environ["OMP_NUM_THREADS"])

    def inside(truth, answer, rows):
        return float(AT_LOAD == str(os.getpid()))

    def greedy(truth, answer, rows):
        (Path("{procs}").parent / "memory.events").write_text("oom 1\\noom_kill 1\\n")
        os.kill(os.getpid(), signal.SIGKILL)
"""
SCOPE = "user.slice/user-7.slice/app.slice/podium.scope"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a machine whose group above this process's own was delegated."""
    root = tmp_path / "machine"
    top = (root / "sys/fs/cgroup" / SCOPE).parent
    top.mkdir(parents=True)
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"0::/{SCOPE}\n")
    (root / "proc/self/mountinfo").write_text("29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n")
    (top / "cgroup.controllers").write_text("cpu memory\n")
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        (top / name).write_text("")
    try:
        os.setxattr(top.parent, "user.delegate", b"1")
    except OSError:
        pytest.skip("this file system has no attributes")
    make, lacking = control_groups.make, control_groups.lacking
    monkeypatch.setattr(control_groups, "make", lambda *a, **more: make(*a, root=root, **more))
    monkeypatch.setattr(control_groups, "lacking", lambda *a: lacking(*a, root=root))
    return top


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., tuple[GateReport, list[str]]]:
    """Judges a model by checks of metrics.py, and returns the report with what was logged."""
    import mlflow
    from sklearn.linear_model import LinearRegression

    rows = pandas.DataFrame({"x": [float(n) for n in range(60)]}).assign(y=lambda frame: 2 * frame.x)
    rows.to_csv(tmp_path / "test.csv", index=False)
    where = str(tmp_path / "model")
    signature = mlflow.models.infer_signature(rows[["x"]])
    fitted = LinearRegression().fit(rows[["x"]], rows.y)
    mlflow.sklearn.save_model(
        fitted, where, signature=signature, pip_requirements=["scikit-learn"], serialization_format="cloudpickle"
    )
    project = Project("p", tmp_path, tmp_path, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {})

    def judge(*checks: Check) -> tuple[GateReport, list[str]]:
        said: list[str] = []
        gate = Gate("g", data="test.csv", target="y", task="regression", checks=checks)
        version = Version("m", 1, 0.0)
        report = evaluate(project, gate, version, None, fetch=lambda _: Path(where), log=said.append)
        return report, said

    return judge


def own(name: str, **more: object) -> Check:
    return Check("metric", metric=f"metrics.py:{name}", goal="maximize", at_least=1.0, **more)  # type: ignore[arg-type]


def written(tmp_path: Path, procs: Path) -> None:
    (tmp_path / "metrics.py").write_text(textwrap.dedent(METRICS_PY).replace("{procs}", str(procs)))


def group(tree: Path, tmp_path: Path) -> Path:
    """Returns where the group of the first process of a gate will be."""
    found = control_groups.make("steps", tmp_path, f"metric-{os.getpid()}-0")
    assert found is not None
    found.remove()
    return found.path


def test_the_process_is_in_a_group_with_its_limits_before_it_loads_the_file(
    judged: Callable[..., tuple[GateReport, list[str]]], tree: Path, tmp_path: Path
) -> None:
    below = group(tree, tmp_path)
    written(tmp_path, below / "cgroup.procs")
    report, said = judged(own("inside", cpus=1.5, memory=1 << 30), own("threads", cpus=1.5, memory=1 << 30))
    assert [each.value for each in report.checks] == [1.0, 1.0], report.checks
    assert (below / "cpu.max").read_text() == "150000 100000"
    assert (below / "memory.max").read_text() == str(1 << 30)
    assert not [line for line in said if "limit" in line], said


def test_cpus_are_the_threads_of_numeric_libraries(
    judged: Callable[..., tuple[GateReport, list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, tmp_path / "nowhere")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    report, said = judged(own("threads", cpus=3.0), own("threads"))
    assert [each.value for each in report.checks] == [3.0, 1.0], report.checks
    claims = [line for line in said if line.startswith("metrics.py: `cpus` is a claim here, not a limit")]
    assert len(claims) == (1 if control_groups.lacking(3.0, None) else 0), said


def test_a_function_that_needs_more_memory_is_told_with_its_limit(
    judged: Callable[..., tuple[GateReport, list[str]]], tree: Path, tmp_path: Path
) -> None:
    written(tmp_path, group(tree, tmp_path) / "cgroup.procs")
    report, _ = judged(own("greedy", memory=64 << 20))
    assert report.verdict is Verdict.ERROR
    assert "needed more than its limit of 64 MiB" in report.checks[0].message


def test_limits_are_keys_of_a_function_alone(tmp_path: Path) -> None:
    text = "project: p\ngates: {g: {data: t.csv, target: y, task: binary, checks: [{%s, at_least: 0.5}]}}\n"
    (tmp_path / "podium.yaml").write_text(text % "metric: m.py:profit, goal: maximize, cpus: 2, memory: 512m")
    check = load(tmp_path, environ={}).gates["g"].checks[0]
    assert (check.cpus, check.memory) == (2.0, 512 << 20)
    (tmp_path / "podium.yaml").write_text(text % "metric: roc_auc, memory: 512m")
    with pytest.raises(PodiumError, match="only means something beside a function of your own"):
        load(tmp_path, environ={})
