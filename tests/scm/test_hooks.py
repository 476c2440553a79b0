"""The hooks wake the agent, and leave what is not ours as it was, to the byte."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from podium.core.errors import Refused, UsageError
from podium.core.scm import Repository
from podium.core.scm.hooks import HOOKS

from tests.runner.scale import scaled

from .support import commit, git


@pytest.fixture
def bell(tmp_path: Path) -> Path:
    return tmp_path / "bell 'of' ünï"


def wake(bell: Path) -> str:
    return f"echo rang >> {shlex.quote(str(bell))}; echo noise; exit 3"


def rings(bell: Path) -> int:
    return len(bell.read_text().splitlines()) if bell.exists() else 0


def hook(tree: Path, name: str = "post-commit") -> Path:
    return tree / ".git" / "hooks" / name


def write(path: Path, text: str | bytes, mode: int = 0o755) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


def test_commits_merges_and_pushes_ring(tree: Path, bell: Path, tmp_path: Path) -> None:
    repository = Repository.open(tree)
    assert repository.install_hooks(wake(bell)) == []
    commit(tree)
    assert rings(bell) == 1
    git(tree, "checkout", "-q", "-b", "side")
    commit(tree)
    git(tree, "checkout", "-q", "main")
    git(tree, "merge", "-q", "side")
    assert rings(bell) == 3
    git(tree, "config", "receive.denyCurrentBranch", "updateInstead")
    git(tmp_path, "clone", "-q", str(tree), "clone")
    commit(tmp_path / "clone")
    git(tmp_path / "clone", "push", "-q", "origin", "main")
    assert rings(bell) == 4
    repository.remove_hooks()
    commit(tree)
    assert rings(bell) == 4 and not any(hook(tree, name).exists() for name in HOOKS)


def test_again_replaces_and_nothing_doubles(tree: Path, bell: Path) -> None:
    repository = Repository.open(tree)
    repository.install_hooks("echo old")
    repository.install_hooks(wake(bell))
    once = hook(tree).read_bytes()
    repository.install_hooks(wake(bell))
    assert hook(tree).read_bytes() == once and b"echo old" not in once
    commit(tree)
    assert rings(bell) == 1


@pytest.mark.parametrize(
    "own",
    [
        "#!/bin/sh\necho mine >> mine\nexit 0\n",
        "#!/usr/bin/env bash\nset -eu\necho mine >> mine\nexec true\n",
        "#!/bin/sh -e\necho mine >> mine",
        b"#!/bin/sh\necho mine >> mine # \xff\n",
    ],
)
def test_a_users_own_hook_stays(tree: Path, bell: Path, own: str | bytes) -> None:
    path = hook(tree)
    write(path, own, 0o755)
    before = path.read_bytes()
    repository = Repository.open(tree)
    repository.install_hooks(wake(bell))
    commit(tree)
    assert rings(bell) == 1 and (tree / "mine").read_text() == "mine\n"
    assert path.stat().st_mode & 0o777 == 0o755
    repository.remove_hooks()
    assert path.read_bytes() == before


def test_a_users_hook_still_reads_what_git_gives_it(tree: Path, bell: Path, tmp_path: Path) -> None:
    commit(tree)
    git(tmp_path, "clone", "-q", "--bare", str(tree), "bare.git")
    write(tmp_path / "bare.git" / "hooks" / "post-receive", f"#!/bin/sh\ncat > '{tmp_path}/got'\n")
    Repository.open(tmp_path / "bare.git").install_hooks(wake(bell))
    commit(tree)
    git(tree, "push", "-q", str(tmp_path / "bare.git"), "main")
    assert rings(bell) == 1 and "refs/heads/main" in (tmp_path / "got").read_text()


def test_what_cannot_take_a_block_is_left_alone(tree: Path, bell: Path, tmp_path: Path) -> None:
    write(hook(tree, "post-commit"), "#!/usr/bin/env python3\nprint('mine')\n")
    write(hook(tree, "post-merge"), "#!/bin/sh\necho off\n", 0o644)
    write(tmp_path / "shared", "#!/bin/sh\n")
    hook(tree, "post-receive").symlink_to(tmp_path / "shared")
    before = [hook(tree, name).read_bytes() for name in HOOKS]
    left = Repository.open(tree).install_hooks(wake(bell))
    assert [line.partition(":")[0] for line in left] == list(HOOKS)
    assert "not a shell script" in left[0] and "switched off" in left[1] and "link" in left[2]
    Repository.open(tree).remove_hooks()
    assert [hook(tree, name).read_bytes() for name in HOOKS] == before and not os.access(
        hook(tree, "post-merge"), os.X_OK
    )


def test_two_projects_of_one_repository(tree: Path, tmp_path: Path) -> None:
    bells = [tmp_path / "one", tmp_path / "two"]
    for name, bell in zip(("a", "b"), bells, strict=True):
        (tree / name).mkdir()
        (tree / name / "podium.yaml").touch()
        Repository.open(tree / name).install_hooks(wake(bell))
    commit(tree)
    assert [rings(bell) for bell in bells] == [1, 1]
    Repository.open(tree / "a").remove_hooks()
    commit(tree)
    assert [rings(bell) for bell in bells] == [1, 2]
    Repository.open(tree / "b").remove_hooks()
    assert not hook(tree).exists()


def test_hooks_kept_elsewhere_are_not_touched(tree: Path, tmp_path: Path) -> None:
    git(tree, "config", "core.hooksPath", ".githooks")
    with pytest.raises(Refused, match=r"core\.hooksPath"):
        Repository.open(tree).install_hooks("true")
    assert not (tree / ".git/.githooks").exists()
    git(tree, "config", "core.hooksPath", str(tmp_path / "shared hooks"))
    with pytest.raises(Refused, match=r"core\.hooksPath"):
        Repository.open(tree).install_hooks("true")
    assert not (tmp_path / "shared hooks").exists()


def test_a_command_that_would_break_the_block(tree: Path) -> None:
    with pytest.raises(UsageError):
        Repository.open(tree).install_hooks("true # <<< podium <<< .\n")


def test_from_a_worktree_it_is_the_repositorys_hooks(tree: Path, bell: Path, tmp_path: Path) -> None:
    sha = commit(tree)
    repository = Repository.open(tree)
    repository.worktree_add(sha, tmp_path / "w")
    Repository.open(tmp_path / "w").install_hooks(wake(bell))
    commit(tree)
    assert rings(bell) == 1


def test_what_the_agent_really_installs_rings_its_doorbell(tree: Path) -> None:
    wake_module = pytest.importorskip("podium.core.triggers.wake")
    (tree / ".podium").mkdir()
    repository = Repository.open(tree)
    repository.install_hooks(wake_module.hook_command(tree))
    commit(tree, file="no agent: nothing waits")
    doorbell = wake_module.Doorbell(tree / ".podium")
    try:
        commit(tree, file="2")
        assert doorbell.wait(scaled(5))
    finally:
        doorbell.close()
    subprocess.run(["git", "status"], cwd=tree, check=True, capture_output=True, timeout=scaled(30))
