"""Noticing pushes, without asking Git more often than it takes."""

from __future__ import annotations

import os
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.errors import UsageError
from podium.core.journal import Journal
from podium.core.triggers.pushes import Pushes

from ..scm.support import commit, git


def test_a_push_that_starts_no_run_is_a_trouble_until_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise UsageError("no worker can be started")

    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "podium.yaml").write_text(YAML)
    commit(tmp_path, "first", file="1")
    with Journal.open(tmp_path / ".podium" / "journal.db") as journal:
        project, pushes = load(tmp_path, environ={}), Pushes(journal, lambda _: None)
        pushes.look(project)
        monkeypatch.setattr("podium.core.engine.submit.submit_pipeline", refuse)
        sha = commit(tmp_path, "second", file="2")
        pushes.look(project)
        troubles = {each.subject: each.words for each in journal.agent.status().troubles}
        assert set(troubles) == {"push to main (one)", "push to main (two)"}
        assert all(sha[:9] in words and "no worker can be started" in words for words in troubles.values())
        monkeypatch.setattr("podium.core.engine.submit.submit_pipeline", lambda *_args, **_more: Namespace(id=7))
        commit(tmp_path, "third", file="3")
        pushes.look(project)
        assert journal.agent.status().troubles == ()
        # Of a pipeline that no push starts any more nothing is told.
        journal.agent.note("push to main (gone)", "x", lasting=True)
        pushes.look(project, rung=True)
        assert journal.agent.status().troubles == ()


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
