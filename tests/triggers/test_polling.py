"""Pushes to a repository elsewhere: fetched, and run as if they had arrived here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.domain.runs import RunState
from podium.core.errors import ConfigError, Refused, Unreachable
from podium.core.scm import Repository
from podium.core.scm.remote import Remote, advertised, fetch, push_over
from podium.core.triggers import daemon
from podium.core.triggers.polling import Polling, look
from podium.core.triggers.pushes import Pushes
from podium.core.triggers.wake import RUNG, Doorbell, wake

from tests.engine.lab import Lab
from tests.scm.support import commit, git
from tests.support import wait_until

FILE = """
project: lab
git: {remote: %s, poll: 1s}
pipelines:
  main:
    on: {push: main}
    concurrency: every
    steps:
      show: {run: "cat word.txt"}
"""


class Elsewhere:
    """A bare repository, somebody's clone of it, and the project, which is another clone."""

    def __init__(self, directory: Path) -> None:
        self.bare, self.work = directory / "origin.git", directory / "work"
        git(directory, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(directory, "clone", "-q", str(self.bare), str(self.work))
        git(self.work, "checkout", "-q", "-b", "main")
        (self.work / ".gitignore").write_text(".podium/\n")
        (self.work / "podium.yaml").write_text(FILE % self.bare)
        self.push("first")
        git(directory, "clone", "-q", str(self.bare), str(directory / "project"))
        self.lab = Lab(directory / "project")

    def push(self, word: str, *options: str) -> str:
        sha = commit(self.work, word, **{"word.txt": word})
        git(self.work, "push", "-q", *options, "origin", "HEAD:main")
        return sha

    def delivered(self) -> list[str]:
        return [run.commit for run in reversed(self.lab.journal.runs.page(limit=-1))]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    found = Elsewhere(tmp_path)
    yield found
    daemon.stop(found.lab.journal)
    found.lab.close()


def drain(elsewhere: Elsewhere, pushes: Pushes) -> None:
    lab = elsewhere.lab

    def quiet() -> bool:
        look(lab.project, lab.journal)
        return not pushes.look(lab.project, rung=True) and not lab.journal.runs.active()

    wait_until(lambda: quiet() and quiet(), 60, what="everything is delivered")


def test_what_is_there_at_first_is_no_push_and_each_later_one_is_run(elsewhere: Elsewhere) -> None:
    lab, pushes = elsewhere.lab, Pushes(elsewhere.lab.journal, lambda _: None)
    early = elsewhere.push("early")
    assert pushes.look(lab.project, rung=True) == [], "nothing was fetched yet"
    assert look(lab.project, lab.journal) and not look(lab.project, lab.journal)
    assert pushes.look(lab.project, rung=True) == []
    commits = [elsewhere.push(word) for word in ("one", "two")]
    drain(elsewhere, pushes)
    assert elsewhere.delivered() == commits and early not in commits
    assert {run.state for run in lab.journal.runs.page()} == {RunState.SUCCEEDED}
    assert lab.git("rev-parse", "refs/podium/host/main") == commits[1]
    # The clone's own branches are no business of a trigger.
    lab.write("word.txt", "local")
    lab.commit("not pushed")
    drain(elsewhere, pushes)
    assert elsewhere.delivered() == commits


def test_a_forced_push_and_a_branch_that_goes_and_comes_back(elsewhere: Elsewhere) -> None:
    lab, pushes = elsewhere.lab, Pushes(elsewhere.lab.journal, lambda _: None)
    drain(elsewhere, pushes)
    one = elsewhere.push("one")
    drain(elsewhere, pushes)
    git(elsewhere.work, "reset", "-q", "--hard", "HEAD~1")
    two = elsewhere.push("two", "--force")
    drain(elsewhere, pushes)
    assert elsewhere.delivered() == [one, two]
    git(elsewhere.bare, "update-ref", "-d", "refs/heads/main")
    drain(elsewhere, pushes)
    assert "host/main" not in lab.git("for-each-ref", "refs/podium/host")
    git(elsewhere.work, "push", "-q", "origin", f"{one}:refs/heads/main")
    drain(elsewhere, pushes)
    assert elsewhere.delivered() == [one, two]


def test_what_protects_is_the_hosts_branch_and_not_the_clones(elsewhere: Elsewhere) -> None:
    lab, pushes = elsewhere.lab, Pushes(elsewhere.lab.journal, lambda _: None)
    text = (elsewhere.work / "podium.yaml").read_text()
    (elsewhere.work / "podium.yaml").write_text(text.replace('cat word.txt"', 'cat word.txt", approval: required'))
    elsewhere.push("guarded")
    drain(elsewhere, pushes)
    (elsewhere.work / "podium.yaml").write_text(text)
    elsewhere.push("open")
    look(lab.project, lab.journal)
    [run] = pushes.look(lab.project, rung=True)
    lab.transport(run, RunState.WAITING)


def test_the_agent_polls_and_a_ring_makes_it_look_at_once(elsewhere: Elsewhere) -> None:
    lab = elsewhere.lab
    daemon.start(lab.project, lab.journal)
    wait_until(lambda: lab.journal.values.get("push:main:main:host"), 30, what="the first look")
    sha = elsewhere.push("one")
    wait_until(lambda: elsewhere.delivered() == [sha], 30, what="the poll has found it")
    wait_until(lambda: not lab.journal.runs.active(), 30)
    os.rename(elsewhere.bare, elsewhere.bare.with_suffix(".gone"))
    wake(lab.home)
    wait_until(lambda: [t.subject for t in lab.journal.agent.status().troubles] == ["fetching"], 30, what="it is told")
    os.rename(elsewhere.bare.with_suffix(".gone"), elsewhere.bare)
    wait_until(lambda: not lab.journal.agent.status().troubles, 60, what="it is over")


def test_rung_a_hundred_times_it_looks_once_a_second(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr("podium.core.triggers.polling.look", lambda *_: looks.append(1))
    monkeypatch.setattr("podium.core.triggers.polling.MIN_INTERVAL", 1e9)
    polling, lab = Polling(lambda _: None), elsewhere.lab
    lab.write("podium.yaml", (FILE % elsewhere.bare).replace("poll: 1s", "poll: 1h"))
    for _ in range(100):
        polling.ring()
        polling(lab.project, lab.journal)
    assert len(looks) == 1


def test_what_the_bell_heard(tmp_path: Path) -> None:
    (tmp_path / ".podium").mkdir()
    bell = Doorbell(tmp_path / ".podium")
    assert wake(tmp_path) and bell.wait(5) and bell.heard == RUNG
    assert not bell.wait(0) and bell.heard == b""
    bell.close()


def test_a_token_is_in_no_argument_and_no_message(elsewhere: Elsewhere) -> None:
    remote = Remote("https://127.0.0.1:1/acme/p.git", "s3cret-token")
    with pytest.raises((Unreachable, Refused)) as caught:
        advertised(Repository.open(elsewhere.work), remote, ["refs/heads/main"])
    assert "s3cret" not in str(caught.value) + repr(remote) + remote.shown
    environment = remote.environment(elsewhere.work)
    assert environment["GIT_CONFIG_KEY_0"] == "http.https://127.0.0.1:1/acme/p.git.extraHeader"
    assert "s3cret" not in "".join(environment.values()), "it is encoded, as HTTP has it"
    assert Remote("https://u:pw@h/x").shown == "https://h/x"


def test_a_credential_in_an_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(FILE % "https://me:pw@example.com/p.git")
    with pytest.raises(ConfigError, match="holds a credential"):
        load(tmp_path)
    (tmp_path / "podium.yaml").write_text(FILE % "'ext::sh -c touch'")
    with pytest.raises(ConfigError, match="is not the name of a remote"):
        load(tmp_path)


def test_a_ref_is_moved_only_from_where_it_was(elsewhere: Elsewhere) -> None:
    repository, remote = Repository.open(elsewhere.work), Remote(str(elsewhere.bare))
    first, second = git(elsewhere.work, "rev-parse", "HEAD"), elsewhere.push("one")
    ref = "refs/podium/lease/main"
    assert push_over(repository, remote, ref, first, "")
    assert not push_over(repository, remote, ref, second, "")
    assert push_over(repository, remote, ref, second, first)
    assert not push_over(repository, remote, ref, first, first)
    assert advertised(repository, remote, [ref]) == {ref: second}
    fetch(repository, remote, {ref: "refs/podium/host/x"})
    assert git(elsewhere.work, "rev-parse", "refs/podium/host/x") == second
    hook = elsewhere.bare / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match="cannot be written"):
        push_over(repository, remote, ref, first, second)
