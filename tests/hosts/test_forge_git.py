"""Real git against the forge: what is pushed is there, who may not is refused, and webhooks are told."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from podium.core.demo.forge import Forge

from tests.hosts.support import commit_file, run_git, webhook_receiver
from tests.support import wait_until

REPO = "acme/flight-delay"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    path = tmp_path / "clone"
    path.mkdir()
    assert run_git(path, "init", "-q", "-b", "main").returncode == 0
    return path


def test_what_is_pushed_is_fetched_and_listed(tmp_path: Path, clone: Path) -> None:
    with Forge("github", tmp_path / "forge") as forge:
        repo = forge.make_repo(REPO)
        run_git(clone, "remote", "add", "origin", forge.clone_url(repo, forge.token))
        sha = commit_file(clone, "a.txt", "one\n", "First")
        pushed = run_git(clone, "push", "-q", "origin", "main")
        assert pushed.returncode == 0, pushed.stderr
        assert repo.bare.branches() == {"main": sha}
        other = forge.commit(repo, "From elsewhere", {"b.txt": "two\n"}, by="nina")
        assert run_git(clone, "fetch", "-q", "origin", "main").returncode == 0
        assert run_git(clone, "rev-parse", "FETCH_HEAD").stdout.strip() == other
        # One commit by its sha, as an agent fetches what it runs.
        assert run_git(clone, "fetch", "-q", "--depth", "1", "origin", sha).returncode == 0
        pushes = forge.requests.matching("POST", "git-receive-pack", "git")
        assert [(call.status, call.token, call.login) for call in pushes] == [(200, True, "acme")]


def test_a_large_push_comes_in_chunks(tmp_path: Path, clone: Path) -> None:
    with Forge("github", tmp_path / "forge") as forge:
        repo = forge.make_repo(REPO)
        run_git(clone, "remote", "add", "origin", forge.clone_url(repo, forge.token))
        text = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(60_000))
        sha = commit_file(clone, "large.txt", text, "Large")
        pushed = run_git(clone, "-c", "http.postBuffer=65536", "push", "-q", "origin", "main")
        assert pushed.returncode == 0, pushed.stderr
        assert repo.bare.file(sha, "large.txt") == text.encode()


def test_who_may_not_is_refused(tmp_path: Path, clone: Path) -> None:
    with Forge("github", tmp_path / "forge") as forge:
        repo = forge.make_repo(REPO)
        commit_file(clone, "a.txt", "one\n", "First")
        for token in ("", "wrong"):
            run = run_git(clone, "push", "-q", forge.clone_url(repo, token), "main")
            assert run.returncode != 0 and not repo.bare.refs(), token
        weak = forge.add_token("nina", {"read:org"}).value
        assert run_git(clone, "push", "-q", forge.clone_url(repo, weak), "main").returncode != 0
        repo.writers = frozenset({"acme"})
        reader = forge.add_token("nina").value
        assert run_git(clone, "push", "-q", forge.clone_url(repo, reader), "main").returncode != 0
        assert run_git(clone, "ls-remote", forge.clone_url(repo, reader)).returncode == 0
        repo.readers = frozenset()
        assert run_git(clone, "ls-remote", forge.clone_url(repo, reader)).returncode != 0
        assert not repo.bare.refs()
        repo.readers, repo.private = None, False
        assert run_git(clone, "ls-remote", forge.clone_url(repo)).returncode == 0, "a public one is read by all"
        assert run_git(clone, "push", "-q", forge.clone_url(repo), "main").returncode != 0


def test_a_push_is_told_with_a_signature(tmp_path: Path, clone: Path) -> None:
    with webhook_receiver() as received, Forge("github", tmp_path / "forge") as forge:
        repo = forge.make_repo(REPO)
        forge.add_hook(repo, received.url, "a secret", ["push"])
        run_git(clone, "remote", "add", "origin", forge.clone_url(repo, forge.token))
        first = commit_file(clone, "a.txt", "one\n", "First")
        second = commit_file(clone, "a.txt", "two\n", "Second")
        assert run_git(clone, "push", "-q", "origin", "main").returncode == 0
        wait_until(lambda: received.all, what="no webhook")
        headers, body = received.all[0]
        expected = hmac.new(b"a secret", body, hashlib.sha256).hexdigest()
        assert headers["x-hub-signature-256"] == f"sha256={expected}"
        assert headers["x-github-event"] == "push" and headers["x-github-delivery"]
        said = json.loads(body)
        assert (said["ref"], said["before"], said["after"]) == ("refs/heads/main", "0" * 40, second)
        assert [commit["id"] for commit in said["commits"]] == [first, second]
        assert said["created"] and not said["forced"]
        assert run_git(clone, "reset", "-q", "--hard", first).returncode == 0
        third = commit_file(clone, "a.txt", "three\n", "Third")
        assert run_git(clone, "push", "-q", "--force", "origin", "main").returncode == 0
        wait_until(lambda: len(received.all) == 2, what="no second webhook")
        said = json.loads(received.all[1][1])
        assert (said["before"], said["after"], said["forced"]) == (second, third, True)


def test_a_pull_request_of_a_fork_has_its_commit_in_the_repository(tmp_path: Path, clone: Path) -> None:
    with Forge("github", tmp_path / "forge") as forge:
        repo = forge.make_repo(REPO)
        forge.commit(repo, "First")
        fork = forge.make_fork(repo, "nina")
        assert fork.bare.branches() == repo.bare.branches()
        sha = forge.commit(fork, "A wish", branch="wish", by="nina")
        pull = forge.open_pull_request(repo, "wish", fork="nina")
        url = forge.clone_url(repo, forge.token)
        assert run_git(clone, "fetch", "-q", url, f"refs/pull/{pull.number}/head").returncode == 0
        assert run_git(clone, "rev-parse", "FETCH_HEAD").stdout.strip() == sha
        newer = forge.commit(fork, "More", branch="wish", by="nina")
        assert pull.sha == newer == repo.bare.resolve(f"refs/pull/{pull.number}/head")
        assert run_git(clone, "push", "-q", url, "FETCH_HEAD:refs/pull/1/head").returncode != 0
