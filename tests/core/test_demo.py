"""The demonstration's parts: its project, its traffic, and that it leaves nothing running.
tests/integration/test_demo.py plays it whole."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.config import load
from podium.core.demo import project
from podium.core.demo.docker_story import DockerDemo
from podium.core.demo.host_story import REPO, TOKEN_FILE, HostDemo
from podium.core.demo.story import Demo, failed_in
from podium.core.demo.traffic import DemoTraffic, TrafficCount
from podium.core.domain.demo import DemoImages
from podium.core.domain.hosts import CiState
from podium.core.domain.runs import Run, RunState, Step, StepState, Trigger
from podium.core.errors import MissingExtra, Refused, RunFailed
from podium.core.signatures import signing

from tests.runner.scale import scaled
from tests.support import wait_until


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> project.DemoRepository:
    return project.make(tmp_path_factory.mktemp("demo") / "flights demo")


def test_the_project_is_committed_and_clean(made: project.DemoRepository) -> None:
    assert project.git(made.directory, "status", "--porcelain") == ""
    assert project.git(made.directory, "branch", "--show-current") == "main"
    assert load(made.directory).name == "flight-delay"
    files = project.git(made.directory, "ls-files").splitlines()
    assert {"podium.yaml", "train.py", "replay.py", "tests/test_features.py"} <= set(files)
    assert not [
        name for name in files if name.startswith(("mlruns", "data/", ".podium")) or name.endswith((".db", ".pyc"))
    ]


@pytest.mark.parametrize("docker", [False, True])
def test_its_steps_do_not_wait_for_what_else_a_machine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker: bool
) -> None:
    monkeypatch.delenv("PODIUM_NICE", raising=False)
    assert load(project.examples() / project.EXAMPLE).nice == 10, "the example's own"
    demo = DockerDemo(tmp_path / "demo", Cockpit, DemoImages()) if docker else Demo(tmp_path / "demo", Cockpit)
    made = demo._make()
    made.ports.close()
    assert load(made.directory).nice == 0


def test_production_serves_only_what_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = Demo(tmp_path / "demo", Cockpit)._make()
    made.ports.close()
    found = load(made.directory)
    assert found.environments["production"].verified and not found.environments["staging"].verified
    steps = found.pipelines["release"].steps
    assert steps["sign"].needs == ("smoke",) and steps["production"].needs == ("sign",)
    signers = (made.directory / found.evidence.signers).read_text().split(" ", 1)[1]
    half = (tmp_path / "config/podium/evidence_key.pub").read_text()
    assert half.startswith(signers.strip()) and project.git(made.directory, "status", "--porcelain") == ""
    made.apply("better")
    # A machine that cannot sign has the demonstration as it was.
    monkeypatch.setattr(signing, "_call", unable)
    other = Demo(tmp_path / "other", Cockpit)._make()
    other.ports.close()
    assert not load(other.directory).environments["production"].verified


def unable(*_: str) -> None:
    raise MissingExtra("ssh-keygen is not installed", hint="install it")


@pytest.mark.parametrize("second", ["worse", "slow"])
def test_each_change_applies_after_the_first(tmp_path: Path, second: str) -> None:
    made = project.make(tmp_path / "flights demo")
    for name in ("better", second):
        before = made.head()
        commit, subject = made.apply(name)
        assert commit == made.head() != before
        assert project.git(made.directory, "log", "-1", "--format=%s") == subject
        assert "diff --git" not in project.git(made.directory, "log", "-1", "--format=%B")
        assert project.git(made.directory, "status", "--porcelain") == ""


def test_a_directory_in_use_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(Refused) as caught:
        project.make(tmp_path)
    assert "rm -r" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_port_in_use_is_exchanged_everywhere(tmp_path: Path) -> None:
    configuration = tmp_path / "podium.yaml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configuration.write_text(f"a: {{port: {port}}}\nsmoke: curl http://127.0.0.1:{port}/ping\n")
        ports = project.ReservedPorts()
        ports.adapt(configuration)
        ports.close()
    (note,) = ports.notes
    assert str(port) in note
    found = re.findall(r"\d{4,}", configuration.read_text())
    assert len(found) == 2
    assert found[0] == found[1] != str(port)


REPLAY = """\
import json, sys, time
assert sys.argv[1:3] == ["--url", "http://127.0.0.1:9"]
for second in range(1, 1000):
    print(json.dumps({"sent": second * 10, "failures": {"timeout": second // 3}}), flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[DemoTraffic]:
    (tmp_path / "replay.py").write_text(REPLAY)
    traffic = DemoTraffic(tmp_path, "http://127.0.0.1:9", 100)
    yield traffic
    traffic.stop()


def test_traffic_is_counted_as_it_flows(traffic: DemoTraffic) -> None:
    traffic.wait_until_flowing()
    first = traffic.count()
    later = traffic.settled()
    assert later.sent >= first.sent + 20
    assert (later - TrafficCount(10)).sent == later.sent - 10


def test_what_was_lost_is_told_with_its_reason() -> None:
    count = TrafficCount(100, {"status 503": 3, "timeout": 1}) - TrafficCount(40, {"timeout": 1})
    assert (count.sent, count.failed) == (60, 3)
    assert str(count) == "60 requests meanwhile, 3 lost (3 status 503)"


def test_traffic_that_cannot_flow_says_why(tmp_path: Path) -> None:
    (tmp_path / "replay.py").write_text("raise SystemExit('no data here')")
    traffic = DemoTraffic(tmp_path, "http://127.0.0.1:9", 100)
    with pytest.raises(RunFailed, match="no data here"):
        traffic.wait_until_flowing()
    traffic.stop()


def left_behind(directory: Path) -> list[str]:
    """Command lines of processes that have to do with `directory`."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = os.readlink(process / "cwd")
            except OSError:
                continue
            if str(directory) in command or where.startswith(str(directory)):
                found.append(command)
    return found


@pytest.mark.timeout(200)
def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    directory = tmp_path / "flights"
    process = subprocess.Popen(
        [sys.executable, "-m", "podium.cli", "demo", str(directory), "--no-ui"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
    )
    try:
        wait_until((directory / ".podium" / "journal.db").exists, timeout=20, what="the project is made")
        cockpit = Cockpit.open(directory)
        wait_until(
            lambda: cockpit.runs.count() and any(step.state is StepState.RUNNING for step in cockpit.runs.steps(1)),
            timeout=90,
            what="it runs",
        )
        assert cockpit.agent.status().alive
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=scaled(60))
    finally:
        if process.poll() is None:
            process.kill()
    assert (process.returncode, out) == (130, ""), err
    assert not cockpit.agent.status().alive
    assert not cockpit.runs.active()
    cockpit.close()
    wait_until(lambda: not left_behind(directory), timeout=15, what=f"processes: {left_behind(directory)}")


@pytest.mark.parametrize(
    ("ended", "gate", "words"),
    [
        (RunState.FAILED, StepState.FAILED, ""),
        (RunState.SUCCEEDED, StepState.SUCCEEDED, "the gate let it through"),
        (RunState.FAILED, StepState.SUCCEEDED, "the gate let it through"),
        (RunState.FAILED, StepState.SKIPPED, "run 3 failed before gate: step train: exit code 1"),
        (RunState.CANCELLED, StepState.CANCELLED, "run 3 cancelled before gate: step train: exit code 1"),
    ],
)
def test_a_run_that_ends_elsewhere_than_expected_says_where(ended: RunState, gate: StepState, words: str) -> None:
    run = Run(3, "pipeline", "release", ended, Trigger.PUSH, "podium watch", 0.0, message="step train: exit code 1")
    steps = [Step(3, "train", 0, StepState.FAILED), Step(3, "gate", 1, gate)]
    if not words:
        assert failed_in(run, steps, "gate", "the gate let it through") is steps[1]
        return
    with pytest.raises(RunFailed, match=f"^{words}$"):
        failed_in(run, steps, "gate", "the gate let it through")


def test_its_tests_are_its_own_whatever_lies_around_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--no-such-option"\n')
    project.make(tmp_path / "demo").ports.close()
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "tests"]
    done = subprocess.run(
        command, cwd=tmp_path / "demo", capture_output=True, text=True, timeout=scaled(60), stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_demonstrations_host_has_the_project_and_goes_with_it(tmp_path: Path) -> None:
    demo = HostDemo(tmp_path / "demo", Cockpit)
    storage = Path(demo._storage or tmp_path)
    try:
        made = demo._make()
        storage = Path(demo._storage)
        forge = demo._forge
        assert forge is not None
        branches = forge.state.repo(REPO).bare.branches
        assert branches() == {"main": made.head()}
        assert forge.url in (tmp_path / "demo/podium.yaml").read_text()
        assert forge.token not in project.git(made.directory, "log", "-p")
        assert (tmp_path / "demo" / TOKEN_FILE).stat().st_mode & 0o777 == 0o600
        before = made.head()
        made.apply("better")
        assert branches() == {"main": made.head(), "better": made.head()} and made.head() != before
        assert storage.is_dir()
        demo._cockpit = cockpit = Cockpit(tmp_path / "demo")
        list(demo._listed())
        rows = cockpit.repository.commits().rows
        assert [row.ci for row in rows] == [CiState.SUCCEEDED] * 2, "Repository has something to show"
        assert [row.run.sha for row in cockpit.ci.inbox().rows] == [made.head(), before], "and so has CI"
    finally:
        demo.stop()
    assert not storage.exists()
