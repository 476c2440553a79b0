"""Claims of steps and replicas (`cpus`, `memory`): threads, limits where control groups were delegated, words where not.
The kernel's own files are stood in for by a directory: a machine that has groups to delegate is rare."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podium.core import control_groups
from podium.core.delivery.drivers.process import ProcessDriver
from podium.core.domain.runs import RunState
from podium.core.engine import environment
from podium.core.engine.executors import Task
from podium.core.engine.executors import process as process_module
from podium.core.engine.executors.process import ProcessExecution

from tests.delivery.light import World
from tests.engine.lab import Lab
from tests.support import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there are no control groups elsewhere")

SCOPE = "user.slice/user-7.slice/app.slice/podium.scope"


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Path]:
    """Makes the root of a machine with version 2, whose group above this process's own was delegated."""

    def of(*, delegated: bool = True, controllers: str = "cpuset cpu io memory", own: str = f"/{SCOPE}") -> Path:
        root = tmp_path / f"machine-{len(list(tmp_path.iterdir()))}"
        top = (root / "sys/fs/cgroup" / SCOPE).parent
        top.mkdir(parents=True)
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/cgroup").write_text(f"1:name=systemd:/\n0::{own}\n")
        (root / "proc/self/mountinfo").write_text("29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n")
        (top / "cgroup.controllers").write_text(f"{controllers}\n")
        (top / "cgroup.procs").write_text("")
        (top / "cgroup.subtree_control").write_text("")
        if delegated:
            try:
                os.setxattr(top.parent, "user.delegate", b"1")
            except OSError:
                pytest.skip("this file system has no attributes")
        return root

    return of


def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_groups.os, "getuid", lambda: 0)


def test_a_step_has_a_group_beside_this_process_with_its_limits_and_a_weight_for_all(
    machine: Callable[..., Path],
) -> None:
    root, home = machine(), Path("/p")
    group = control_groups.make("steps", home, "7-train[n=1]-1", cpus=1.5, memory=1 << 30, nice=10, root=root)
    assert group is not None
    above = group.path.parent
    assert above.parent == (root / "sys/fs/cgroup" / SCOPE).parent and above.name.startswith("podium-steps-")
    assert (above / "cpu.weight").read_text() == (above / "io.weight").read_text() == "10"
    assert (group.path / "cpu.max").read_text() == "150000 100000"
    assert (group.path / "memory.max").read_text() == str(1 << 30)
    assert (group.path / "memory.swap.max").read_text() == "0"
    assert control_groups.of("steps", home, "7-train[n=1]-1", root=root) is not None
    assert control_groups.of("steps", Path("/q"), "7-train[n=1]-1", root=root) is None
    assert control_groups.lacking(1.5, 1 << 30, root=root) == ""


def test_what_was_left_of_processes_that_were_killed_is_removed(machine: Callable[..., Path]) -> None:
    root = machine()
    first = control_groups.make("steps", Path("/p"), "1", root=root)
    assert first is not None and first.path.is_dir()
    second = control_groups.make("steps", Path("/p"), "2", root=root)
    assert second is not None and second.path.is_dir() and not first.path.exists()
    second.remove()
    assert not second.path.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"delegated": False}, "`cpus` and `memory` are claims here, not limits"),
        ({"own": "/"}, "`cpus` and `memory` are claims here, not limits"),
        ({"own": "/../other"}, "`cpus` and `memory` are claims here, not limits"),
        ({"controllers": "cpu pids"}, "`memory` is a claim here, not a limit"),
    ],
)
def test_where_nothing_was_delegated_nothing_is_made_and_it_is_said(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], words: str
) -> None:
    as_root(monkeypatch)
    root = machine(**given)
    assert control_groups.lacking(1.0, 1 << 30, root=root).startswith(words)
    assert control_groups.lacking(None, None, root=root) == ""
    if "controllers" not in given:
        assert control_groups.make("steps", Path("/p"), "1", root=root) is None
        assert not list(root.rglob("podium-*"))


def test_a_machine_with_version_1_alone_has_none(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/x\n1:cpu:/\n")
    (tmp_path / "proc/self/mountinfo").write_text("29 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n")
    assert control_groups.controllers(tmp_path) == frozenset()
    assert control_groups.controllers(tmp_path / "nothing") == frozenset()


def test_a_program_begins_in_its_group_or_without_one(tmp_path: Path) -> None:
    procs = tmp_path / "cgroup.procs"
    for file in (procs, tmp_path / "no" / "cgroup.procs"):
        command = [
            "/bin/sh",
            "-c",
            control_groups.ENTER,
            "sh",
            str(file),
            sys.executable,
            "-c",
            "import os; print(os.getpid())",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
    assert procs.read_text().strip().isdecimal()


def task(lab: Lab, command: str, **fields: Any) -> Task:
    env = {"PATH": os.environ["PATH"], "PODIUM_RUN": "1", "PODIUM_STEP": "one", "PODIUM_HOME": str(lab.home)}
    return Task(1, "one", ("/bin/sh", "-c", command), env, lab.home, project=lab.project, **fields)


def ended(execution: ProcessExecution) -> int:
    code = wait_until(lambda: (found := execution.poll()) is not None and (found,), 20)[0]
    os.close(execution.stdout)
    os.close(execution.stderr)
    return code


def test_a_step_that_was_killed_for_its_memory_is_told_so(
    lab: Lab, machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.pipeline("one: {run: 'true'}")
    root, real = machine(), control_groups.make
    monkeypatch.setattr(process_module.control_groups, "make", lambda *a, **kw: real(*a, root=root, **kw))
    (group,) = [real("steps", lab.home, "1-one-1", root=root)]
    assert group is not None
    for command, events, found in (
        ("kill -9 $$", "oom 1\noom_kill 1\n", "out of memory: the step needed more than its limit of 512 MiB"),
        ("kill -9 $$", "oom 0\noom_kill 0\n", None),
        ("exit 0", "oom 1\noom_kill 1\n", None),
    ):
        group.path.mkdir(exist_ok=True)
        (group.path / "memory.events").write_text(events)
        execution = ProcessExecution(task(lab, command, memory=512 << 20))
        ended(execution)
        assert execution.findings().get("error") == found
        assert group.processes.read_text().strip() == str(execution.pid)


def test_claims_are_written_for_steps_without_an_image_and_said_once_to_be_no_limits(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    if control_groups.controllers():
        pytest.skip("they are limits here")
    lab.pipeline(
        "one: {run: 'echo $OMP_NUM_THREADS $OPENBLAS_NUM_THREADS $MKL_NUM_THREADS', cpus: 1.9, memory: 1g}\n"
        "two: {run: 'echo $OMP_NUM_THREADS', needs: [one], cpus: 0.5, env: {OMP_NUM_THREADS: '7'}}\n"
        "three: {run: 'echo [$OMP_NUM_THREADS]', needs: [two], memory: 512m}\n"
        "four: {run: 'echo [$OMP_NUM_THREADS]', needs: [three]}\n"
    )
    spec = lab.project.pipelines["main"].steps["one"]
    assert (spec.cpus, spec.memory, spec.container) == (1.9, 1 << 30, None)
    run, _ = lab.run()
    assert run.state is RunState.SUCCEEDED
    assert [lab.log(run.id, name) for name in ("one", "two", "three", "four")] == ["1 1 1", "7", "[]", "[]"]
    told = [lab.log(run.id, name, "oep").count("claim") for name in ("one", "two", "three", "four")]
    assert told == [1, 0, 0, 0]


def test_threads_are_as_many_as_cpus_and_no_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    found = [environment.threads(cpus, local=True).get("OMP_NUM_THREADS") for cpus in (None, 0.2, 1.0, 2.5, 64.0)]
    assert found == [None, "1", "1", "2", "4"]
    assert environment.threads(64.0, local=False)["MKL_NUM_THREADS"] == "64", "an engine's machine has its own CPUs"


def test_what_a_replica_may_use_is_limited_or_said_once_to_be_a_claim(
    tmp_path: Path, machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "world", cpus=0.5, memory=1 << 30)
    try:
        driver = ProcessDriver(world.runtime.driver.setting)  # type: ignore[attr-defined]
        if not control_groups.controllers():
            driver._limit("staging-1", os.getpid())  # pyright: ignore[reportPrivateUsage]
            driver._limit("staging-2", os.getpid())  # pyright: ignore[reportPrivateUsage]
            assert [line for line in world.said if "claims here" in line] == world.said and len(world.said) == 1
        root, real, words = machine(), control_groups.make, control_groups.lacking
        monkeypatch.setattr(control_groups, "make", lambda *a, **kw: real(*a, root=root, **kw))
        monkeypatch.setattr(control_groups, "lacking", lambda *a: words(*a, root=root))
        other = ProcessDriver(world.runtime.driver.setting)  # type: ignore[attr-defined]
        before = len(world.said)
        other._limit("staging-1", 4711)  # pyright: ignore[reportPrivateUsage]
        assert len(world.said) == before
        (group,) = root.rglob("staging-1")
        assert (group / "cgroup.procs").read_text() == "4711"
        assert (group / "cpu.max").read_text() == "50000 100000"
    finally:
        world.close()
