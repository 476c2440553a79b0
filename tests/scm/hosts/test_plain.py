"""A repository without a host around it, asked with git alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from podium.core.domain.hosts import CiApproval, CommitStatus, HostFeature, StatusState
from podium.core.domain.watching import Health
from podium.core.errors import NotFound, Refused, UsageError
from podium.core.scm.hosts.opening import open_host
from podium.core.scm.hosts.plain import address_of


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    git(work, "commit", "-q", "--allow-empty", "-m", "one")
    git(work, "tag", "-a", "v1", "-m", "annotated")
    git(work, "branch", "feature/main")
    git(tmp_path, "clone", "-q", "--bare", str(work), "origin.git")
    return tmp_path / "origin.git"


def test_branches_and_tags_are_known(bare: Path, project) -> None:
    host = open_host(project("git", repo="origin.git", token=""))
    sha = git(bare, "rev-parse", "main")
    assert host.tips(["main", "gone"]) == {"main": sha}
    assert host.tips([]) == {} and host.tips(["feature/main"]) == {"feature/main": sha}
    assert host.tags() == {"v1": sha}, "the commit, not the tag's own object"
    assert host.clone_url == str(bare) and host.calls[0].method == "git"
    assert host.examine()[0].health is Health.OK


def test_everything_else_is_missing_with_the_reason(bare: Path, project) -> None:
    host = open_host(project("git", repo=str(bare), token=""))
    assert set(host.missing) == set(HostFeature)
    assert host.ci_runs() == host.pull_requests() == host.deployments() == host.statuses("a") == ()
    for call in (
        lambda: host.set_status("a", CommitStatus("x", StatusState.SUCCESS)),
        lambda: host.ci_rerun("1"),
        lambda: host.ci_approve(CiApproval("1", "1", "x"), why="x"),
        lambda: host.create_comment(1, "x"),
        lambda: host.create_release("v1", "x", "x"),
        lambda: host.create_deployment("x", "a"),
        lambda: host.account(),
    ):
        with pytest.raises(Refused, match="a plain Git repository"):
            call()


def test_a_place_without_a_repository(tmp_path: Path, project) -> None:
    host = open_host(project("git", repo="nothing.git", token=""))
    with pytest.raises(NotFound, match="there is no repository"):
        host.tips(["main"])


def test_a_password_in_the_address_is_not_shown(project) -> None:
    host = open_host(project("git", repo="http://anna:s3cret@127.0.0.1:9/x.git", token=""))
    with pytest.raises(Exception) as raised:
        host.tips(["main"])
    assert "s3cret" not in f"{raised.value} {host.name} {host.calls}"


@pytest.mark.parametrize(
    ("repo", "address"),
    [
        ("ssh://git@server/x.git", "ssh://git@server/x.git"),
        ("git@server:acme/x.git", "git@server:acme/x.git"),
        ("../x.git", "/home/p/../x.git"),
        ("/srv/x.git", "/srv/x.git"),
        ("-oProxyCommand=x:y", "/home/p/-oProxyCommand=x:y"),
    ],
)
def test_what_git_fetches_from(repo: str, address: str) -> None:
    assert address_of(repo, Path("/home/p")) == address


@pytest.mark.parametrize("repo", ["ext::sh -c whoami", "fd::7", "ext://x", "helper::https://x"])
def test_an_address_that_runs_a_program_is_not_used(repo: str) -> None:
    with pytest.raises(UsageError):
        address_of(repo, Path("/"))
