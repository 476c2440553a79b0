"""The worktree of a commit is whole and as it was committed, whatever the main checkout is like."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from podium.core.errors import PodiumError
from podium.core.scm import Repository

from .support import commit, git


def test_a_sparse_checkout_has_whole_worktrees(tree: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tree / name).mkdir()
    sha = commit(tree, **{"a/x": "1", "b/y": "2"})
    git(tree, "sparse-checkout", "set", "a")
    assert not (tree / "b").exists()
    Repository.open(tree).worktree_add(sha, tmp_path / "w")
    assert (tmp_path / "w" / "b" / "y").read_text() == "2"


def test_line_ends_are_those_of_the_commit(tree: Path, tmp_path: Path) -> None:
    sha = commit(tree, **{"train.sh": "#!/bin/sh\necho 1\n", ".gitattributes": "* text=auto\n"})
    for key, value in (("core.autocrlf", "true"), ("core.eol", "crlf")):
        git(tree, "config", key, value)
    Repository.open(tree).worktree_add(sha, tmp_path / "w")
    assert (tmp_path / "w" / "train.sh").read_bytes() == b"#!/bin/sh\necho 1\n"


def test_submodules_are_checked_out_from_what_is_here(tree: Path, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for place, text in ((inner, "inner"), (outer, "outer")):
        place.mkdir()
        git(place, "init", "-q", "-b", "main")
        commit(place, text=text)
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "deep/er")
    commit(outer, "a submodule")
    git(tree, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(outer), "lib")
    git(tree, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "other one")
    git(tree, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init", "--recursive")
    first = commit(tree, "submodules")
    (tree / "lib" / "text").write_text("outer 2")
    git(tree / "lib", "commit", "-q", "-a", "-m", "changed")
    commit(tree, "the submodule moves")
    for place in (inner, outer):
        shutil.rmtree(place)  # nothing is fetched
    repository = Repository.open(tree)
    for work in (tmp_path / "w1", tmp_path / "w2"):
        assert repository.worktree_add(first, work) == []
        assert (work / "lib" / "text").read_text() == "outer"
        assert (work / "lib" / "deep" / "er" / "text").read_text() == "inner"
        assert (work / "other one" / "text").read_text() == "inner"
    assert (tree / "lib" / "text").read_text() == "outer 2" and not repository.dirty()
    repository.worktree_remove(tmp_path / "w1")
    assert not (tmp_path / "w1").exists()
    listed = git(tree / "lib", "worktree", "list").splitlines()
    assert len(listed) == 2 and "w2" in listed[1]


def test_submodules_that_are_not_here_are_named(tree: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    commit(inner)
    git(tree, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "lib")
    sha = commit(tree, "a submodule")
    git(tmp_path, "clone", "-q", str(tree), "clone")
    assert Repository.open(tmp_path / "clone").worktree_add(sha, tmp_path / "w") == ["lib"]
    assert list((tmp_path / "w" / "lib").iterdir()) == []


@pytest.mark.parametrize("name", ["../../../elsewhere", "/elsewhere"])
def test_a_submodule_whose_name_leads_elsewhere_is_not_here(tree: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "-q", "-b", "main")
    inside = commit(elsewhere)
    file = (
        f'[submodule "{name.replace("/elsewhere", str(elsewhere)) if name.startswith("/") else name}"]\n\tpath = lib\n'
    )
    (tree / ".gitmodules").write_text(file)
    git(tree, "add", ".gitmodules")
    git(tree, "update-index", "--add", "--cacheinfo", f"160000,{inside},lib")
    git(tree, "commit", "-q", "-m", "hostile")
    assert Repository.open(tree).worktree_add("main", tmp_path / "w") == ["lib"]


def test_lfs_that_is_not_installed_is_named(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = commit(
        tree, **{"data.bin": "version https://git-lfs.github.com/spec/v1\n", ".gitattributes": "*.bin filter=lfs\n"}
    )
    for key, value in (("process", "git-lfs filter-process"), ("smudge", "git-lfs smudge -- %f"), ("required", "true")):
        git(tree, "config", f"filter.lfs.{key}", value)
    programs = tmp_path / "programs"  # of this machine, without Git LFS
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    with monkeypatch.context() as without:
        without.setenv("PATH", str(programs))
        without.setenv("GIT_EXEC_PATH", subprocess.check_output(["git", "--exec-path"], text=True).strip())
        with pytest.raises(PodiumError, match="Git LFS") as caught:
            Repository.open(tree).worktree_add(sha, tmp_path / "w")
    assert "install git-lfs" in caught.value.hint and "GIT_LFS_SKIP_SMUDGE=1" in caught.value.hint
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    Repository.open(tree).worktree_add(sha, tmp_path / "w2")
    assert (tmp_path / "w2" / "data.bin").read_text().startswith("version")


def test_a_partial_clone_without_its_remote_is_named(tree: Path, tmp_path: Path) -> None:
    git(tree, "config", "uploadpack.allowFilter", "true")
    first = commit(tree, file="1")
    commit(tree, file="2")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{tree}", "partial")
    tree.rename(tmp_path / "gone")
    with pytest.raises(PodiumError, match="partial clone") as caught:
        Repository.open(tmp_path / "partial").worktree_add(first, tmp_path / "w")
    assert "git fetch --refetch" in caught.value.hint and "\n" not in caught.value.message
