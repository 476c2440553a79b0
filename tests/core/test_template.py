"""What `podium init` writes is a project that works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from podium.core import template
from podium.core.config import load
from podium.core.errors import Refused, UsageError

from tests.runner.scale import scaled

COMMIT = ("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")


def test_the_project_is_valid_and_named_after_its_directory(tmp_path: Path) -> None:
    home = tmp_path / "churn model"
    made = template.create(home)
    assert {path.relative_to(home).as_posix() for path in made} == {
        "podium.yaml",
        "train.py",
        "tests/test_smoke.py",
        ".gitignore",
    }
    project = load(home)
    assert project.name == "churn-model"
    assert project.mlflow.model == "churn-model"
    assert list(project.pipelines["release"].steps) == ["unit", "data", "train", "candidate", "gate"]


def test_its_own_tests_pass(tmp_path: Path) -> None:
    template.create(tmp_path, name="mine")
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", "-s", "tests"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=scaled(60),
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr


def test_a_second_init_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    template.create(tmp_path)
    (tmp_path / "podium.yaml").write_text("mine")
    with pytest.raises(UsageError, match="already"):
        template.create(tmp_path)
    assert (tmp_path / "podium.yaml").read_text() == "mine"


def test_existing_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    with pytest.raises(Refused, match=r"train\.py"):
        template.create(tmp_path)
    assert (tmp_path / "train.py").read_text() == "mine"
    assert not (tmp_path / "podium.yaml").exists()


def test_gitignore_only_grows(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.csv\ndata/")
    template.create(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*.csv\ndata/\n.podium/\n__pycache__/\n"


@pytest.mark.parametrize("name", ["a b", "../x", "-x", "", "é", "x" * 64])
def test_names(name: str, tmp_path: Path) -> None:
    if name:
        with pytest.raises(UsageError):
            template.project_name(name, given=True)
    made = template.project_name(name, given=False)
    assert template.project_name(made, given=True) == made


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError):
        template.create(tmp_path / "x")
    with pytest.raises(UsageError):
        template.create(tmp_path / "x" / "y")


def test_its_model_is_saved_without_a_pickle_and_without_a_warning(tmp_path: Path) -> None:
    template.create(tmp_path)
    # Without what other tests of this process have MLflow note for its own children, such as an experiment's number.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environ = {**inherited, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    for words in (["data", "--rows", "100"], ["fit", "--depth", "2"]):
        done = subprocess.run(
            [sys.executable, "train.py", *words],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=scaled(120),
        )
        assert done.returncode == 0, done.stderr
        assert "pickle" not in done.stderr and "WARNING" not in done.stderr, done.stderr
    (model,) = tmp_path.glob("mlruns/**/MLmodel")
    assert sorted(path.name for path in model.parent.glob("model.*")) == ["model.skops"]
    needs = (model.parent / "requirements.txt").read_text()
    assert "skops==" in needs and "scikit-learn==" in needs


@pytest.mark.parametrize(
    ("git", "branch"),
    [
        ([], "main"),
        ([("init", "-q", "-b", "main")], "main"),
        ([("init", "-q", "-b", "master")], "master"),
        ([("init", "-q", "-b", "größe/1")], "größe/1"),
        ([("init", "-q", "-b", "main"), COMMIT, ("checkout", "-q", "-b", "topic")], "main"),
        ([("init", "-q", "-b", "master"), COMMIT, ("checkout", "-q", "-b", "topic")], "master"),
        (
            [("init", "-q", "-b", "main"), ("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/dev")],
            "dev",
        ),
    ],
)
def test_it_watches_the_branch_that_the_repository_has(tmp_path: Path, git: list[tuple[str, ...]], branch: str) -> None:
    for words in git:
        subprocess.run(["git", *words], cwd=tmp_path, check=True, timeout=scaled(30))
    template.create(tmp_path, name="mine")
    project = load(tmp_path)
    assert project.git.branch == branch and project.pipelines["release"].on.push == (branch,)
