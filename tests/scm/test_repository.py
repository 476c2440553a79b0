"""Against real repositories, in directories with names that real people give."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from podium.core.errors import MissingExtra, NotFound, PodiumError, Refused, Unreachable, UsageError
from podium.core.scm import Repository
from podium.core.scm import git as git_module

from tests.runner.scale import scaled
from tests.support import wait_until

from .support import commit, git


def test_a_life_in_any_directory(empty: Path, tmp_path: Path) -> None:
    repository = Repository.open(empty)
    assert (repository.root, repository.branch(), repository.log(), repository.branch_tip("main")) == (
        empty,
        "main",
        [],
        None,
    )
    with pytest.raises(NotFound, match="no commit yet"):
        repository.head()
    before = time.time()
    first = commit(empty, "first: 'quotes' \"and\" ünï", **{"a file": "1"})
    second = commit(empty, "second", **{"a file": "2", "ünï 'x' \"y\"": "3"})
    head = repository.head()
    assert (head.sha, head.short, head.author, head.subject) == (second, second[:9], "Ünit Tést", "second")
    assert before - 1 <= head.at <= time.time() + 1
    assert [each.subject for each in repository.log()] == ["second", "first: 'quotes' \"and\" ünï"]
    assert [each.sha for each in repository.log(1, "main")] == [second] and repository.branch_tip("main") == second
    worktree = tmp_path / "work 'trees'" / "7"
    repository.worktree_add(first, worktree)
    assert (worktree / "a file").read_text() == "1" and Repository.open(worktree).branch() == ""
    assert Repository.open(worktree).git_dir == repository.git_dir
    (worktree / "left over").write_text("x")
    repository.worktree_remove(worktree)
    assert not worktree.exists() and len(git(empty, "worktree", "list").splitlines()) == 1
    repository.worktree_remove(worktree)


def test_dirty(tree: Path) -> None:
    repository = Repository.open(tree)
    assert not repository.dirty()
    commit(tree, **{"a": "1", ".gitignore": "ignored\n"})
    assert not repository.dirty()
    (tree / ".podium").mkdir()
    (tree / ".podium" / "journal.db").touch()
    (tree / "ignored").touch()
    assert not repository.dirty(), "Podium's own state and what is ignored do not count"
    (tree / "new").touch()
    assert repository.dirty()
    (tree / "new").unlink()
    (tree / "a").write_text("2")
    assert repository.dirty()
    git(tree, "add", "a")
    assert repository.dirty()
    assert not (tree / ".git" / "index.lock").exists()


def test_a_project_in_a_directory_of_a_bigger_repository(tree: Path, tmp_path: Path) -> None:
    project = tree / "models" / "my flights"
    project.mkdir(parents=True)
    (project / "podium.yaml").write_text("project: p\n")
    sha = commit(tree)
    repository = Repository.open(project)
    assert (repository.root, repository.prefix) == (tree, "models/my flights")
    (tree / "elsewhere").touch()
    assert not repository.dirty(), "only the project's own files count"
    repository.worktree_add(sha, tmp_path / "w")
    assert (tmp_path / "w" / repository.prefix / "podium.yaml").is_file()


def test_detached_head(tree: Path) -> None:
    sha = commit(tree)
    git(tree, "checkout", "-q", "--detach")
    repository = Repository.open(tree)
    assert repository.branch() == "" and repository.head().sha == sha and repository.branch_tip("main") == sha


def test_resolve(tree: Path) -> None:
    repository = Repository.open(tree)
    first, second = commit(tree), commit(tree)
    git(tree, "tag", "-a", "v1", "-m", "tag", first)
    for rev in (first, first[:8], "v1", "HEAD~1", "main^"):
        assert repository.resolve(rev).sha == first
    assert repository.resolve("main").sha == second
    for rev in ("nope", "deadbeef", "HEAD~9", "main:file"):
        with pytest.raises(NotFound):
            repository.resolve(rev)
    for rev in ("", "--output=x", "a\nb", "a\0b"):
        with pytest.raises(UsageError):
            repository.resolve(rev)
    assert [repository.branch_tip(name) for name in ("nope", "", "v1", "--all", "a\0b", "x y")] == [None] * 6
    assert repository.log(branch="nope") == []


def test_the_tips_of_several_branches_at_once(empty: Path) -> None:
    repository = Repository.open(empty)
    assert repository.branch_tips(["main"]) == {}, "no commit yet"
    sha = commit(empty, "first", file="1")
    git(empty, "branch", "feature/one")
    git(empty, "branch", "feature/two")
    git(empty, "tag", "v1")
    asked = ["main", "feature/one", "feature", "feature/*", "v1", "nope", "", "a\0b", "--all", "x y"]
    assert repository.branch_tips(asked) == {"main": sha, "feature/one": sha}
    assert repository.branch_tips([]) == {}


def test_not_a_repository(tmp_path: Path) -> None:
    assert Repository.find(tmp_path) is None
    with pytest.raises(NotFound) as caught:
        Repository.open(tmp_path)
    assert "git init" in caught.value.hint
    with pytest.raises(PodiumError, match="does not exist"):
        Repository.open(tmp_path / "nope")


def test_a_bare_repository(tree: Path, tmp_path: Path) -> None:
    sha = commit(tree)
    git(tmp_path, "clone", "-q", "--bare", str(tree), "bare.git")
    repository = Repository.open(tmp_path / "bare.git")
    assert repository.bare and repository.head().sha == sha and not repository.dirty()
    repository.worktree_add("main", tmp_path / "w")
    assert (tmp_path / "w" / "file").exists()


def test_git_is_missing(tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra) as caught:
        Repository.open(tree)
    assert "install git" in caught.value.hint


def test_a_git_that_hangs_is_ended_with_its_children(
    tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\nsleep 100000 & echo $! > '{tmp_path}/child'\nwait\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(Unreachable, match="did not end"):
        git_module.git(tree, "status", timeout=2.0)
    child = int((tmp_path / "child").read_text())
    stat = Path(f"/proc/{child}/stat")

    def gone() -> bool:
        try:
            return stat.read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    wait_until(gone, 5, what="the child of git has ended")


def test_called_from_a_hook_it_still_sees_its_own_repository(
    tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sha = commit(tree)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other.index"))
    assert Repository.open(tree).head().sha == sha


def test_programs_of_the_repository_do_not_run(tree: Path, tmp_path: Path) -> None:
    sha = commit(tree)
    spy = tree / ".git" / "hooks" / "post-checkout"
    spy.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    spy.chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(spy))
    repository = Repository.open(tree)
    repository.dirty()
    repository.worktree_add(sha, tmp_path / "w")
    assert not (tmp_path / "ran").exists()


def test_worktrees_that_cannot_be(tree: Path, tmp_path: Path) -> None:
    sha = commit(tree)
    repository = Repository.open(tree)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    with pytest.raises(Refused):
        repository.worktree_add(sha, full)
    with pytest.raises(NotFound, match="not a worktree"):
        repository.worktree_remove(full)
    assert (full / "mine").exists()
    with pytest.raises(NotFound):
        repository.worktree_add("nope", tmp_path / "w")


def test_a_worktree_deleted_behind_gits_back(tree: Path, tmp_path: Path) -> None:
    sha = commit(tree)
    repository = Repository.open(tree)
    repository.worktree_add(sha, tmp_path / "w")
    subprocess.run(["rm", "-rf", str(tmp_path / "w")], check=True)
    repository.worktree_add(sha, tmp_path / "w")
    assert (tmp_path / "w" / "file").exists()


def test_many_worktrees_at_once(tree: Path, tmp_path: Path) -> None:
    sha = commit(tree)
    repository = Repository.open(tree)
    errors: list[Exception] = []

    def add(number: int) -> None:
        try:
            repository.worktree_add(sha, tmp_path / str(number) / "w")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(30))
    assert not errors
    assert all((tmp_path / str(number) / "w" / "file").exists() for number in range(6))
