"""Where the token for a Git host comes from, whom it is sent to, and that it is not shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from podium.core.domain.project import Host
from podium.core.errors import Refused, UsageError
from podium.core.scm.hosts import tokens
from podium.core.scm.hosts.tokens import Token, find_token, read_secret

SECRET = "ghp_0123456789abcdef"
GITHUB, OWN, HERE = "https://github.com", "https://git.acme.org", "http://127.0.0.1:8080"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither gh, glab nor a keyring of the machine answers."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(tokens.importlib.util, "find_spec", lambda name: None)


def program(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "bin").mkdir(exist_ok=True)
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def found(kind: str, web: str, home: Path, environ: dict[str, str] | None = None, **fields: str) -> Token | None:
    return find_token(Host(kind, "acme/x", **fields), web, home, environ or {})


def test_podium_yaml_comes_first(tmp_path: Path) -> None:
    token = found("github", GITHUB, tmp_path, {"GITHUB_TOKEN": "other"}, token=SECRET)
    assert token == Token(SECRET, "git.host.token of podium.yaml") and SECRET not in repr(token)


@pytest.mark.parametrize(
    ("kind", "web", "environ", "source"),
    [
        ("github", GITHUB, {"GITHUB_TOKEN": SECRET}, "the variable GITHUB_TOKEN"),
        ("github", GITHUB, {"GH_TOKEN": SECRET}, "the variable GH_TOKEN"),
        ("github", OWN, {"GITHUB_TOKEN": SECRET}, ""),
        ("github", OWN, {"GITHUB_TOKEN": SECRET, "GH_HOST": "git.acme.org"}, "the variable GITHUB_TOKEN"),
        ("github", OWN, {"GITHUB_TOKEN": SECRET, "GITHUB_SERVER_URL": OWN}, "the variable GITHUB_TOKEN"),
        ("github", OWN, {"GITHUB_TOKEN": SECRET, "GH_HOST": "git.acme.org.evil.example"}, ""),
        ("github", OWN, {"GH_ENTERPRISE_TOKEN": SECRET, "GH_HOST": "git.acme.org"}, "the variable GH_ENTERPRISE_TOKEN"),
        ("github", OWN, {"GH_ENTERPRISE_TOKEN": SECRET}, ""),
        ("github", OWN, {"GH_ENTERPRISE_TOKEN": SECRET, "GH_HOST": "git.other.org"}, ""),
        ("github", GITHUB, {"GH_ENTERPRISE_TOKEN": SECRET}, ""),
        ("github", "https://github.com.evil.example", {"GITHUB_TOKEN": SECRET}, ""),
        ("github", HERE, {"GITHUB_TOKEN": SECRET, "GH_TOKEN": SECRET, "GH_ENTERPRISE_TOKEN": SECRET}, ""),
        ("github", "http://localhost:8080", {"GITHUB_TOKEN": SECRET}, ""),
        ("github", "http://[::1]:8080", {"GITHUB_TOKEN": SECRET}, ""),
        ("github", HERE, {"GITHUB_TOKEN": SECRET, "GH_HOST": "127.0.0.1"}, "the variable GITHUB_TOKEN"),
        ("github", HERE, {"GITHUB_TOKEN": SECRET, "GH_HOST": "127.0.0.1:8080"}, "the variable GITHUB_TOKEN"),
        ("github", HERE, {"GITHUB_TOKEN": SECRET, "GH_HOST": "127.0.0.1:8081"}, ""),
        ("github", OWN, {"GITHUB_TOKEN": SECRET, "GITHUB_SERVER_URL": f"{OWN}:443"}, "the variable GITHUB_TOKEN"),
        ("github", HERE, {"GITHUB_TOKEN": SECRET, "GH_HOST": "[nonsense:x"}, ""),
        # What is said to be for another host is not for the public one.
        ("github", GITHUB, {"GITHUB_TOKEN": SECRET, "GITHUB_SERVER_URL": OWN}, ""),
        ("github", GITHUB, {"GITHUB_TOKEN": SECRET, "GITHUB_SERVER_URL": GITHUB}, "the variable GITHUB_TOKEN"),
        ("gitlab", "https://gitlab.com", {"GITLAB_TOKEN": SECRET, "CI_SERVER_URL": OWN}, ""),
        ("gitlab", HERE, {"GITLAB_TOKEN": SECRET}, ""),
        ("gitlab", HERE, {"GITLAB_TOKEN": SECRET, "CI_SERVER_URL": HERE}, "the variable GITLAB_TOKEN"),
        ("gitea", HERE, {"GITEA_TOKEN": SECRET}, ""),
        ("gitea", HERE, {"GITEA_TOKEN": SECRET, "GITEA_SERVER_URL": HERE}, "the variable GITEA_TOKEN"),
        ("github", GITHUB, {"GITLAB_TOKEN": SECRET, "GITEA_TOKEN": SECRET}, ""),
        ("gitlab", "https://gitlab.com", {"GITLAB_TOKEN": SECRET}, "the variable GITLAB_TOKEN"),
        ("gitlab", OWN + "/git", {"GITLAB_TOKEN": SECRET}, ""),
        ("gitlab", OWN + "/git", {"GITLAB_TOKEN": SECRET, "GITLAB_HOST": OWN}, "the variable GITLAB_TOKEN"),
        ("gitea", OWN, {"GITEA_TOKEN": SECRET}, ""),
        ("gitea", OWN, {"GITEA_TOKEN": SECRET, "GITEA_HOST": "git.acme.org"}, "the variable GITEA_TOKEN"),
        ("github", GITHUB, {"GITHUB_TOKEN": "  "}, ""),
    ],
)
def test_a_variable_is_for_its_own_host(
    kind: str, web: str, environ: dict[str, str], source: str, tmp_path: Path
) -> None:
    token = found(kind, web, tmp_path, environ)
    assert (token.source if token else "") == source


def test_each_token_goes_to_its_own_host(tmp_path: Path) -> None:
    environ = {"GITHUB_TOKEN": SECRET, "GH_ENTERPRISE_TOKEN": "another", "GH_HOST": "git.acme.org"}
    assert found("github", GITHUB, tmp_path, environ) == Token(SECRET, "the variable GITHUB_TOKEN")
    assert found("github", OWN, tmp_path, environ) == Token("another", "the variable GH_ENTERPRISE_TOKEN")
    assert found("github", HERE, tmp_path, environ) is None


@pytest.mark.parametrize(
    ("kind", "name", "variables"),
    [
        ("github", "gh", ("GITHUB_TOKEN", "GH_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")),
        ("gitlab", "glab", ("GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN")),
    ],
)
def test_a_program_does_not_print_the_environments_token_for_any_host(
    kind: str, name: str, variables: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, name, "echo " + "".join(f"${each}" for each in variables))
    for each in variables:
        monkeypatch.setenv(each, SECRET)
    assert found(kind, OWN, tmp_path) is None


def test_the_hosts_own_program_is_asked(tmp_path: Path) -> None:
    program(tmp_path, "gh", f'[ "$*" = "auth token --hostname github.com" ] && echo {SECRET}')
    program(tmp_path, "glab", f'[ "$*" = "config get token --host git.acme.org:8443" ] && echo {SECRET}')
    assert found("github", GITHUB, tmp_path) == Token(SECRET, "`gh auth token`")
    assert found("gitlab", OWN + ":8443/sub", tmp_path) == Token(SECRET, "`glab config get`")
    assert found("github", OWN, tmp_path) is None


@pytest.mark.parametrize("text", ["exit 1", "echo no oauth token; echo found", "sleep 60", "true"])
def test_a_program_that_has_none_says_nothing(text: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tokens, "PROGRAM_TIMEOUT", 0.3)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    program(tmp_path, "gh", text)
    assert found("github", GITHUB, tmp_path) is None


def test_the_systems_keyring_is_asked_last(tmp_path: Path, monkeypatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(tokens.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(tokens, "_printed", lambda command: asked.append(tuple(command)) or SECRET)
    assert found("gitea", OWN, tmp_path) == Token(SECRET, "the system's keyring")
    assert asked[0][1:] == ("-m", "keyring", "get", "podium", "git.acme.org")


# -- files
# --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path: Path) -> Callable[..., Path]:
    def make(mode: int = 0o600, text: str = f"{SECRET}\n") -> Path:
        path = tmp_path / "token"
        path.write_text(text)
        path.chmod(mode)
        return path

    return make


def test_a_file_of_ones_own_is_read(token_file, tmp_path: Path) -> None:
    token_file()
    assert found("github", OWN, tmp_path, token_file="token") == Token(SECRET, "the file token")
    token_file(0o400)
    assert read_secret("token", tmp_path) == SECRET


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_may_read_is_refused(token_file, tmp_path: Path, mode: int) -> None:
    token_file(mode)
    with pytest.raises(Refused, match="may be read by other users") as raised:
        read_secret("token", tmp_path)
    assert raised.value.hint == "chmod 600 token" and SECRET not in str(raised.value)


def test_a_link_to_another_directory_is_refused(token_file, tmp_path: Path) -> None:
    token_file()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "token").symlink_to(tmp_path / "token")
    with pytest.raises(Refused, match="a link to another directory"):
        read_secret("elsewhere/token", tmp_path)
    (tmp_path / "current").symlink_to("token")
    assert read_secret("current", tmp_path) == SECRET


def test_what_is_no_file_with_a_token(token_file, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_secret("nothing", tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(Refused, match="is not a file"):
        read_secret("pipe", tmp_path)
    for text in ("", "two words", "two\nlines", "\x1b[31mred", "ä", "x" * 20_000):
        token_file(text=text)
        with pytest.raises(UsageError, match="holds no token") as raised:
            read_secret("token", tmp_path)
        assert not text or text not in str(raised.value)


def test_a_file_of_another_user_is_refused(token_file, tmp_path: Path, monkeypatch) -> None:
    path = token_file()
    if path.stat().st_uid == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(Refused, match="belongs to another user"):
        read_secret("token", tmp_path)
