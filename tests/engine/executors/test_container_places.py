"""Steps in containers with MLflow's store near and far, with images of the project's own, and on engines on other
machines."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import parse
from podium.core.domain.runs import RunState
from podium.core.engine.executors.container.mounts import mounts
from podium.core.registry.prepare import prepare

from tests.engine.executors.step_lab import StepLab
from tests.runner.scale import scaled
from tests.servers import dockerd, images
from tests.servers import registry as registries
from tests.servers import sshd as servers
from tests.support import free_port, wait_until

pytestmark = pytest.mark.in_turn(12, of="containers")
INNER = (".podium/worktrees/1", ".podium/artifacts")
TRAIN = """
import mlflow
with mlflow.start_run():
    mlflow.log_metric("auc", 0.5)
    mlflow.log_text("kept", "note.txt")
"""


@pytest.fixture
def lab(tmp_path: Path, engine: Engine) -> Iterator[StepLab]:
    lab = StepLab(tmp_path / "project", engine)
    yield lab
    lab.close()


@pytest.mark.timeout(240)
def test_a_training_script_in_a_container_is_linked_to_its_run(lab: StepLab, python_image: str) -> None:
    """The embedded store: a file of this machine, reached without a network, from a worktree of a commit."""
    lab.git("init", "-q", "-b", "main")
    lab.write(".gitignore", ".podium/\n")
    lab.write("train.py", TRAIN)
    project = lab.pipeline(f"""
train: {{image: "{python_image}", run: python train.py, inputs: [train.py], network: false}}
""")
    prepare(project.mlflow, project.state)
    sha = lab.commit("one")
    run, steps = lab.run(commit="HEAD", timeout=200)
    assert run.state is RunState.SUCCEEDED, lab.log(run.id, "train", "oep")
    query = "SELECT key, value FROM tags WHERE key LIKE 'podium.%'"
    tags = dict(sqlite3.connect(lab.home / ".podium/mlflow/mlflow.db").execute(query).fetchall())
    assert (tags["podium.commit"], tags["podium.run"], tags["podium.step"]) == (sha, str(run.id), "train")
    assert tags["podium.key"] == steps["train"].key
    assert [path.read_text() for path in (lab.home / ".podium/mlflow/artifacts").rglob("note.txt")] == ["kept"]


HOSTILE = """
for each in agent.env journal.db-wal mine; do echo x > $PODIUM_HOME/.podium/$each; done
ls -A $PODIUM_HOME/.podium
cat $PODIUM_HOME/.podium/journal.db $PODIUM_HOME/.podium/home.json 2>/dev/null | wc -c
echo kept > $PODIUM_HOME/.podium/mlflow/note
exit 0
"""


@pytest.mark.parametrize("commit", ["", "HEAD"], ids=["the project's directory", "a directory of its own"])
def test_a_step_sees_of_the_projects_state_its_store_alone(lab: StepLab, shell_image: str, commit: str) -> None:
    lab.git("init", "-q", "-b", "main")
    lab.write(".gitignore", ".podium/\n")
    lab.write("hostile.sh", HOSTILE)
    project = lab.pipeline(f'a: {{image: "{shell_image}", run: sh hostile.sh, network: false}}')
    prepare(project.mlflow, project.state)
    lab.commit("one")
    run, _ = lab.run(commit=commit) if commit else lab.run()
    assert run.state is RunState.SUCCEEDED, lab.log(run.id, "a", "oep")
    seen = lab.log(run.id, "a", "o").split()
    assert {"mlflow", "0"} <= set(seen) and not {"journal.db", "home.json", "runs"} & set(seen), seen
    assert not (project.state / "agent.env").exists() and not (project.state / "mine").exists()
    assert (project.state / "mlflow/note").read_text() == "kept\n", "the store is there"
    assert lab.run()[0].state is RunState.SUCCEEDED, "the journal is whole"


@pytest.mark.parametrize(
    ("root", "store", "expected"),
    [
        (".", ".podium/mlflow/mlflow.db", {".": True, ".podium": "covered", ".podium/mlflow": True}),
        (".", "mlflow.db", {".": True, ".podium": "covered", ".podium/artifacts": True}),
        (".", ".podium/mlflow.db", {".": True}),
        (".podium/worktrees/1", ".podium/mlflow/mlflow.db", {".podium/worktrees/1": True, ".podium/mlflow": True}),
        (".podium/worktrees/1", ".podium/mlflow.db", {".podium": True}),
        (".podium/worktrees/1", "mlflow.db", {".": True, ".podium": "covered", **dict.fromkeys(INNER, True)}),
    ],
)
def test_what_is_mounted(tmp_path: Path, root: str, store: str, expected: dict[str, bool | str]) -> None:
    for name in (*INNER, ".podium/mlflow"):
        (tmp_path / name).mkdir(parents=True)
    found = mounts(tmp_path / root, tmp_path / ".podium", [f"sqlite:///{tmp_path / store}"])
    if expected.get(".podium/mlflow"):  # that of a store which is elsewhere
        found = [each for each in found if each.path.name != "artifacts"]
    shown = {str(each.path.relative_to(tmp_path)): "covered" if each.covered else each.writable for each in found}
    assert shown == expected
    for number, each in enumerate(found):
        assert not any(each.path in other.path.parents for other in found[:number]), "nothing hides what it is in"


def test_the_state_is_covered_by_whichever_name_the_project_is_reached(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    (real / ".podium/mlflow").mkdir(parents=True)
    link.symlink_to(real)
    for root, home in ((real, link), (link, real), (link, link)):
        found = mounts(root, home / ".podium", [f"sqlite:///{home}/.podium/mlflow/mlflow.db"])
        assert [each.path for each in found if each.covered] == [root / ".podium"], (root, home)
        assert found[-1].path == home / ".podium/mlflow"


def test_a_server_on_this_machine_is_reached(lab: StepLab, shell_image: str) -> None:
    """Its address is this machine's own loopback, which a container only has a share in when it has no network of
    its own."""
    port = free_port()
    served = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        cwd=lab.home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        lab.write("answer", "reached")
        request = f"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /answer HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        lab.write("ask.sh", request)
        lab.write(
            "podium.yaml",
            f"""
project: lab
mlflow: {{tracking_uri: "http://127.0.0.1:{port}"}}
pipelines: {{main: {{steps: {{a: {{image: "{shell_image}", run: bash ask.sh}}}}}}}}
""",
        )
        run, _ = lab.run()
        assert run.state is RunState.SUCCEEDED, lab.log(run.id, "a", "oep")
        assert lab.log(run.id, "a").endswith("reached")
    finally:
        served.terminate()
        served.wait()


def test_an_image_of_the_projects_own(lab: StepLab, shell_image: str) -> None:
    lab.write("tools/Dockerfile", f"FROM {shell_image}\nCOPY greet /bin/greet\n")
    lab.write("tools/greet", "#!/bin/sh\necho hello\n").chmod(0o755)
    lab.write("in.txt", "7")
    lab.pipeline("a: {build: tools, run: 'greet >out.txt', inputs: [in.txt], outputs: [out.txt]}")
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED, lab.log(run.id, "a", "oep")
    assert "building tools" in lab.log(run.id, "a")
    assert lab.run()[1]["a"].cached
    lab.write("tools/greet", "#!/bin/sh\necho good day\n").chmod(0o755)
    again = lab.run()[1]["a"]
    assert (again.cached, again.key == steps["a"].key) == (False, False)
    assert (lab.home / "out.txt").read_text() == "good day\n"
    lab.write("in.txt", "8")
    third, _ = lab.run()
    assert "building tools" not in lab.log(third.id, "a")


def test_an_image_that_is_not_there_is_pulled_and_what_is_cached_of_it_needs_no_pull(
    lab: StepLab, shell_image: str
) -> None:
    if missing := registries.missing():
        if os.environ.get("PODIUM_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    api = lab.engine.api
    with registries.Registry() as registry:
        name = f"{registry.address}/team/tools"
        api.tag(shell_image, name, "1")
        try:
            assert "error" not in api.push(name, tag="1")
            api.remove_image(f"{name}:1")
            lab.write("in.txt", "7")
            copying = 'run: "cp in.txt out.txt", inputs: [in.txt], outputs: [out.txt], network: false'
            lab.pipeline(f'a: {{image: "{name}:1", {copying}}}\nb: {{image: "{name}:2", run: "true"}}')
            run, steps = lab.run()
            assert (lab.home / "out.txt").exists(), lab.log(run.id, "a", "oep")
            assert f"pulling {name}:1" in lab.log(run.id, "a")
            assert steps["b"].message.startswith(
                f"pulling {name}:2: the image is neither on the engine nor in a registry"
            )
            api.remove_image(f"{name}:1")
            again = lab.run()[1]["a"]
            assert (again.cached, again.key) == (True, steps["a"].key)
            assert not api.images(f"{name}:1")
        finally:
            with contextlib.suppress(NotFound):
                api.remove_image(f"{name}:1")


def test_a_build_that_fails_says_why(lab: StepLab, shell_image: str) -> None:
    lab.write("tools/Dockerfile", f"FROM {shell_image}\nRUN echo broken on purpose && exit 4\n")
    lab.pipeline("a: {build: tools, run: 'true'}\nb: {build: nothing, run: 'true'}")
    run, steps = lab.run()
    assert "a step of the build failed" in steps["a"].message
    assert "broken on purpose" in lab.log(run.id, "a")
    assert steps["b"].message.startswith("build: there is no directory 'nothing'")


@pytest.fixture
def sshd(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Sshd]:
    if missing := servers.missing():
        if os.environ.get("PODIUM_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    with servers.Sshd() as made:
        monkeypatch.setenv("PATH", made.path)
        monkeypatch.setenv("DOCKER_HOST", made.address(engine.address.path))
        yield made


def test_an_engine_on_another_machine_gets_the_files_and_gives_the_outputs_back(
    lab: StepLab, shell_image: str, sshd: servers.Sshd
) -> None:
    lab.write("in/a.txt", "7")
    lab.write("tool.sh", "#!/bin/sh\ncp -r in out\necho more >out/b.txt\n").chmod(0o755)
    lab.write("out/old", "goes")
    lab.pipeline(
        f'a: {{image: "{shell_image}", run: "echo noise >elsewhere; ./tool.sh; pwd", inputs: [in/, tool.sh], outputs:'
        " [out/]}"
    )
    # Nothing of this machine is in there: what the step writes elsewhere stays there.
    (lab.home / "out/old").unlink()
    (lab.home / "out").rmdir()
    run, _ = lab.run()
    log = lab.log(run.id, "a", "oep")
    assert run.state is RunState.SUCCEEDED, log
    assert str(lab.home) in log.splitlines()
    assert "MLflow's store is a file on this machine" in log
    assert {path.name: path.read_text() for path in (lab.home / "out").iterdir()} == {"a.txt": "7", "b.txt": "more\n"}
    assert not (lab.home / "elsewhere").exists()
    assert lab.run()[1]["a"].cached
    assert lab.containers() == []


def test_a_line_that_is_cut_while_a_step_runs(lab: StepLab, shell_image: str, sshd: servers.Sshd) -> None:
    command = "i=0; while test $i -lt 100; do i=$((i+1)); echo line $i; sleep 0.05; done"
    lab.pipeline(f'a: {{image: "{shell_image}", run: "{command}"}}')
    run = lab.start()
    lab.wait_for_log(run.id, "a", "line 5")
    sshd.line.cut()
    lab.wait_for_log(run.id, "a", "waiting for it")
    sshd.line.restore()
    found, _ = lab.finish(run.id)
    assert found.state is RunState.SUCCEEDED, lab.log(run.id, "a", "oep")
    assert [line for line in lab.log(run.id, "a", "o").splitlines() if line.startswith("line ")] == [
        f"line {number}" for number in range(1, 101)
    ]


def test_nothing_of_ssh_is_left(lab: StepLab, shell_image: str, sshd: servers.Sshd) -> None:
    import psutil

    lab.pipeline(f'a: {{image: "{shell_image}", run: "true"}}')
    lab.run()
    port = str(sshd.port)
    wait_until(
        lambda: (
            not [
                one
                for one in psutil.process_iter(["name", "cmdline"])
                if one.info["name"] == "ssh" and port in (one.info["cmdline"] or ())
            ]
        )
    )


def test_an_engine_that_does_not_see_this_machines_files_gets_copies(
    lab: StepLab, shell_image: str, tmp_path: Path
) -> None:
    """As behind a forwarded socket: the project is on a file system that only this process and its children see."""
    if os.getuid() != 0:
        pytest.skip("needs root, for a mount of its own")
    lab.pipeline(
        f'a: {{image: "{shell_image}", network: false, run: "cat in.txt in.txt >out.txt", inputs: [in.txt], outputs:'
        " [out.txt]}"
    )
    away = tmp_path / "away"
    away.mkdir()
    script = (
        'mount -t tmpfs none "$1" && mkdir "$1/project" && cp "$2" "$1/project/" && cd "$1/project" && printf 7 >in.txt'
        ' && "$3" -m podium.cli run && cat out.txt && "$3" -m podium.cli logs last a'
    )
    argv = ["unshare", "-m", "sh", "-c", script, "sh", str(away), str(lab.home / "podium.yaml"), sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=scaled(60), check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("77")
    assert "does not see this machine's files: they are copied" in done.stdout


@pytest.mark.parametrize("live_restore", [True, False])
def test_an_engine_that_is_started_again_while_a_step_runs(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, *, live_restore: bool
) -> None:
    """An engine of the test's own: killed where containers outlive it, else stopped."""
    if missing := dockerd.missing():
        if os.environ.get("PODIUM_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    with dockerd.Dockerd(live_restore=live_restore) as own, open_engine(parse(own.address)) as there:
        monkeypatch.setenv("DOCKER_HOST", own.address)
        image = images.ensure(there.api, images.SHELL)
        lab = StepLab(tmp_path / "project", there)
        command = "i=0; while test $i -lt 60; do i=$((i+1)); echo line $i; sleep 0.05; done"
        lab.pipeline(f'a: {{image: "{image}", network: false, run: "{command}"}}')
        run = lab.start()
        lab.wait_for_log(run.id, "a", "line 5")
        (own.kill if live_restore else own.stop)()
        own.start()
        found, steps = lab.finish(run.id, timeout=60)
        if live_restore:
            assert found.state is RunState.SUCCEEDED, lab.log(run.id, "a", "oep")
            assert [line for line in lab.log(run.id, "a", "o").splitlines() if line.startswith("line ")] == [
                f"line {number}" for number in range(1, 61)
            ]
        else:
            assert steps["a"].message.startswith(
                "the engine was stopped while the step ran, and ended its container (exit code 143)"
            )
        lab.close()
