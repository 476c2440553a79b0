"""Steps in containers of a real engine: what they see, what they may do, what they leave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.domain.runs import RunState, StepState

from tests.engine.executors.step_lab import StepLab
from tests.runner.hooks import session_labels
from tests.runner.scale import scaled

SECRET = "correct-horse-battery"


@pytest.fixture
def lab(tmp_path: Path, engine: Engine) -> Iterator[StepLab]:
    lab = StepLab(tmp_path / "project", engine)
    yield lab
    lab.close()


def test_a_step_runs_in_its_image_and_leaves_its_outputs_and_nothing_else(lab: StepLab, shell_image: str) -> None:
    lab.write("in.txt", "7")
    lab.pipeline(f"""
a:
  image: {shell_image}
  run: |
    test ! -e {sys.executable}
    echo "from $PODIUM_STEP of run $PODIUM_RUN in $PWD" && echo oops >&2
    touch "$HOME/scratch"
    mkdir out && cp in.txt out/copy
  inputs: [in.txt]
  outputs: [out/]
""")
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED, lab.log(run.id, "a", "oep")
    log = lab.log(run.id, "a")
    assert f"from a of run {run.id} in {lab.home}" in log
    assert lab.log(run.id, "a", "e") == "oops"
    assert (lab.home / "out/copy").read_text() == "7"
    assert lab.containers() == []
    image_id = lab.engine.api.inspect_image(shell_image)["Id"]
    assert steps["a"].results == {"image": shell_image, "image_id": image_id}


def test_a_cached_step_needs_no_engine_and_another_image_does_it_again(
    lab: StepLab, shell_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write("in.txt", "7")
    steps = 'a: {image: "podium-test/step:now", run: "cp in.txt out.txt", inputs: [in.txt], outputs: [out.txt]}'
    lab.pipeline(steps)
    api = lab.engine.api
    api.tag(shell_image, "podium-test/step", "now")
    try:
        assert not lab.run()[1]["a"].cached
        again = lab.run()[1]["a"]
        assert again.cached
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
        # Another engine: what it has under that name was never seen.
        run, found = lab.run()
        assert run.state is RunState.FAILED
        assert "no Docker engine answers at unix:///nowhere.sock" in found["a"].message
        monkeypatch.delenv("DOCKER_HOST")
        other = api.commit(
            api.create_container(shell_image, ["true"], labels=session_labels())["Id"], "podium-test/step", "now"
        )["Id"]
        found = lab.run()[1]
        assert not found["a"].cached
        assert found["a"].key != again.key
        assert found["a"].results["image_id"] == other
    finally:
        for container in api.containers(all=True, filters={"ancestor": shell_image, "status": "created"}):
            if container["Command"].startswith("true"):
                api.remove_container(container["Id"])
        api.remove_image("podium-test/step:now", force=True)


def test_what_is_remembered_of_an_engine_that_is_away_is_enough(
    lab: StepLab, shell_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to the engine is a link that can be taken away."""
    link = tmp_path / "engine.sock"
    link.symlink_to(lab.engine.address.path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{link}")
    lab.write("in.txt", "7")
    lab.pipeline(f"a: {{image: '{shell_image}', run: 'cp in.txt out.txt', inputs: [in.txt], outputs: [out.txt]}}")
    assert lab.run()[0].state is RunState.SUCCEEDED
    link.unlink()
    (lab.home / "out.txt").unlink()
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    assert steps["a"].cached
    assert (lab.home / "out.txt").read_text() == "7"
    lab.write("in.txt", "8")
    assert "no Docker engine answers" in lab.run()[1]["a"].message


def test_the_image_may_come_from_the_matrix(lab: StepLab, shell_image: str, haproxy_image: str) -> None:
    lab.pipeline(
        f'a: {{matrix: {{image: ["{shell_image}", "{haproxy_image}"]}}, image: "${{{{ matrix.image }}}}", run: "command'
        ' -v haproxy || echo none"}'
    )
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    assert {step.results["image"]: lab.log(run.id, step.name).splitlines()[-1] for step in steps.values()} == {
        shell_image: "none",
        haproxy_image: "/usr/local/bin/haproxy",
    }


def test_it_may_do_little(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f"""
a:
  image: "{shell_image}"
  run: "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; cat /proc/1/comm; sleep 60"
  cpus: 0.5
  memory: 64m
  network: false
""")
    run = lab.start()
    container = lab.running()
    lab.wait_for_log(run.id, "a", "docker-init")
    log = lab.log(run.id, "a")
    assert "CapEff:\t0000000000000000" in log
    assert "CapBnd:\t0000000000000000" in log
    assert "NoNewPrivs:\t1" in log
    found = lab.engine.inspect(container)
    host = found["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 64 << 20, 64 << 20)
    assert found["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
    assert host["NetworkMode"] == "none"
    assert list(found["NetworkSettings"]["Networks"]) == ["none"]
    assert {
        "podium.run": str(run.id),
        "podium.step": "a",
        "podium.attempt": "1",
        "podium.role": "step",
    }.items() <= found["Config"]["Labels"].items()


def test_a_network_is_there_or_not(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f"""
on: {{image: "{shell_image}", run: "ls /sys/class/net"}}
off: {{image: "{shell_image}", run: "ls /sys/class/net", network: false}}
""")
    run, _ = lab.run()
    assert lab.log(run.id, "on").splitlines()[1:] == ["eth0", "lo"]
    assert lab.log(run.id, "off").splitlines()[1:] == ["lo"]


def test_secrets_reach_the_command_and_not_the_engine(
    lab: StepLab, shell_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2hunter2")
    lab.write(
        "podium.yaml",
        f"""
project: lab
env: {{TOKEN: "${{API_TOKEN}}", URL: "https://me:${{API_TOKEN}}@example.org/it's", PLAIN: "visible"}}
pipelines:
  main:
    steps:
      a:
        image: {shell_image}
        run: |
          echo "$TOKEN" "$URL" "$MLFLOW_TRACKING_PASSWORD" > seen; echo "it is $TOKEN ${{API_TOKEN}}"
          while test ! -e go; do sleep 0.05; done; exit 3
""",
    )
    run = lab.start()
    container = lab.running()
    lab.wait_for_log(run.id, "a", "it is ***")
    whole = json.dumps(lab.engine.inspect(container))
    lab.write("go", "")
    found, steps = lab.finish(run.id)
    assert (lab.home / "seen").read_text() == f"{SECRET} https://me:{SECRET}@example.org/it's hunter2hunter2\n"
    assert '"PLAIN=visible"' in whole
    assert steps["a"].exit_code == 3
    for text in (whole, json.dumps(lab.inspected()), lab.log(run.id, "a", "oep"), found.message, steps["a"].message):
        assert SECRET not in text
        assert "hunter2hunter2" not in text
    assert (
        subprocess.run(
            ["grep", "-rl", SECRET, str(lab.home / ".podium")], capture_output=True, text=True, check=False
        ).stdout
        == ""
    )


def as_somebody(lab: StepLab, *groups: str) -> subprocess.CompletedProcess[str]:
    """`podium run` by a user who is not root, in these groups."""
    setpriv = shutil.which("setpriv")
    if os.getuid() != 0 or setpriv is None:
        pytest.skip("needs root, to be somebody else")
    subprocess.run(["chown", "-R", "12345:23456", str(lab.home)], check=True)
    for parent in list(lab.home.parents)[:-2]:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    # The interpreter may stand in somebody's home: it is allowed to read what it is made of, and nothing else.
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    who = ("--reuid", "12345", "--regid", "23456", *(("--groups", ",".join(groups)) if groups else ("--clear-groups",)))
    environ = {"PATH": os.environ["PATH"], "HOME": str(lab.home), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [setpriv, *who, *reading, sys.executable, "-m", "podium.cli", "run"]
    return subprocess.run(
        argv, cwd=lab.home, env=environ, capture_output=True, text=True, timeout=scaled(60), check=False
    )


def test_outputs_belong_to_the_caller(lab: StepLab, shell_image: str) -> None:
    """Podium as somebody who is not root, with the right to use the engine."""
    lab.pipeline(
        f'a: {{image: "{shell_image}", run: "mkdir -p out; id -u >out/id; id -G >out/groups; touch $HOME/x /tmp/y",'
        " outputs: [out/]}"
    )
    group = str(os.stat(lab.engine.address.path).st_gid)
    done = as_somebody(lab, group)
    assert done.returncode == 0, done.stderr
    status = (lab.home / "out/id").stat()
    assert (status.st_uid, status.st_gid) == (12345, 23456)
    assert (lab.home / "out/id").read_text() == "12345\n"
    assert group in (lab.home / "out/groups").read_text().split()


def test_who_may_not_use_the_engine_is_told_so(lab: StepLab, shell_image: str) -> None:
    lab.pipeline(f'a: {{image: "{shell_image}", run: "true"}}')
    done = as_somebody(lab)
    assert done.returncode == 1
    assert "no permission on the socket of the Docker engine at unix://" in done.stderr
    assert "add yourself to the group `docker`" in done.stderr


def test_a_pushed_commit_runs_in_its_worktree_and_git_works_there(lab: StepLab, shell_image: str) -> None:
    lab.git("init", "-q", "-b", "main")
    lab.write(".gitignore", ".podium/\n")
    lab.pipeline(
        f'a: {{image: "{shell_image}", run: "git log -1 --format=%H; git status --short; cat text; echo new >text"}}'
    )
    lab.write("text", "committed")
    sha = lab.commit("one")
    lab.write("text", "edited since")
    run, steps = lab.run(commit="HEAD")
    assert run.state is RunState.SUCCEEDED, lab.log(run.id, "a", "oep")
    assert lab.log(run.id, "a").splitlines()[1:] == [sha, "committed"]
    assert (lab.home / "text").read_text() == "edited since"
    assert steps["a"].state is StepState.SUCCEEDED


def test_a_project_below_the_top_of_its_checkout_sees_the_rest_of_it(
    tmp_path: Path, engine: Engine, shell_image: str
) -> None:
    lab = StepLab(tmp_path / "repository" / "service", engine)
    try:
        top = lab.home.parent
        subprocess.run(["git", "init", "-q", str(top)], check=True)
        (top / "shared.txt").write_text("shared")
        command = (
            "cat ../shared.txt; touch mine; touch ../theirs 2>/dev/null || echo read-only; git rev-parse"
            " --show-toplevel"
        )
        lab.pipeline(f'a: {{image: "{shell_image}", run: "{command}"}}')
        run, _ = lab.run()
        assert lab.log(run.id, "a").splitlines()[1:] == ["sharedread-only", str(top)]
        assert (lab.home / "mine").exists()
    finally:
        lab.close()
