"""Where the token for a Git host comes from, whom it is sent to, and that it is not shown. The programs here are small
ones of the tests; the real ones are in test_programs.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.project import Host
from podium.core.errors import Refused, UsageError
from podium.core.http_client import Credentials
from podium.core.scm.hosts import programs, tokens
from podium.core.scm.hosts.tokens import Sought, Token, TokenProof, find_token, read_secret, seek

SECRET = "ghp_0123456789abcdef"
GITHUB, OWN, HERE = "https://github.com", "https://git.acme.org", "http://127.0.0.1:8080"
PLAIN = "http://git.acme.org"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither gh, glab nor a keyring of the machine answers."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(tokens.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(tokens, "remembered", programs.Remembered())


def program(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "bin").mkdir(exist_ok=True)
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def found(kind: str, web: str, home: Path, environ: dict[str, str] | None = None, **fields: Any) -> Token | None:
    return find_token(Host(kind, "acme/x", **fields), web, home, environ or {"PATH": os.environ["PATH"]})


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
        # Who names a host with https, or by its name, has not named what answers at http.
        ("github", "http://github.com", {"GITHUB_TOKEN": SECRET}, ""),
        ("gitea", PLAIN, {"GITEA_TOKEN": SECRET, "GITEA_SERVER_URL": OWN}, ""),
        ("gitea", PLAIN, {"GITEA_TOKEN": SECRET, "GITEA_HOST": "git.acme.org"}, ""),
        ("gitea", "https://127.0.0.1:8080", {"GITEA_TOKEN": SECRET, "GITEA_SERVER_URL": HERE}, ""),
    ],
)
def test_a_variable_is_for_its_own_host(
    kind: str, web: str, environ: dict[str, str], source: str, tmp_path: Path
) -> None:
    token = found(kind, web, tmp_path, environ)
    assert (token.source if token else "") == source


@pytest.mark.parametrize(
    ("environ", "fields"),
    [
        ({"GITEA_TOKEN": SECRET, "GITEA_SERVER_URL": PLAIN}, {}),
        ({}, {"token": SECRET}),
        ({"A_TOKEN": SECRET}, {"token": SECRET, "variables": ("A_TOKEN",), "named": True}),
    ],
)
def test_no_token_is_found_for_plain_http_elsewhere(
    environ: dict[str, str], fields: dict[str, Any], tmp_path: Path
) -> None:
    for web in (PLAIN, "http://a.localhost", "http://192.0.2.2:3000"):
        if environ:
            environ = {**environ, "GITEA_SERVER_URL": web}
        with pytest.raises(Refused, match="over plain http everybody on the way reads it") as caught:
            found("gitea", web, tmp_path, {"PATH": "", **environ}, **fields)
        assert SECRET not in str(caught.value)
    assert found("gitea", HERE, tmp_path, {"PATH": "", "GITEA_TOKEN": SECRET, "GITEA_SERVER_URL": HERE}) is not None


def test_what_a_program_has_for_a_host_is_not_for_plain_http(tmp_path: Path) -> None:
    program(tmp_path, "gh", f"echo {SECRET}")
    with pytest.raises(Refused, match="`gh auth token` is not sent to http://github"):
        found("github", "http://github.com", tmp_path)


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
    assert found(kind, OWN, tmp_path, {**os.environ, **dict.fromkeys(variables, SECRET)}) is None


def test_the_hosts_own_program_is_asked(tmp_path: Path) -> None:
    program(tmp_path, "gh", f'[ "$*" = "auth token --hostname github.com" ] && echo {SECRET}')
    program(tmp_path, "glab", f'[ "$*" = "config get token --host git.acme.org:8443" ] && echo {SECRET}')
    assert found("github", GITHUB, tmp_path) == Token(SECRET, "`gh auth token`")
    assert found("gitlab", OWN + ":8443/sub", tmp_path) == Token(SECRET, "`glab config get`")
    assert found("github", OWN, tmp_path) is None
    # As programs know it: in lower case, and without the port that it has anyway.
    assert found("github", "https://GitHub.com:443", tmp_path) == Token(SECRET, "`gh auth token`")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo no oauth token >&2; exit 1", ""),
        ("echo a warning >&2", ""),
        ("true", ""),
        ("exit 3", "`gh auth token` failed: exit code 3"),
        (f"echo 'cannot read gho_{'x' * 20}' >&2; exit 1", "`gh auth token` failed: cannot read (a token)"),
        ("echo two words", "`gh auth token` printed something that is no token"),
        ("sleep 60", "`gh auth token` did not answer within 0.3 s"),
        ("sleep 60 & wait", "`gh auth token` did not answer within 0.3 s"),
        ("read answer && exit 1; exit 4", "`gh auth token` failed: exit code 4"),
    ],
)
def test_a_program_that_does_not_say_is_told_with_the_reason(
    text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PROGRAM_TIMEOUT", 0.3 if "sleep" in text else 60.0)
    program(tmp_path, "gh", text)
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    assert seek(Host("github", "acme/x"), GITHUB, tmp_path, environ) == Sought(None, (why,) if why else ())


def test_a_program_is_asked_once_for_all_who_need_the_token(tmp_path: Path, clock: list[float]) -> None:
    program(tmp_path, "gh", f"echo >>{tmp_path}/calls; echo {SECRET}")
    for _ in range(3):
        assert found("github", GITHUB, tmp_path) == Token(SECRET, "`gh auth token`")
    assert calls(tmp_path) == 1
    clock[0] += programs.KEPT
    assert found("github", GITHUB, tmp_path) == Token(SECRET, "`gh auth token`")
    assert calls(tmp_path) == 2


def test_somebody_who_logs_in_later_is_found(tmp_path: Path, clock: list[float], monkeypatch) -> None:
    program(tmp_path, "gh", f'echo >>{tmp_path}/calls; read token <{tmp_path}/login && echo "$token"')
    monkeypatch.setenv("GITHUB_TOKEN", "")
    proof = TokenProof(Host("github", "acme/x"), GITHUB, tmp_path, lambda token: Credentials.bearer(GITHUB, token))
    assert proof.credentials() is None and "failed" in proof.unanswered and proof.source == ""
    (tmp_path / "login").write_text("first\n")
    assert proof.credentials() is None and calls(tmp_path) == 1, "it is not asked for each request"
    clock[0] += programs.KEPT_NONE
    assert proof.credentials() == Credentials.bearer(GITHUB, "first") and proof.mark == 1 and proof.unanswered == ""
    # The host refuses it: at most once a minute the program may have another one.
    (tmp_path / "login").write_text("second\n")
    assert not proof.refused(None) and calls(tmp_path) == 2
    clock[0] += programs.KEPT_REFUSED
    assert proof.refused(None) and proof.credentials() == Credentials.bearer(GITHUB, "second") and proof.mark == 2
    clock[0] += programs.KEPT_REFUSED
    assert not proof.refused(None), "it is the same one again"
    assert calls(tmp_path) == 4


def test_a_file_that_was_written_anew_is_read_again_when_the_host_refuses_what_was_in_it(token_file, tmp_path) -> None:
    token_file()
    host = Host("gitea", "acme/x", token_file="token")
    proof = TokenProof(host, OWN, tmp_path, lambda token: Credentials.token(OWN, token))
    assert not proof.refused(None)
    token_file(text="another")
    assert proof.refused(None) and proof.credentials() == Credentials.token(OWN, "another")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(tokens, "remembered", programs.Remembered(lambda: now[0]))
    return now


def calls(place: Path) -> int:
    return len((place / "calls").read_text().splitlines())


def test_a_keyring_is_not_one_of_the_directory_that_podium_is_called_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens.importlib.util, "find_spec", lambda name: object())
    (tmp_path / "keyring.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert find_token(Host("gitea", "acme/x"), "https://nobody.invalid", tmp_path, {"PATH": ""}) is None
    assert not (tmp_path / "imported").exists()


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
