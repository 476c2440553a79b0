"""Several projects that one agent watches: an environment of its own for each, and that none of them stops another."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from podium.cli.main import main
from podium.core.cockpit import Cockpit, several
from podium.core.config.own import own_environment, own_variables
from podium.core.domain.watching import WatchedProject, WatchedTogether, WatchState
from podium.core.errors import Refused, Unreachable, UsageError
from podium.core.triggers import daemon, projects
from podium.core.triggers import watched as watched_module
from podium.core.triggers.several import START_TIMEOUT, Several, _Bells
from podium.core.triggers.watched import Watched

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


@contextmanager
def unreadable(file: Path) -> Iterator[None]:
    """A file that is there and cannot be read for a while: a link to itself, which a writer would simply replace."""
    text, link = file.read_text(), file.with_name("link")
    link.symlink_to(file.name)
    link.replace(file)
    yield
    assert file.is_symlink(), "nobody has written it"
    link.write_text(text)
    link.replace(file)


def test_a_list_that_cannot_be_read_for_a_moment_ends_nobody(make: Callable[[str, str], Path], tmp_path: Path) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    give(flights, "FLIGHTS_TOKEN=f\n")
    give(trains, "TRAINS_TOKEN=t\n")
    before = several.start([flights, trains])
    log, moved = projects.place("log"), tmp_path / "elsewhere"
    with unreadable(projects.place("json")):
        wait_until(lambda: "the list of projects cannot be read" in log.read_text(), timeout=20.0, what="it is said")
        for change in (several.start, several.stop):
            with pytest.raises(Unreachable, match=r"the list of projects cannot be read: .*: Too many levels"):
                change([flights])
        flights.rename(moved)
        wait_until(lambda: f"{flights}: the list of" in log.read_text(), timeout=20.0, what="it cannot be corrected")
    wait_until(lambda: several.listed() == (moved, trains), timeout=20.0, what="the list follows later")
    wait_until(lambda: one(moved).pid == before.projects[0].pid, timeout=20.0, what="the same process goes on")
    assert several.status().pid == before.pid and one(trains).pid == before.projects[1].pid
    assert log.read_text().count("Z the list of projects cannot be read") == 1, "it is said once"
    with unreadable(projects.place("now")), pytest.raises(Unreachable, match="the report of the agent"):
        several.start([trains])
    assert several.listed() == (moved, trains), "an agent that may be running is not taken for none"


def test_a_list_that_is_damaged_is_no_empty_one(make: Callable[[str, str], Path]) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    with projects.editing():
        projects.put([flights, trains])
    bells = _Bells()
    bells()
    listing = projects.Listing()
    assert listing() == (flights, trains) and listing.trouble == ""
    file = projects.place("json")
    file.write_text('{"projects": ')
    assert listing() == (flights, trains) and "the list of projects is damaged" in listing.trouble
    bells()
    with pytest.raises(Unreachable, match="is damaged"):
        projects.Listing()()
    with pytest.raises(Unreachable, match="is damaged"):
        projects.forget([flights])
    with pytest.raises(Unreachable, match="is damaged"), projects.editing():
        projects.put([])
    assert several.listed() == () and file.read_text() == '{"projects": ', "it is left as it is"
    assert several.stop([flights]) == (), "an agent of one's own could be stopped"
    file.unlink()
    assert listing() == () and listing.trouble == ""


def test_a_project_whose_disk_fails_ends_no_other(
    make: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights, trains, moved = make("flights", "trains"), make("trains", "flights"), tmp_path / "elsewhere"
    give(flights, "FLIGHTS_TOKEN=f\n")
    give(trains, "TRAINS_TOKEN=t\n")
    real, failing = Path.stat, {trains / "podium.yaml"}

    def stat(path: Path, **options: bool) -> os.stat_result:
        if path in failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    with projects.editing():
        projects.put([flights, trains])
    said: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=Several(said.append, pause=0.05).run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: projects.reported() is not None or not thread.is_alive(), timeout=20.0, what="it reports")
        assert "Input/output error" in until(trains, WatchState.RETRYING).words
        pid = until(flights, WatchState.RUNNING).pid
        failing.clear()
        until(trains, WatchState.RUNNING)
        failing.add(moved / "podium.yaml")
        flights.rename(moved)
        wait_until(
            lambda: any("Input/output error" in line and "flights: " in line for line in said), what="it is said"
        )
        assert thread.is_alive() and several.listed() == (flights, trains)
        failing.clear()
        wait_until(lambda: several.listed() == (moved, trains), timeout=20.0, what="the list follows")
        assert one(moved).pid == pid and one(trains).state is WatchState.RUNNING
    finally:
        stop.set()
        thread.join(scaled(30))
        projects.report_is_over()


def test_an_agent_that_cannot_be_started_leaves_nothing_open(
    make: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make("flights", "trains")

    def fail(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(watched_module.subprocess, "Popen", fail)
    watched = Watched(home, pause=0.0)
    watched.look()
    assert "temporarily unavailable" in watched.now.words
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        watched.look()
    assert len(os.listdir("/proc/self/fd")) == before


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


def test_from_a_shell(
    make: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    flights, trains = make("flights", "trains"), make("trains", "flights")
    give(flights, "FLIGHTS_TOKEN=f\n")
    monkeypatch.chdir(tmp_path)
    assert main(["watch", "--daemon", "flights", "trains"]) == 0
    assert "variable TRAINS_TOKEN is not set" in capsys.readouterr().err
    assert main(["watch", "--status", "-o", "json"]) == 3, (
        "outside of a project it is about all, and one is not watched"
    )
    document = json.loads(capsys.readouterr().out)
    assert document["projects"][0]["agent"]["alive"] and document["projects"][1]["agent"] is None
    assert main(["watch", "--install", "--listen", "8140", "flights", "trains"]) == 2
    assert main(["-C", "flights", "watch", "--status"]) == 0
    printed = capsys.readouterr().out
    assert "alive" in printed and "retrying" in printed and str(trains) in printed, "and what is beside it"
    assert main(["watch", "--stop", "flights"]) == 0 and several.listed() == (trains,)
    assert main(["watch", "--stop"]) == 0 and several.listed() == () and projects.reported() is None
