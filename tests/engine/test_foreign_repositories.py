"""Runs of other people's repositories: what is installed from the working tree, pointers of Git LFS, line ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState
from podium.core.engine.editable import import_paths
from podium.core.errors import Refused

from tests.engine.lab import Lab

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
FINDER = "from __future__ import annotations\nMAPPING: dict[str, str] = {'mypkg': '%s'}\nNAMESPACES: dict = {}\n"


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """The site-packages of an environment whose `python` is this one."""
    home = tmp_path / "venv"
    packages = home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin" / "python").symlink_to(sys.executable)
    (home / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
    return packages


@pytest.mark.parametrize("how", ["path", "finder"])
def test_a_run_of_a_commit_imports_its_own_code(
    lab: Lab, venv: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = lab.write("src/mypkg/__init__.py", "V = 'old'\n").parent
    lab.write(".gitignore", ".podium/\n__pycache__/\n")
    lab.pipeline("show: {run: \"python -c 'import mypkg; print(mypkg.V)'\"}")
    lab.git("init", "-q", "-b", "main")
    lab.commit("old")
    lab.write("src/mypkg/__init__.py", "V = 'new'\n")
    if how == "path":
        (venv / "__editable__.mypkg.pth").write_text(f"{package.parent}\n")
    else:
        (venv / "__editable___mypkg_finder.py").write_text(FINDER % package)
    monkeypatch.setenv("VIRTUAL_ENV", str(venv.parents[2]))
    monkeypatch.setenv("PATH", f"{venv.parents[2] / 'bin'}{os.pathsep}{os.environ['PATH']}")
    run, steps = lab.run(commit="HEAD")
    assert run.state is RunState.SUCCEEDED, (run.message, steps["show"].message)
    assert lab.log(run.id, "show") == "old" and "imported from the commit" in lab.log(run.id, "show", "p")
    if how == "path":
        run, _ = lab.run()
        assert lab.log(run.id, "show") == "new", "a run of the working tree is as it was"


def test_what_the_commit_does_not_have_is_refused(venv: Path, tmp_path: Path) -> None:
    main, worktree = tmp_path / "main", tmp_path / "worktree"
    package = main / "src" / "mypkg"
    package.mkdir(parents=True)
    worktree.mkdir()
    environ = {"PATH": str(venv.parents[2] / "bin")}
    (venv / "__editable___mypkg_finder.py").write_text(FINDER % package)
    (venv / "other.pth").write_text(f"{tmp_path}\nimport sys\n# nothing\n")
    with pytest.raises(Refused, match="mypkg is installed from the working tree") as caught:
        import_paths(environ, main, worktree)
    assert "pip install ." in caught.value.hint
    (worktree / "src" / "mypkg").mkdir(parents=True)
    assert import_paths(environ, main, worktree) == [str(worktree / "src")]
    assert import_paths(environ, tmp_path / "elsewhere", worktree) == []
    assert import_paths({"PATH": str(tmp_path)}, main, worktree) == []


@pytest.mark.parametrize("inputs", ["data.csv", "data", "data/*.csv"])
def test_a_pointer_of_lfs_is_no_input(lab: Lab, inputs: str) -> None:
    name = "data.csv" if inputs == "data.csv" else "data/data.csv"
    lab.write(name, POINTER)
    run, steps = lab.run(lab.pipeline(f"train: {{run: 'cat {name}', inputs: ['{inputs}']}}"))
    assert run.state is RunState.FAILED and f"input '{name}' is a pointer of Git LFS" in steps["train"].message
    lab.write(name, "x,y\n" * 40)
    assert lab.run()[0].state is RunState.SUCCEEDED


def test_a_script_with_the_line_ends_of_windows_is_named(lab: Lab) -> None:
    lab.write("train.sh", "").write_bytes(b"#!/bin/sh\r\necho 1\r\n")
    (lab.home / "train.sh").chmod(0o755)
    run, steps = lab.run(lab.pipeline("train: {run: ./train.sh}"))
    assert run.state is RunState.FAILED
    assert "the first line of ./train.sh ends with \\r" in steps["train"].message
    assert ".gitattributes" in lab.log(run.id, "train", "p")
