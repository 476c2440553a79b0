"""Several projects that one agent watches: an environment of its own for each, and that none of them stops another."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit, several
from podium.core.config.own import own_environment, own_variables
from podium.core.domain.watching import WatchedProject, WatchedTogether, WatchState
from podium.core.errors import Refused, UsageError
from podium.core.triggers import daemon, projects
from podium.core.triggers.several import START_TIMEOUT

from tests.runner.scale import scaled
from tests.support import wait_until

CONFIG = """\
project: %(name)s
env: {MINE: "${%(own)s}", OTHERS: "${%(other)s:-none}", OF_THE_SHELL: "${DEPLOY_TOKEN:-none}"}
pipelines:
  release:
    on: {push: main}
    steps: {show: {run: 'echo "$MINE $OTHERS $OF_THE_SHELL" > %(out)s'}}
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Makes a project whose podium.yaml needs a variable of its own, and may read one of another's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("podium.core.triggers.several.START_TIMEOUT", scaled(START_TIMEOUT))
    made: list[Path] = []

    def project(name: str, other: str) -> Path:
        home = tmp_path / name
        home.mkdir()
        values = {"name": name, "own": f"{name.upper()}_TOKEN", "other": f"{other.upper()}_TOKEN"}
        (home / "podium.yaml").write_text(CONFIG % {**values, "out": tmp_path / f"{name}.out"})
        (home / ".gitignore").write_text(".podium/\n")
        git(home, "init", "-q", "-b", "main")
        commit(home)
        made.append(home)
        return home

    yield project
    several.stop([home for home in (*made, *several.listed()) if home.is_dir()])


def git(home: Path, *words: str) -> None:
    identity = ("-c", "user.name=anna", "-c", "user.email=anna@acme.org")
    subprocess.run(["git", "-C", str(home), *identity, *words], check=True, timeout=scaled(30))


def commit(home: Path) -> None:
    git(home, "add", "-A")
    git(home, "commit", "-q", "--allow-empty", "-m", "one more")


def give(home: Path, text: str) -> Path:
    file = home / ".podium" / "agent.env"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text(text)
    file.chmod(0o600)
    return file


def states(*homes: Path) -> list[WatchState]:
    return [each.state for each in several.status(homes).projects]


def one(home: Path) -> WatchedProject:
    return several.status([home]).projects[0]


def until(home: Path, state: WatchState) -> WatchedProject:
    wait_until(lambda: one(home).state is state, timeout=40.0, what=f"{home.name} is {state}")
    return one(home)


def looked(home: Path) -> None:
    """Waits until the agent knows the branch: what comes from now on is a push."""
    cockpit = Cockpit(home)
    wait_until(lambda: cockpit.journal.values.get("push:release:main"), timeout=30.0, what="the agent has looked")
    cockpit.close()


def test_each_reads_its_own_variables_and_no_others(
    make: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights, trains, ships = make("flights", "trains"), make("trains", "flights"), make("ships", "trains")
    give(flights, "# of flights\nFLIGHTS_TOKEN=f-secret\n")
    give(trains, "TRAINS_TOKEN='t secret'\n")
    monkeypatch.setenv("DEPLOY_TOKEN", "of-the-shell")
    monkeypatch.setenv("TRAINS_TOKEN", "of-the-shell")
    monkeypatch.setenv("SHIPS_TOKEN", "of-the-shell")
    found = several.start([flights, trains, ships])
    assert [each.state for each in found.projects] == [WatchState.RUNNING, WatchState.RUNNING, WatchState.RETRYING]
    assert "variable SHIPS_TOKEN is not set" in found.projects[2].words, "what the shell has is nobody's"
    for home in (flights, trains):
        looked(home)
        commit(home)
    results = [tmp_path / "flights.out", tmp_path / "trains.out"]
    wait_until(lambda: all(each.exists() and each.read_text() for each in results), timeout=40.0, what="both ran")
    assert [each.read_text() for each in results] == ["f-secret none none\n", "t secret none none\n"]
    file = give(ships, "SHIPS_TOKEN=s-secret\n")
    file.chmod(0o644)
    wait_until(lambda: "may be read by other users" in one(ships).words, timeout=40.0, what="a file open to others")
    file.chmod(0o600)
    until(ships, WatchState.RUNNING)
    assert several.status().pid == found.pid and states(flights, trains) == [WatchState.RUNNING] * 2
    kept = "".join(each.read_text() for each in (tmp_path / "state" / "podium").iterdir())
    assert "secret" not in kept and all(
        oct(each.stat().st_mode & 0o77) == "0o0" for each in (tmp_path / "state" / "podium").iterdir()
    )


def test_a_killed_one_is_started_again_and_the_others_do_not_notice(make: Callable[[str, str], Path]) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    give(flights, "FLIGHTS_TOKEN=f\n")
    give(trains, "TRAINS_TOKEN=t\n")
    before = several.start([flights, trains])
    assert states(flights, trains) == [WatchState.RUNNING] * 2
    killed = before.projects[0].pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: one(flights).starts == 2, timeout=30.0, what="it is started again")
    again = until(flights, WatchState.RUNNING)
    assert again.pid not in (None, killed) and one(trains).pid == before.projects[1].pid

    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    os.waitpid(before.pid, 0)
    wait_until(lambda: _agents(flights, trains) == [False, False], timeout=30.0, what="the agents end with it")
    assert states(flights, trains) == [WatchState.NOT_RUNNING] * 2 and several.listed() == (flights, trains)


def _agents(*homes: Path) -> list[bool]:
    return [(status := several.agent_of(home)) is not None and status.alive for home in homes]


def test_one_that_has_an_agent_is_left_alone_until_that_ends(make: Callable[[str, str], Path]) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    give(trains, "TRAINS_TOKEN=t\n")
    give(flights, "FLIGHTS_TOKEN=f\n")
    (flights / "podium.yaml").write_text("project: flights\npipelines: {a: {steps: {b: {run: 'true'}}}}\n")
    cockpit = Cockpit(flights)
    own = daemon.start(cockpit.project.config, cockpit.journal)
    found = several.start([flights, trains])
    assert found.projects[0].state is WatchState.ELSEWHERE and f"process {own.pid}" in found.projects[0].words
    assert found.projects[1].state is WatchState.RUNNING
    assert daemon.stop(cockpit.journal)
    until(flights, WatchState.RUNNING)

    assert cockpit.agent.stop(), "one is taken away, and the other goes on"
    assert several.listed() == (trains,) and states(flights, trains) == [WatchState.NOT_RUNNING, WatchState.RUNNING]
    with pytest.raises(Refused, match="does not receive webhooks"):
        several.start([flights], listen="127.0.0.1:1")
    assert several.start([flights]).pid == found.pid, "and added again"
    assert several.stop([trains, flights]) == (trains, flights)
    assert projects.reported() is None and several.listed() == () and _agents(flights, trains) == [False, False]
    cockpit.close()


def test_one_that_was_moved_and_one_that_is_gone(make: Callable[[str, str], Path], tmp_path: Path) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    give(flights, "FLIGHTS_TOKEN=f\n")
    give(trains, "TRAINS_TOKEN=t\n")
    before: WatchedTogether = several.start([flights, trains])
    moved = tmp_path / "elsewhere"
    flights.rename(moved)
    wait_until(lambda: several.listed() == (moved, trains), timeout=20.0, what="the list follows")
    wait_until(lambda: one(moved).pid == before.projects[0].pid, timeout=20.0, what="the same process goes on")
    wait_until(lambda: _removed(trains), timeout=20.0, what="its agent writes into it until it notices")
    gone = until(trains, WatchState.GONE)
    assert "there is no" in gone.words and one(moved).state is WatchState.RUNNING


def _removed(directory: Path) -> bool:
    shutil.rmtree(directory, ignore_errors=True)
    return not directory.exists()


def test_what_a_project_may_read(tmp_path: Path) -> None:
    base = {
        "PATH": "/bin",
        "HOME": "/h",
        "PODIUM_NICE": "3",
        "PODIUM_TOKEN": "x",
        "GITHUB_TOKEN": "x",
        "MLFLOW_TRACKING_PASSWORD": "x",
    }
    assert own_environment(tmp_path, base) == {"PATH": "/bin", "HOME": "/h", "PODIUM_NICE": "3"}
    give(tmp_path, '; a comment\n\nA=1 2\nB = "x \\"y\\""\nC=\n#D=1\nPATH=/own\n')
    assert own_variables(tmp_path) == {"A": "1 2", "B": 'x "y"', "C": "", "PATH": "/own"}
    assert own_environment(tmp_path, base)["PATH"] == "/own"


@pytest.mark.parametrize("line", ["hunter2", "1A=hunter2", 'A="hunter2', "export A=hunter2", 'A="a" hunter2'])
def test_a_line_that_is_none_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    give(tmp_path, f"A=1\n{line}\n")
    with pytest.raises(UsageError, match=r"agent\.env, line 2: not of the form NAME=VALUE") as caught:
        own_variables(tmp_path)
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"


def test_a_file_that_others_may_read_or_a_link_is_refused(tmp_path: Path) -> None:
    file = give(tmp_path, "A=1\n")
    file.chmod(0o640)
    with pytest.raises(Refused, match="may be read by other users"):
        own_variables(tmp_path)
    file.rename(tmp_path / "real")
    file.symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="cannot be read"):
        own_variables(tmp_path)
