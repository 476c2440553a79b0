"""Noticing pushes, without asking Git more often than it takes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.journal import Journal
from podium.core.triggers.pushes import Pushes

from ..scm.support import commit, git

YAML = """\
project: p
pipelines:
  one: {on: {push: [main, release]}, steps: {s: {run: "true"}}}
  two: {on: {push: [main]}, steps: {s: {run: "true"}}}
"""


def test_a_look_asks_git_once_for_all_branches_of_all_pipelines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, tools, asked = tmp_path / "home", tmp_path / "bin", tmp_path / "asked"
    for directory in (home, tools):
        directory.mkdir()
    git(home, "init", "-q", "-b", "main")
    (home / "podium.yaml").write_text(YAML)
    commit(home, "first", file="1")
    git(home, "branch", "release")
    real = shutil.which("git")
    (tools / "git").write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexec {real} "$@"\n')
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    said: list[str] = []
    with Journal.open(home / ".podium" / "journal.db") as journal:
        project, pushes = load(home, environ={}), Pushes(journal, said.append)
        assert pushes.look(project) == [] and said == [], "what is there already starts nothing"
        sha = commit(home, "second", file="2")
        git(home, "branch", "-f", "release")
        journal.quarantine.add(project.mlflow.model, 1, sha, "anna")
        asked.write_text("")
        assert pushes.look(project) == [] and len(said) == 3, said
    lines = [
        line for line in asked.read_text().splitlines() if "refs/heads/main" in line or "rev-parse --verify" in line
    ]
    assert len(lines) == 1 and "for-each-ref" in lines[0]
