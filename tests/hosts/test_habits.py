"""What hosts, networks and repositories are like besides the usual: found by trying, as a user would."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.demo.forge import Forge
from podium.core.domain.hosts import CommitStatus, StatusState
from podium.core.domain.runs import RunState
from podium.core.errors import PodiumError, Refused, Unreachable
from podium.core.scm.hosts.opening import open_host
from podium.core.triggers.polling import look

from tests.conftest import required
from tests.hosts.front import front
from tests.hosts.support import run_git
from tests.hosts.test_delivery import KINDS, Hosted
from tests.servers import tls
from tests.servers.sshd import Sshd

pytestmark = pytest.mark.in_turn(12)
STATUS = CommitStatus("podium/x", StatusState.SUCCESS, "done", "")


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Forge]:
    with Forge(request.param, tmp_path / "forge") as found:
        yield found


@pytest.fixture
def hosted(forge: Forge, tmp_path: Path) -> Iterator[Hosted]:
    found = Hosted(forge.kind, tmp_path, forge)
    yield found
    found.close()


def rewrite(hosted: Hosted, old: str, new: str) -> None:
    """Changes the project's podium.yaml, and pushes it."""
    hosted.text = hosted.text.replace(old, new)
    assert new in hosted.text
    hosted.lab.write("podium.yaml", hosted.text)
    hosted.files["podium.yaml"] = hosted.text
    hosted.lab.commit("other settings")
    hosted.forge.commit("acme/lab", "other settings", hosted.files)


def said(hosted: Hosted, subject: str) -> list[str]:
    """What `podium doctor` says."""
    with closing(Cockpit(hosted.lab.home)) as cockpit:
        return [f"{each.message} {each.hint}" for each in cockpit.project.doctor() if each.subject == subject]


# -- the way to the host
# --------------------------------------------------------------------------------------------------------------------


def test_a_host_of_this_machine_is_not_behind_a_proxy(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    hosted.lab.git("config", "http.proxy", "http://127.0.0.1:9")
    hosted.drain()
    sha = hosted.push("one")
    hosted.drain()
    hosted.tell()
    assert [run.commit for run in hosted.runs()] == [sha]


@pytest.mark.parametrize("forge", ["gitea", "gitlab"], indirect=True)
def test_a_host_below_a_path_with_a_certificate_of_its_own_authority(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    required(tls.missing())
    for name in ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    certificates = tls.make(tmp_path / "tls")
    with front(forge, below="/tools/git", tls=certificates) as url:
        hosted = Hosted(forge.kind, tmp_path, forge)
        rewrite(hosted, forge.url, url)
        with pytest.raises(Unreachable, match="certificate"):
            look(hosted.lab.project, hosted.lab.journal)
        # Git's own setting for this host is enough for the API, too.
        hosted.lab.git("config", f"http.{url}.sslCAInfo", str(certificates / "ca.pem"))
        hosted.drain()
        assert delivered(hosted) and hosted.forge.requests.matching("POST", "statuses")
        hosted.lab.git("config", "--unset", f"http.{url}.sslCAInfo")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
        assert delivered(hosted), "and what the machine believes is enough for git"
        monkeypatch.delenv("SSL_CERT_FILE")
        hosted.sender.close()
        hosted.lab.git("config", "http.sslVerify", "false")
        host = open_host(hosted.lab.project)
        assert host is not None
        with pytest.raises(Unreachable, match="certificate"):
            host.account()
        host.close()
        hosted.close()


def delivered(hosted: Hosted) -> bool:
    """Pushes, and tells whether that was run and told."""
    sha = hosted.push(f"at {time.time()}")
    hosted.drain()
    hosted.tell()
    return [run.commit for run in hosted.runs()][-1:] == [sha]


def test_a_repository_that_was_renamed_is_said_to_be(forge: Forge, tmp_path: Path) -> None:
    def moved(method: str, target: str) -> tuple[int, dict[str, str], bytes] | None:
        if "acme/lab" not in target and "acme%2Flab" not in target:
            return None
        if forge.kind == "gitlab" and "/api/" in target and method != "GET":
            return 405, {"Content-Type": "application/json"}, b'{"message":"Non GET methods are not allowed"}'
        new = target.replace("acme/lab", "acme/model").replace("acme%2Flab", "acme%2Fmodel")
        return (301 if method == "GET" else 307), {"Location": new}, b""

    with front(forge, instead=moved) as url:
        hosted = Hosted(forge.kind, tmp_path, forge)
        hosted.forge.make_repo("acme/model")
        hosted.forge.commit("acme/model", "first", hosted.files)
        rewrite(hosted, forge.url, url)
        with pytest.raises(Refused, match="sends git to another address") as caught:
            look(hosted.lab.project, hosted.lab.journal)
        assert "git.host.repo" in caught.value.hint
        host = open_host(hosted.lab.project)
        assert host is not None
        with pytest.raises(PodiumError) as told:
            host.set_status("a" * 40, STATUS)
        assert "git.host.repo" in told.value.hint
        host.close()
        assert any("is called acme/model by now" in words for words in said(hosted, "host"))
        rewrite(hosted, "repo: acme/lab", "repo: acme/model")
        assert look(hosted.lab.project, hosted.lab.journal)
        hosted.close()


def test_a_repository_over_ssh_with_a_port_of_its_own(
    ssh_server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Forge("gitea", tmp_path / "forge") as forge:
        hosted = Hosted("gitea", tmp_path, forge)
        bare = forge.state.repo("acme/lab").bare.path
        monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh_server.bin / "ssh"))
        rewrite(hosted, "  poll: 1s", f"  remote: {ssh_server.address(str(bare))}\n  poll: 1s")
        hosted.drain()
        sha = hosted.push("over ssh")
        hosted.drain()
        assert [run.commit for run in hosted.runs()] == [sha]
        hosted.close()


# -- tokens
# --------------------------------------------------------------------------------------------------------------------


def test_a_token_that_ends_is_said_and_its_successor_is_used_at_once(hosted: Hosted, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(hosted.token)
    file.chmod(0o600)
    rewrite(hosted, f"token: '{hosted.token}'", f"token_file: '{file}'")
    hosted.drain()
    host = open_host(hosted.lab.project)
    assert host is not None and host.tips(["main"])
    hosted.forge.state.tokens[hosted.token].expires = 1.0
    sha = hosted.push("after the end")
    for ask in (lambda: look(hosted.lab.project, hosted.lab.journal), lambda: host.tips(["main"])):
        with pytest.raises(Refused, match=f"does not accept the token from the file {file}") as caught:
            ask()
        assert hosted.token not in f"{caught.value} {caught.value.hint}"
    file.write_text(hosted.forge.add_token("anna").value)
    assert host.tips(["main"]) == {"main": sha}
    host.close()
    hosted.drain()
    hosted.tell()
    assert [run.commit for run in hosted.runs()] == [sha]


def test_a_header_that_a_ci_job_has_left_in_the_clone_is_not_sent_beside_ours(hosted: Hosted) -> None:
    for where in ("http", f"http.{hosted.forge.url}/", f"http.{hosted.forge.url}/acme/lab.git"):
        hosted.lab.git("config", f"{where}.extraheader", "AUTHORIZATION: basic bm9ib2R5OmVuZGVk")
    hosted.drain()
    sha = hosted.push("one")
    hosted.drain()
    assert [run.commit for run in hosted.runs()] == [sha]


# -- repositories
# --------------------------------------------------------------------------------------------------------------------


def test_branches_have_names_in_every_script(hosted: Hosted) -> None:
    names = ["größe/ünï", "feature/%41+x#y&z", "模型"]
    rewrite(hosted, "push: main", f"push: {['main', *names]}")
    hosted.drain()
    commits = [hosted.push(name, name) for name in names]
    hosted.drain()
    hosted.tell()
    assert sorted((run.branch, run.commit) for run in hosted.runs()) == sorted(zip(names, commits, strict=True))


def test_light_and_annotated_tags_and_tags_of_tags_are_the_commit(hosted: Hosted) -> None:
    rewrite(hosted, "push: main,", 'push: main, tag: ["v*"],')
    hosted.drain()
    bare = hosted.forge.state.repo("acme/lab").bare.path
    sha = hosted.push("tagged")
    who = ("-c", "user.name=Anna", "-c", "user.email=anna@example.com")
    for options in (("v1", sha), ("-a", "-m", "two", "v2", sha), ("-a", "-m", "three", "v3", "v2")):
        assert run_git(bare, *who, "tag", *options).returncode == 0
    hosted.drain()
    look(hosted.lab.project, hosted.lab.journal)
    assert not hosted.pushes.look(hosted.lab.project, rung=True), "each starts one run"
    tagged = [(run.branch, run.commit) for run in hosted.runs() if run.branch.startswith("refs/tags/")]
    assert sorted(tagged) == [(f"refs/tags/v{number}", sha) for number in (1, 2, 3)]


def test_the_first_push_to_an_empty_repository_is_one(forge: Forge, tmp_path: Path) -> None:
    hosted = Hosted(forge.kind, tmp_path, forge)
    forge.make_repo("acme/empty")
    rewrite(hosted, "repo: acme/lab", "repo: acme/empty")
    hosted.drain()
    assert not hosted.runs() and any("has no branch main" in words for words in said(hosted, "branches"))
    sha = hosted.push("the first", repo="acme/empty")
    hosted.drain()
    assert [run.commit for run in hosted.runs()] == [sha] and not said(hosted, "branches")
    hosted.close()


def test_a_branch_that_is_called_otherwise_is_told(hosted: Hosted) -> None:
    bare = hosted.forge.state.repo("acme/lab").bare.path
    assert run_git(bare, "branch", "-m", "main", "master").returncode == 0
    look(hosted.lab.project, hosted.lab.journal)
    (words,) = said(hosted, "branches")
    assert "acme/lab has no branch main, which podium.yaml watches it has master" in words


@pytest.mark.parametrize("forge", ["github"], indirect=True)
@pytest.mark.parametrize("which", ["newest", "every"])
def test_five_thousand_commits_in_one_push(hosted: Hosted, which: str) -> None:
    rewrite(hosted, "concurrency: every", f"concurrency: {which}  # of them")
    hosted.drain()
    repo = hosted.forge.state.repo("acme/lab")
    before = repo.bare.branches()["main"]
    stream = "".join(
        f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + number} +0000\ndata 2\nx\n"
        + (f"from {before}\n" if number == 0 else "")
        for number in range(5000)
    )
    done = subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.bare.path, input=stream.encode(), check=False)
    assert done.returncode == 0
    tip = repo.bare.branches()["main"]
    assert look(hosted.lab.project, hosted.lab.journal)
    [started] = hosted.pushes.look(hosted.lab.project, rung=True)
    run = hosted.lab.transport(started, RunState.SUCCEEDED)
    oldest = run_git(repo.bare.path, "rev-parse", f"{tip}~4999").stdout.strip()
    assert run.commit == (tip if which == "newest" else oldest)
    assert any("4999 commits before it" in line for line in hosted.said) is (which == "newest")
    if which == "every":  # the next one, and never one twice
        [second] = hosted.pushes.look(hosted.lab.project, rung=True)
        after = run_git(repo.bare.path, "rev-parse", f"{tip}~4998").stdout.strip()
        assert hosted.lab.transport(second, RunState.SUCCEEDED).commit == after
