"""Tokens from the real `gh`, the real `glab` where there is one, and a real keyring: GNOME's, on a session bus of the
test's own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from podium.core.domain.project import Host
from podium.core.scm.hosts import programs, tokens
from podium.core.scm.hosts.tokens import Sought, Token, seek

from tests.conftest import required
from tests.runner.scale import scaled
from tests.support import wait_until

KINDS = ("github", "gitlab", "gitea")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "remembered", programs.Remembered())
    monkeypatch.setattr(programs, "PROGRAM_TIMEOUT", scaled(30.0))


@pytest.fixture
def account(tmp_path: Path) -> dict[str, str]:
    """The variables of an account that has nothing yet."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}


def sought(kind: str, web: str, environ: Mapping[str, str]) -> Sought:
    return seek(Host(kind, "acme/x"), web, Path("/"), environ)


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


# -- gh and glab
# --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens.importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("no_keyring")
def test_gh_has_a_token_for_each_host(account: dict[str, str], tmp_path: Path) -> None:
    required("" if shutil.which("gh") else "gh is not installed")
    for web in ("https://github.com", "https://git.acme.org"):
        assert sought("github", web, account) == Sought(), "nobody has logged in"
    tokens.remembered.forget()
    hosts = {"github.com": "gho_public", "git.acme.org": "gho_acme", "127.0.0.1:8443": "gho_port"}
    lines = (f"{name}:\n    user: anna\n    oauth_token: {token}\n" for name, token in hosts.items())
    write(tmp_path / ".config/gh/hosts.yml", "".join(lines))
    for web, token in {
        "https://github.com": "gho_public",
        "https://git.acme.org": "gho_acme",
        "https://GIT.acme.org:443/": "gho_acme",
        "http://127.0.0.1:8443": "gho_port",
        "http://127.0.0.1:8444": "",
        "https://git.acme.org.evil.example": "",
    }.items():
        given = {**account, "GH_ENTERPRISE_TOKEN": "leaked", "GITHUB_ENTERPRISE_TOKEN": "leaked"}
        assert sought("github", web, given).token == (Token(token, "`gh auth token`") if token else None), web


@pytest.mark.usefixtures("no_keyring")
def test_gh_says_what_is_wrong_with_its_own_file(account: dict[str, str], tmp_path: Path) -> None:
    required("" if shutil.which("gh") else "gh is not installed")
    write(tmp_path / ".config/gh/hosts.yml", ":::x: [")
    found = sought("github", "https://git.acme.org", account)
    assert found.token is None and len(found.unanswered) == 1 and "hosts.yml" in found.unanswered[0]


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.skipif(shutil.which("glab") is None, reason="Debian 12 has no glab: tested where there is one")
def test_glab_has_a_token_for_each_host(account: dict[str, str], tmp_path: Path) -> None:
    hosts = {"gitlab.com": "glpat-public", "git.acme.org": "glpat-acme", "git.acme.org:8443": "glpat-port"}
    lines = (f"    {name}:\n        token: {token}\n" for name, token in hosts.items())
    file = tmp_path / ".config/glab-cli/config.yml"
    write(file, "check_update: true\nhosts:\n" + "".join(lines))
    for web, token in {
        "https://gitlab.com": "glpat-public",
        "https://GIT.acme.org/below/a/path": "glpat-acme",
        "https://git.acme.org:8443": "glpat-port",
        "https://elsewhere.org": "",
    }.items():
        given = {**account, "GITLAB_ACCESS_TOKEN": "leaked", "OAUTH_TOKEN": "leaked"}
        assert sought("gitlab", web, given) == Sought(Token(token, "`glab config get`") if token else None), web
    file.chmod(0o644)
    tokens.remembered.forget()
    (why,) = sought("gitlab", "https://gitlab.com", account).unanswered
    assert "permissions 644, but glab requires 600" in why


# -- the keyring
# --------------------------------------------------------------------------------------------------------------------


class Keyring:
    """A session bus with GNOME's keyring. What it would have a person asked with leaves a file instead."""

    def __init__(self, place: Path, environ: Mapping[str, str]) -> None:
        self.asked = place / "asked"
        services = place / "services"
        services.mkdir()
        (services / "prompter.service").write_text(
            "[D-BUS Service]\nName=org.gnome.keyring.SystemPrompter\n" + f"Exec=/usr/bin/touch {self.asked}\n"
        )
        (place / "bus.conf").write_text(
            f"<busconfig><type>session</type><listen>unix:path={place}/bus</listen><servicedir>{services}</servicedir>"
            '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
            '<allow own="*"/></policy></busconfig>'
        )
        address = f"unix:path={place}/bus"
        self.environ = {**environ, "XDG_RUNTIME_DIR": str(place), "DBUS_SESSION_BUS_ADDRESS": address}
        self._started: list[subprocess.Popen[bytes]] = []
        self._start("dbus-daemon", f"--config-file={place}/bus.conf", "--nofork", "--nopidfile")
        wait_until((place / "bus").exists, 20, what="the session bus listens")

    def unlock(self) -> None:
        """Starts the keyring, and opens the one of the login, as a login does."""
        daemon = self._start("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
        assert daemon.stdin is not None
        daemon.stdin.write(b"a password")
        daemon.stdin.close()
        wait_until(self.answers, 20, what="the keyring answers")

    def answers(self) -> bool:
        return self.keyring("get", "podium", "nothing").returncode == 1

    def keyring(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "keyring", *arguments],
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            timeout=scaled(30),
        )

    def call(self, method: str, *arguments: str) -> None:
        words = ("--session", "--dest=org.freedesktop.secrets", "--print-reply", "/org/freedesktop/secrets")
        command = ["dbus-send", *words, f"org.freedesktop.Secret.Service.{method}", *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=scaled(30))
        assert done.returncode == 0, done.stderr

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(
            command, env=self.environ, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, start_new_session=True
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in reversed(self._started):
            process.kill()
            process.wait(scaled(10))
            if process.stdin is not None:
                process.stdin.close()


@pytest.fixture
def keyring(account: dict[str, str], tmp_path: Path) -> Iterator[Keyring]:
    missing = [name for name in ("dbus-daemon", "dbus-send", "gnome-keyring-daemon") if shutil.which(name) is None]
    if importlib.util.find_spec("keyring") is None:
        missing.append("the package keyring")
    required(f"{', '.join(missing)}: not installed" if missing else "")
    made = Keyring(tmp_path, account)
    yield made
    made.close()


def asked(keyring: Keyring, kind: str = "gitea", web: str = "https://git.acme.org:3000") -> Sought:
    tokens.remembered.forget()
    return sought(kind, web, {**keyring.environ, "PATH": "/nowhere"})


def test_a_keyring_gives_its_token_and_never_has_a_person_asked(keyring: Keyring) -> None:
    (why,) = asked(keyring).unanswered
    assert why.startswith("the system's keyring does not answer here")
    keyring.unlock()
    assert asked(keyring) == Sought(), "it has nothing for this host"
    assert keyring.keyring("set", "podium", "git.acme.org", given="from-the-keyring").returncode == 0
    token = Token("from-the-keyring", "the system's keyring")
    assert [asked(keyring, kind) for kind in KINDS] == [Sought(token)] * 3
    assert asked(keyring, web="https://elsewhere.org") == Sought()
    keyring.call("Lock", "array:objpath:/org/freedesktop/secrets/collection/login")
    assert asked(keyring) == Sought(None, ("the system's keyring is locked",))
    assert not keyring.asked.exists()
    # What would have asked: the package's own command does.
    assert keyring.keyring("get", "podium", "git.acme.org").returncode != 0 and keyring.asked.exists()


def test_a_keyring_that_nobody_has_made_yet_is_not_made(keyring: Keyring) -> None:
    keyring._start("gnome-keyring-daemon", "--foreground", "--components=secrets")
    wait_until(lambda: asked(keyring) == Sought(), 20, what="the keyring answers")
    assert not keyring.asked.exists()
