"""The unit by which systemd starts the agent, with a systemctl that notes what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.domain.project import Project
from podium.core.errors import NotFound, Refused, Unreachable, UsageError
from podium.core.identity.processes import started_at
from podium.core.journal import Journal
from podium.core.triggers import service

from tests.runner.scale import scaled


class Systemd:
    """Programs in PATH that stand for systemd's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        self.answer("systemctl", "case $* in *is-system-running) echo running;; *is-active*) exit 3;; esac")
        self.answer("loginctl", "case $1 in show-user) echo no;; esac")

    def answer(self, program: str, script: str) -> None:
        file = self._directory / program
        file.write_text(f'#!/bin/sh\necho "{program} $*" >> {self._directory}/calls\n{script}\n')
        file.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What they were asked to change."""
        lines = (self._directory / "calls").read_text().splitlines()
        return [line for line in lines if not any(word in line for word in ("is-", "show-user"))]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    found = Systemd(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    home = tmp_path / 'a "quoted" 100% $HOME\\shop'
    home.mkdir()
    (home / "podium.yaml").write_text("project: shop\nenv: {TOKEN: '${API_TOKEN}'}\n")
    return load(home, environ={"API_TOKEN": "hunter2-and-more"})


@pytest.fixture
def journal(project: Project) -> Journal:
    return Journal.open(project.state / "journal.db")


@pytest.fixture(params=[0, 1000], ids=["root", "user"])
def uid(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    monkeypatch.setattr(os, "geteuid", lambda: request.param)
    monkeypatch.setattr(service, "SYSTEM_UNITS", tmp_path / "config/systemd/system")
    monkeypatch.setattr(
        "pwd.getpwuid", lambda uid: type("Account", (), {"pw_name": "anna", "pw_dir": str(tmp_path / "anna")})
    )
    return int(request.param)


def test_it_is_written_enabled_and_started(
    systemd: Systemd, project: Project, journal: Journal, uid: int, tmp_path: Path
) -> None:
    done = service.install(project, journal)
    name = service.unit_name(project)
    folder, user = ("user", "--user ") if uid else ("system", "")
    assert done.path == str(tmp_path / "config/systemd" / folder / name) and done.unit == name
    text = Path(done.path).read_text()
    assert ("User=anna" in text) is (uid == 0) and "KillMode=process" in text and "OOMPolicy=continue" in text
    assert f"WantedBy={'default' if uid else 'multi-user'}.target" in text
    assert "hunter2" not in text and any("API_TOKEN" in line and "agent.env" in line for line in done.next)
    lingering = ["loginctl enable-linger anna"] if uid else []
    assert systemd.calls == [
        f"systemctl {user}daemon-reload",
        f"systemctl {user}enable --now {name}",
        *lingering,
    ]
    again = service.install(project, journal)
    assert again.did[0].endswith("is as it should be") and Path(done.path).read_text() == text


def test_a_project_of_roots_has_a_home_where_git_and_gh_look(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = type("Account", (), {"pw_name": "root", "pw_dir": "/root"})
    monkeypatch.setattr("pwd.getpwuid", lambda uid: account)
    text = service.unit(project, True)
    assert '\nEnvironment="HOME=/root"\n' in text and "User=" not in text
    assert "HOME=" not in service.unit(project, False), "the user's own systemd says it"


def test_proxies_and_certificates_are_those_of_the_shell_and_passwords_are_not_in_a_unit(
    systemd: Systemd, project: Project, journal: Journal, uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://anna:hunter2@proxy:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1,.acme.org")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/etc/acme/ca.pem")
    done = service.install(project, journal)
    text = Path(done.path).read_text()
    assert (
        'Environment="no_proxy=127.0.0.1,.acme.org"' in text and 'Environment="GIT_SSL_CAINFO=/etc/acme/ca.pem"' in text
    )
    assert "hunter2" not in text and any("write API_TOKEN, HTTPS_PROXY as" in line for line in done.next)
    file = project.state / "agent.env"
    file.write_text("API_TOKEN=x\nHTTPS_PROXY=y\n")
    file.chmod(0o600)
    assert not any("agent.env" in line for line in service.install(project, journal).next), "it is written by now"


def variables(project: Project, mode: int) -> Path:
    file = project.state / "agent.env"
    file.write_text("API_TOKEN=hunter2-and-more\n")
    file.chmod(mode)
    return file


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_file_of_variables_that_others_may_read_is_refused_before_anything_is_installed(
    systemd: Systemd, project: Project, journal: Journal, uid: int, mode: int, tmp_path: Path
) -> None:
    """systemd reads an EnvironmentFile whatever its mode is."""
    variables(project, mode)
    with pytest.raises(Refused, match="may be read by other users") as caught:
        service.install(project, journal)
    assert "agent.env" in caught.value.hint and not list((tmp_path / "config").rglob("*.service"))


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_variables_of_ones_own(
    systemd: Systemd, project: Project, journal: Journal, uid: int, mode: int
) -> None:
    variables(project, mode)
    assert not any("API_TOKEN" in line for line in service.install(project, journal).next)


def test_a_link_to_variables_is_none(systemd: Systemd, project: Project, journal: Journal, tmp_path: Path) -> None:
    variables(project, 0o600).rename(tmp_path / "elsewhere")
    (project.state / "agent.env").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is not a file"):
        service.install(project, journal)


def test_an_agent_does_not_start_by_variables_that_others_may_read(project: Project, journal: Journal) -> None:
    """As systemd starts it, which has read the file by then; a mode that was changed after `--install`."""
    variables(project, 0o644)
    command = [sys.executable, "-m", "podium.core.triggers.agent", str(project.home)]
    environment = {**os.environ, "API_TOKEN": "hunter2-and-more"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=scaled(60), check=False)
    assert done.returncode == 4 and "may be read by other users" in done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr and not journal.agent.status().alive


def test_the_file_of_variables_is_itself_and_no_pattern(tmp_path: Path) -> None:
    home = tmp_path / r"a [b] * \x 5%"
    home.mkdir()
    (home / "podium.yaml").write_text("project: shop\n")
    (line,) = (each for each in service.unit(load(home), False).splitlines() if each.startswith("EnvironmentFile="))
    assert line == rf"EnvironmentFile=-{tmp_path}/a \[b] \* \\x 5%%/.podium/agent.env"


def test_a_unit_of_the_other_kind_is_told(
    systemd: Systemd, project: Project, journal: Journal, uid: int, tmp_path: Path
) -> None:
    name = service.unit_name(project)
    other = (tmp_path / "config/systemd/system" if uid else tmp_path / "anna/.config/systemd/user") / name
    assert not any("only one of the two" in line for line in service.install(project, journal).next)
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("[Unit]\n")
    assert any(str(other) in line and "only one of the two" in line for line in service.install(project, journal).next)


def with_secret(project: Project) -> Project:
    from dataclasses import replace

    return replace(project, git=replace(project.git, webhook_secret="s3cret-of-the-hook"))


def test_webhooks_are_listened_for_after_a_boot_too(
    systemd: Systemd, project: Project, journal: Journal, uid: int
) -> None:
    done = service.install(with_secret(project), journal, listen="127.0.0.1:8140")
    text = Path(done.path).read_text()
    (start,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
    assert start.endswith(' "127.0.0.1:8140"') and "s3cret" not in text
    service.install(with_secret(project), journal)
    assert "8140" not in Path(done.path).read_text(), "a unit says what the last command said"


def test_a_unit_that_could_not_listen_is_not_written(
    systemd: Systemd, project: Project, journal: Journal, uid: int, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="could be anybody's"):
        service.install(project, journal, listen="8140")
    with pytest.raises(UsageError, match="not of the form"):
        service.install(with_secret(project), journal, listen="here")
    assert not list((tmp_path / "config").rglob("*.service"))


def test_an_agent_of_systemds_is_restarted_when_its_unit_has_changed(
    systemd: Systemd, project: Project, journal: Journal, uid: int
) -> None:
    systemd.answer("systemctl", "case $* in *is-system-running) echo running;; esac")
    name = service.install(project, journal).unit
    before = len(systemd.calls)
    assert not any("restart" in line for line in service.install(project, journal).did)
    assert not any("restart" in call for call in systemd.calls[before:])
    done = service.install(with_secret(project), journal, listen="8140")
    assert systemd.calls[-1 if uid == 0 else -2].endswith(f"restart {name}")
    assert any(line.startswith("restarted it") for line in done.did)


def test_who_may_not_linger_is_told_what_to_run(
    systemd: Systemd, project: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(
        "pwd.getpwuid", lambda uid: type("Account", (), {"pw_name": "anna", "pw_dir": str(tmp_path / "anna")})
    )
    systemd.answer("loginctl", "case $1 in show-user) echo no;; *) exit 1;; esac")
    assert service.install(project, journal).next[0].startswith("sudo loginctl enable-linger anna")
    systemd.answer("loginctl", "echo yes")
    assert not any("enable-linger" in line for line in service.install(project, journal).next)


def test_an_agent_that_is_running_is_not_doubled(
    systemd: Systemd, project: Project, journal: Journal, uid: int
) -> None:
    journal.agent.claim(os.getpid(), started_at(os.getpid()) or 0.0, "anna")
    done = service.install(project, journal)
    assert not any("--now" in call for call in systemd.calls)
    assert any("podium watch --stop && systemctl" in line for line in done.next)


@pytest.mark.parametrize(("listen", "last"), [("", '"" "9469"'), ("8140", '"8140" "9469"')])
def test_metrics_are_shown_after_a_boot_too(
    systemd: Systemd, project: Project, journal: Journal, uid: int, listen: str, last: str
) -> None:
    done = service.install(with_secret(project), journal, listen=listen, metrics="9469")
    (command,) = (line for line in Path(done.path).read_text().splitlines() if line.startswith("ExecStart="))
    assert command.endswith(last)
    with pytest.raises(Refused, match="everybody there could read them"):
        service.install(project, journal, metrics="0.0.0.0:9469")
    with pytest.raises(UsageError, match="--metrics"):
        service.install(project, journal, metrics="here")


def test_it_is_taken_back(systemd: Systemd, project: Project, journal: Journal, uid: int) -> None:
    with pytest.raises(NotFound):
        service.uninstall(project)
    path = Path(service.install(project, journal).path)
    done = service.uninstall(project)
    assert not path.exists() and any("go on serving" in line for line in done.did)
    assert [call.split()[-3:] for call in systemd.calls][-2][:2] == ["disable", "--now"]
    with pytest.raises(NotFound):
        service.uninstall(project)


@pytest.mark.parametrize("script", ["echo offline; exit 1", "echo 'Failed to connect to bus' >&2; exit 1", None])
def test_without_systemd_nothing_is_installed_and_it_says_so(
    systemd: Systemd,
    project: Project,
    journal: Journal,
    uid: int,
    script: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        systemd.answer("systemctl", script)
    with pytest.raises(Unreachable, match="no systemd") as caught:
        service.install(project, journal)
    assert caught.value.exit_code == 5 and "@reboot" in caught.value.hint
    assert not list((tmp_path / "config").rglob("*.service"))


def test_what_systemd_refuses_is_told_in_its_words(
    systemd: Systemd, project: Project, journal: Journal, uid: int
) -> None:
    systemd.answer(
        "systemctl", "case $* in *running) echo degraded; exit 1;; *enable*) echo 'Access denied' >&2; exit 4;; esac"
    )
    with pytest.raises(Unreachable, match="Access denied"):
        service.install(project, journal)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("system", [True, False], ids=["system", "user"])
def test_systemd_finds_nothing_wrong_with_the_unit(project: Project, tmp_path: Path, system: bool) -> None:
    path = tmp_path / service.unit_name(project)
    path.write_text(service.unit(project, system))
    words = ["systemd-analyze", *([] if system else ["--user"]), "verify", "--man=no", str(path)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=scaled(60), check=False, env=environment)
    about = [line for line in done.stderr.splitlines() if path.name in line]
    assert about == [], done.stderr
