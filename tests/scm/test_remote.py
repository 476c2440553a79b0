"""What git is told of a token: whom it is sent to, and by which way. Everything here goes to one server of the test: as
the host itself, or as a proxy on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.errors import PodiumError, Refused
from podium.core.scm import Repository
from podium.core.scm.hosts.plain import address_of
from podium.core.scm.remote import Remote, advertised, remote_of

from .hosts.conftest import Web
from .hosts.conftest import web as web  # a fixture
from .support import git

SECRET = "s3cret-token-of-tests"
REFS = ["refs/heads/main"]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    git(tmp_path, "init", "-q", "-b", "main")
    return Repository.open(tmp_path)


@pytest.fixture
def way(web: Callable[[], Web], monkeypatch: pytest.MonkeyPatch) -> Web:
    """A proxy for whatever this machine is not said to have itself."""
    server = web()
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    return server


@pytest.mark.parametrize("host", ["192.0.2.2:3000", "git.example.org", "a.localhost"])
def test_no_token_goes_over_plain_http_to_another_machine(repository: Repository, way: Web, host: str) -> None:
    remote = Remote(f"http://{host}/acme/p.git", SECRET, "the variable GITEA_TOKEN")
    with pytest.raises(Refused, match="the variable GITEA_TOKEN is not sent to http://") as caught:
        advertised(repository, remote, REFS)
    assert not way.asked and SECRET not in str(caught.value)


def test_a_host_of_podium_yaml_at_plain_http_gets_none(
    repository: Repository, way: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITEA_HOST", "GITEA_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITEA_TOKEN", SECRET)
    text = "project: lab\ngit: {host: {kind: gitea, repo: acme/p, url: 'http://192.0.2.2:3000'}}\n"
    (repository.directory / "podium.yaml").write_text(text)
    project = load(repository.directory)
    remote = remote_of(project)
    assert remote is not None and not remote.token, "nobody has said that the variable is for it"
    monkeypatch.setenv("GITEA_SERVER_URL", "http://192.0.2.2:3000")
    with pytest.raises(Refused, match="over plain http"):
        remote_of(project)


def test_a_server_of_this_machine_is_asked_without_a_proxy(repository: Repository, way: Web) -> None:
    """git knows three addresses by `no_proxy`; 127.0.0.2 is this machine, too."""
    with pytest.raises(PodiumError):
        advertised(repository, Remote("http://127.0.0.2:9/acme/p.git", SECRET), REFS)
    assert not way.asked


def test_a_setting_for_the_host_does_not_carry_the_token_elsewhere(
    repository: Repository, web: Callable[[], Web]
) -> None:
    """A redirect is followed for whoever has told git to, not with our token."""
    here, elsewhere = web(), web()
    git(repository.directory, "config", f"http.{here.url}.followRedirects", "true")
    here.answers((301, {"Location": f"{elsewhere.url}/acme/p.git/info/refs?service=git-upload-pack"}, b""))
    with pytest.raises(Refused, match="sends git to another address"):
        advertised(repository, Remote(f"{here.url}/acme/p.git", SECRET), REFS)
    assert here.asked[-1].headers["authorization"].startswith("Basic ") and not elsewhere.asked


def test_a_password_in_an_address_does_not_go_over_plain_http_either(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="over plain http") as caught:
        address_of(f"http://anna:{SECRET}@git.example.org/p.git", tmp_path)
    assert SECRET not in str(caught.value)
    for address in (f"https://anna:{SECRET}@git.example.org/p.git", "http://git.example.org/p.git"):
        assert address_of(address, tmp_path) == address
