"""`podium watch --install DIR…`: a unit of systemd for each project. What the units say is really started, by a small
systemd, with nothing of this shell's environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.cli.main import main
from podium.core.cockpit import several
from podium.core.domain.watching import WatchState
from podium.core.triggers import service

from tests.runner.scale import scaled
from tests.support import wait_until
from tests.triggers.small_systemd import SmallSystemd
from tests.triggers.test_several import commit, give, looked, make, one, until

__all__ = ["make"]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallSystemd]:
    units = tmp_path / "config" / "systemd" / "user"
    monkeypatch.setattr(service, "SYSTEM_UNITS", units)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    found = SmallSystemd(tmp_path / "systemd", units)
    monkeypatch.setenv("PATH", f"{found.bin}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    yield found
    for unit in list(units.glob("*.service")) if units.exists() else []:
        subprocess.run([found.bin / "systemctl", "disable", "--now", unit.name], timeout=scaled(30), check=False)


def installed(systemd: SmallSystemd) -> list[Path]:
    return sorted(systemd.units.glob("*.service"))


def test_each_is_started_at_boot_with_an_environment_of_its_own(
    systemd: SmallSystemd, make: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    monkeypatch.setenv("DEPLOY_TOKEN", "of-the-shell")
    give(flights, "FLIGHTS_TOKEN=f-secret\n")
    give(trains, "TRAINS_TOKEN=t-secret\n")
    assert main(["watch", "--install", "flights", "trains"]) == 0
    assert len(installed(systemd)) == 2 and not any("secret" in each.read_text() for each in installed(systemd))
    assert several.listed() == (flights, trains), "their CI runs are in one inbox"
    for home in (flights, trains):
        until(home, WatchState.ELSEWHERE)
        looked(home)
        commit(home)
    results = [tmp_path / "flights.out", tmp_path / "trains.out"]
    wait_until(lambda: all(each.exists() and each.read_text() for each in results), timeout=40.0, what="both ran")
    assert [each.read_text() for each in results] == ["f-secret none none\n", "t-secret none none\n"]
    assert main(["watch", "--status", "flights", "trains"]) == 0
    before = systemd.changes()
    assert main(["watch", "--install", "flights", "trains"]) == 0
    assert not any("restart" in line for line in systemd.changes()[len(before) :]), "what is as it should be stays"

    assert main(["watch", "--uninstall", "flights", "trains"]) == 0
    assert installed(systemd) == [] and several.listed() == ()
    assert [one(home).state for home in (flights, trains)] == [WatchState.NOT_RUNNING] * 2


def test_if_one_cannot_be_used_none_is_installed(
    systemd: SmallSystemd,
    make: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    give(flights, "FLIGHTS_TOKEN=f\n")
    monkeypatch.setenv("TRAINS_TOKEN", "of-the-shell")
    assert main(["watch", "--install", "flights", "trains"]) == 2
    said = capsys.readouterr().err
    assert f"{trains}: " in said and "TRAINS_TOKEN is not set" in said and ".podium/agent.env" in said
    assert systemd.changes() == [] and installed(systemd) == [] and several.listed() == ()
    assert main(["watch", "--install", "--listen", "8140", "flights", "trains"]) == 2 and systemd.changes() == []
    monkeypatch.setenv("FLIGHTS_TOKEN", "f")  # of one project the shell's variables count, too
    assert main(["watch", "--install", "flights"]) == 0
    give(trains, "TRAINS_TOKEN=t\n")
    assert main(["watch", "--uninstall", "flights", "trains"]) == 3, "trains has no unit"
    assert len(installed(systemd)) == 1 and until(flights, WatchState.ELSEWHERE).pid is not None


def test_what_is_installed_later_joins_the_others(systemd: SmallSystemd, make: Callable[[str, str], Path]) -> None:
    homes = [make(name, "none") for name in ("flights", "trains", "ships", "boats")]
    for home in homes:
        give(home, f"{home.name.upper()}_TOKEN=x\n")
    assert main(["watch", "--install", "flights", "trains"]) == 0
    assert main(["watch", "--install", "ships", "boats"]) == 0
    assert several.listed() == tuple(homes)
    assert main(["watch", "--uninstall", "trains", "ships"]) == 0
    assert several.listed() == (homes[0], homes[3]) and len(installed(systemd)) == 2


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_units(
    systemd: SmallSystemd, make: Callable[[str, str], Path], tmp_path: Path
) -> None:
    for name in ("flights", "trains"):
        give(make(name, "none"), f"{name.upper()}_TOKEN=x\n")
    assert main(["watch", "--install", "flights", "trains"]) == 0
    words = ["systemd-analyze", *([] if os.geteuid() == 0 else ["--user"]), "verify", "--man=no"]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        [*words, *map(str, installed(systemd))],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
        env=environment,
    )
    about = [line for line in done.stderr.splitlines() if any(each.name in line for each in installed(systemd))]
    assert about == [], done.stderr
