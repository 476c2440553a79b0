"""Which branch what protects is read from: not the one that an edit of the file at hand names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.adoption.settling import settle
from podium.core.config import load
from podium.core.domain.access.roles import Role
from podium.core.domain.project import Project
from podium.core.domain.runs import PIPELINE, Run, Trigger
from podium.core.engine import roles
from podium.core.engine.approvals import Approver
from podium.core.engine.run.release import release_of
from podium.core.engine.run.trusted import judge
from podium.core.identity.account import account
from podium.core.journal import Journal
from podium.core.scm import Repository

from tests.scm.support import git

ME = account()
NOBODY = "somebody-else"
THEIRS = f"who: {{promote: [{NOBODY}]}}"
MINE = f"who: {{promote: [{ME}]}}"
NOTHING = "protected: false"
OWN_REMOTE = "git: {remote: ../mine.git}"
OWN_HOST = "git: {host: {kind: git, repo: ../mine.git}}"


class Shop:
    """A project with a repository and a journal."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        git(home, "init", "-q", "-b", "main")
        (home / ".gitignore").write_text(".podium/\n")
        settle(home)
        self.journal = Journal.open(home / ".podium" / "journal.db")

    def write(self, production: str, more: str = "") -> None:
        text = f"project: shop\n{more}\nenvironments: {{production: {{port: 5100, {production}}}}}\n"
        (self.home / "podium.yaml").write_text(text)

    @property
    def project(self) -> Project:
        return load(self.home)

    def commit(self, production: str, more: str = "") -> str:
        self.write(production, more)
        git(self.home, "add", ".")
        git(self.home, "commit", "-q", "--allow-empty", "-m", "work")
        return git(self.home, "rev-parse", "HEAD")

    def refusal(self) -> str:
        """Why this account may not promote; empty if it may."""
        message, hint = roles.why_not(self.project, "production", Role.PROMOTE, [Approver(ME)])
        return f"{message}; {hint}" if message else ""

    @property
    def noted(self) -> str | None:
        return self.journal.values.get("release branch")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "shop")
    made.commit(THEIRS)
    yield made
    made.journal.close()


EDITS = ["git: {branch: nosuch}", "git: {branch: own}", OWN_REMOTE, OWN_HOST, "git: {branch: own, remote: ../mine.git}"]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("production", [NOTHING, MINE])
def test_an_edit_that_names_another_branch_ends_no_role(shop: Shop, edit: str, production: str) -> None:
    """Neither where nothing was judged yet, for what is committed says more than an edit, nor later."""
    git(shop.home, "branch", "own")
    for _ in range(2):
        shop.write(production, edit)
        assert f"{NOBODY} may; " in shop.refusal() and "podium.yaml on the branch main" in shop.refusal()


@pytest.mark.parametrize("edit", EDITS)
def test_nor_does_one_that_is_committed_on_a_branch_of_ones_own(shop: Shop, edit: str) -> None:
    shop.write(NOTHING)
    assert shop.refusal(), "judged once, so that it is noted"
    git(shop.home, "checkout", "-q", "-b", "own")
    shop.commit(NOTHING, edit)
    assert "podium.yaml on the branch main" in shop.refusal()


def test_nor_what_was_fetched_from_a_repository_of_ones_own(shop: Shop) -> None:
    """The agent fetches from where the file at hand says, into the same refs."""
    main = shop.commit(THEIRS, "git: {remote: ../theirs.git}")
    shop.journal.values.set("fetched from", "../theirs.git")
    git(shop.home, "update-ref", "refs/podium/host/main", main)
    shop.write(NOTHING, "git: {remote: ../theirs.git}")
    assert "podium.yaml on the branch main" in shop.refusal()
    git(shop.home, "checkout", "-q", "-b", "own")
    mine = shop.commit(NOTHING, "git: {remote: ../mine.git}")
    shop.journal.values.set("fetched from", "../mine.git")
    git(shop.home, "update-ref", "refs/podium/host/main", mine)
    assert "podium.yaml on the branch main" in shop.refusal()
    shop.write(NOTHING, "git: {remote: ../theirs.git}")  # until the agent has fetched from there again
    assert "podium.yaml on the branch main" in shop.refusal()


def test_the_branch_itself_says_that_releases_come_from_another_one(shop: Shop) -> None:
    assert shop.refusal()
    shop.commit(THEIRS, "git: {branch: release}")
    shop.write(NOTHING, "git: {branch: release}")
    assert "on the branch main" in shop.refusal(), "there is no such branch yet, and nothing to read there"
    git(shop.home, "branch", "release")
    assert "on the branch release" in shop.refusal()
    git(shop.home, "checkout", "-q", "-f", "release")
    shop.commit(MINE, "git: {branch: release}")
    assert not shop.refusal()
    git(shop.home, "checkout", "-q", "main")
    shop.commit(THEIRS, "git: {branch: main}")
    shop.write(MINE, "git: {branch: main}")
    assert not shop.refusal(), "main was left: its word counts no more"


def test_the_branch_itself_says_that_its_host_is_another_one(shop: Shop) -> None:
    old, new = "git: {remote: ../old.git}", "git: {remote: ../new.git}"
    shop.journal.values.set("fetched from", "../old.git")
    git(shop.home, "update-ref", "refs/podium/host/main", shop.commit(THEIRS, old))
    assert shop.refusal()
    git(shop.home, "update-ref", "refs/podium/host/main", shop.commit(THEIRS, new))
    assert shop.refusal()
    git(shop.home, "update-ref", "refs/podium/host/main", shop.commit(MINE, new))
    shop.journal.values.set("fetched from", "../new.git")
    assert not shop.refusal()


def test_a_branch_that_is_gone_has_said_what_it_has_said(shop: Shop) -> None:
    assert shop.refusal()
    git(shop.home, "checkout", "-q", "-b", "trunk")
    git(shop.home, "branch", "-D", "main")
    shop.commit(NOTHING, "git: {branch: trunk}")
    assert "podium.yaml on the branch main" in shop.refusal()
    git(shop.home, "branch", "main")
    assert not shop.refusal()


def test_a_file_that_cannot_be_read_ends_no_role(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.commit(THEIRS)
    assert shop.refusal()
    shop.commit("port: [")
    shop.write(NOTHING)
    assert f"{NOBODY} may" in shop.refusal(), "the last one that could be read"
    monkeypatch.setenv("SHOP_TOKEN", "x")
    shop.commit(THEIRS, "env: {TOKEN: '${SHOP_TOKEN}'}")
    shop.write(NOTHING)
    assert f"{NOBODY} may" in shop.refusal()
    monkeypatch.delenv("SHOP_TOKEN")
    assert "who may promote in production is not known: podium.yaml on the branch main cannot be used" in shop.refusal()


def test_a_project_without_protection_goes_on_as_it_says(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.commit(NOTHING, "git: {branch: main}")
    git(shop.home, "branch", "own")
    for more in ("git: {branch: own}", "git: {branch: nosuch}", OWN_REMOTE, ""):
        shop.write(NOTHING, more)
        release = release_of(shop.project, shop.journal, Repository.open(shop.home))
        assert (release.branch if release else "nosuch") == shop.project.git.branch
        assert not shop.refusal() and shop.noted is None
    shop.commit("port: [")
    shop.write(NOTHING)
    assert not shop.refusal(), "a file that cannot be used has protected nothing"
    shop.journal.close()


def test_protection_that_the_branch_gives_up_is_noted_no_more(shop: Shop) -> None:
    assert shop.refusal() and shop.noted
    shop.commit("protected: true")
    assert not shop.refusal() and shop.noted, "something else is protected"
    shop.commit(NOTHING)
    assert not shop.refusal() and shop.noted is None


def test_a_copy_that_nobody_has_adopted_is_not_written(shop: Shop, tmp_path: Path) -> None:
    shop.journal.close()
    shutil.copytree(shop.home, tmp_path / "copy")
    shop.journal = Journal.open(shop.home / ".podium" / "journal.db")
    message, _ = roles.why_not(load(tmp_path / "copy"), "production", Role.PROMOTE, [Approver(ME)])
    assert message
    with Journal.open(tmp_path / "copy" / ".podium" / "journal.db", read_only=True) as journal:
        assert journal.values.get("release branch") is None
    assert shop.refusal() and shop.noted


def test_a_pushed_commit_is_judged_by_the_branch_that_is_noted(shop: Shop, tmp_path: Path) -> None:
    """One of a branch of one's own, which the file at hand calls the release branch."""
    shop.commit("protected: true")
    assert release_of(shop.project, shop.journal, Repository.open(shop.home)) and shop.noted
    git(shop.home, "checkout", "-q", "-b", "own")
    commit = shop.commit(NOTHING, "git: {branch: own}")
    run: Run = shop.journal.runs.create(kind=PIPELINE, name="release", trigger=Trigger.PUSH, who=ME, branch="own")
    shop.journal.runs.set_commit(run.id, commit, branch="own", dirty=False)
    judged = judge(shop.project, shop.journal, shop.journal.runs.get(run.id), shop.home)
    assert judged.project.environments["production"].protected and judged.project.git.branch == "main"
