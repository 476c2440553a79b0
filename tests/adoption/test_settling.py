"""What a state directory is found to be, with real directories and processes."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.adoption.copies import plan
from podium.core.adoption.places import relink_worktrees, renaming, repath_store
from podium.core.adoption.settling import alone
from podium.core.cockpit import Cockpit
from podium.core.delivery.host.daemon import find_command
from podium.core.delivery.proxy.placement import ProcessProxyHost
from podium.core.domain.models import Version
from podium.core.domain.replay import ReplayLimits
from podium.core.errors import Refused, Unreachable
from podium.core.identity import home as identity
from podium.core.identity.directory import path_digest
from podium.core.identity.home import Home, Standing, home_id, judge, workplaces
from podium.core.identity.processes import started_at
from podium.core.journal import Journal

from tests.support import as_nobody, wait_until


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project that was opened once."""
    made = tmp_path / "shop"
    made.mkdir()
    (made / "podium.yaml").write_text("project: shop\npipelines: {p: {steps: {s: {run: 'true'}}}}\n")
    cockpit = Cockpit(made)
    assert cockpit.runs.list() == [] and cockpit.project.copy_of == ""
    cockpit.close()
    return made


@pytest.fixture
def sleeper(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that works in the state directory, and that the journal names as a replica."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], cwd=home / ".podium", stdin=subprocess.PIPE)
    started = wait_until(lambda: started_at(process.pid))
    with sqlite3.connect(home / ".podium/journal.db") as connection:
        connection.execute(
            "INSERT INTO replicas (id, environment, version, slot, port, state, pid, pid_started, weight, restarts,"
            " started, digest, message) VALUES ('r', 'e', 1, 'v1-1', 1, 'ready', ?, ?, 1, 0, 1.0, '', '')",
            (process.pid, started),
        )
    yield process
    process.kill()
    process.communicate()


def standing(home: Path) -> Standing:
    state = home / ".podium"

    def named() -> list[tuple[int | None, float | None]]:
        with Journal.open(state / "journal.db") as journal:
            return journal.relocation.processes()

    return judge(state, named).standing


def copy(home: Path, name: str = "copy") -> Path:
    target = home.with_name(name)
    subprocess.run(["cp", "-a", str(home), str(target)], check=True)
    return target


def test_in_its_place_and_under_a_link(home: Path) -> None:
    assert standing(home) is Standing.OWN
    link = home.with_name("link")
    link.symlink_to(home)
    assert standing(link) is Standing.OWN


def test_a_journal_without_a_record_gets_one_and_keeps_the_id_of_its_containers(home: Path) -> None:
    (home / ".podium/home.json").unlink()
    assert home_id(home) == path_digest(home)
    Cockpit(home).runs.list()
    noted = Home.read(home / ".podium")
    assert noted and noted.id == path_digest(home) == home_id(home)


def test_a_new_project_has_an_id_that_no_path_makes(home: Path) -> None:
    assert home_id(home) != path_digest(home)


def test_moved_and_copied(home: Path) -> None:
    identity = home_id(home)
    moved = home.rename(home.with_name("moved"))
    assert standing(moved) is Standing.MOVED and home_id(moved) == identity
    other = copy(moved)
    assert standing(other) is Standing.MOVED, "nothing is where it was noted: the first that is opened is the project"
    Cockpit(moved).runs.list()
    third = copy(moved, "third")
    assert standing(third) is Standing.COPY and home_id(third) != identity
    shutil.rmtree(moved)
    assert standing(third) is Standing.MOVED and standing(other) is Standing.MOVED


def test_a_copy_of_what_was_moved_since_is_known_by_what_works_there(
    home: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    other = copy(home)
    moved = home.rename(home.with_name("moved"))
    assert workplaces(sleeper.pid) >= {str(moved / ".podium")}
    assert standing(other) is Standing.COPY
    assert standing(moved) is Standing.MOVED


def test_a_backup_in_its_place(home: Path, sleeper: subprocess.Popen[bytes]) -> None:
    other = copy(home)
    shutil.rmtree(home)
    other.rename(home)
    assert standing(home) is Standing.COPY
    with pytest.raises(Refused, match=f"process {sleeper.pid}"):
        Cockpit(home).runs.start("p")
    sleeper.kill()
    sleeper.communicate()
    assert standing(home) is Standing.MOVED
    Cockpit(home).runs.list()
    assert standing(home) is Standing.OWN


def test_another_machine(home: Path) -> None:
    noted = Home.read(home / ".podium")
    assert noted
    there = replace(noted, place=replace(noted.place, machine="f" * 32))
    there.write(home / ".podium")
    here = noted.place.machine
    # A machine without an id of its own (a container, made anew with another name) decides by path and inode.
    assert standing(home) is (Standing.COPY if len(here) == 32 else Standing.OWN)
    replace(noted, place=replace(noted.place, machine="old-name")).write(home / ".podium")
    assert standing(home) is Standing.OWN


def test_a_copy_writes_nothing_of_its_own_accord(home: Path) -> None:
    other = copy(home)
    cockpit = Cockpit(other)
    with pytest.raises(Refused, match="is a copy of"):
        cockpit.journal.values.set("a", "b")
    assert cockpit.runs.recover() == [] and cockpit.models.refresh() is False
    for change in (
        lambda: cockpit.environments.replay("e", 1, ReplayLimits()),
        lambda: cockpit.containers.shell("e", "r"),
        lambda: cockpit.containers.shell_command("e", "r", program=["podium"]),
        lambda: cockpit.models.quarantine(Version("m", 1, 0.0), why="no"),
        lambda: cockpit.models.lift_quarantine(1),
    ):
        with pytest.raises(Refused, match="is a copy of"):
            change()
    cockpit.project.adopt(cockpit.project.plan_adoption())
    cockpit.journal.values.set("a", "b")
    assert cockpit.project.plan_adoption().nothing_to_do
    with pytest.raises(Refused, match="no copy"):
        cockpit.project.adopt(cockpit.project.plan_adoption())


def test_paths_of_the_old_place() -> None:
    moved = renaming(Path("/a/my shop"), Path("/b/x"))
    assert moved("/a/my shop") == "/b/x" and moved("/a/my shop/m") == "/b/x/m"
    assert moved("file:///a/my%20shop/m") == "file:///b/x/m" and moved("file:///a/my shop/m") == "file:///b/x/m"
    for other in ("/a/my shopping", "s3://bucket/a/my shop", "models:/m-1", ""):
        assert moved(other) == other


def test_the_store_names_its_files_in_the_new_place(home: Path) -> None:
    file = home / ".podium/mlflow.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (artifact_uri TEXT)")
        connection.execute("CREATE TABLE model_versions (source TEXT, storage_location TEXT)")
        connection.execute("INSERT INTO runs VALUES (?), ('s3://elsewhere'), (NULL)", (f"{home}/.podium/artifacts/1",))
        connection.execute("INSERT INTO model_versions VALUES ('models:/m-1', ?)", (f"file://{home}/.podium/m",))
    new = home.rename(home.with_name("new"))
    repath_store(new, renaming(home, new))
    with sqlite3.connect(new / ".podium/mlflow.db") as connection:
        found = connection.execute("SELECT artifact_uri FROM runs").fetchall()
        assert found == [(f"{new}/.podium/artifacts/1",), ("s3://elsewhere",), (None,)]
        places = connection.execute("SELECT source, storage_location FROM model_versions").fetchall()
        assert places == [("models:/m-1", f"file://{new}/.podium/m")]


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_git_knows_the_worktrees_of_a_moved_project_and_of_a_copy(home: Path) -> None:
    git(home, "init", "-q")
    git(home, "add", "podium.yaml")
    git(home, "commit", "-q", "-m", "first")
    git(home, "worktree", "add", "-q", "--detach", ".podium/worktrees/1")
    other = copy(home)
    relink_worktrees(other)
    for place in (home, other):
        assert git(place / ".podium/worktrees/1", "rev-parse", "--show-toplevel") == str(place / ".podium/worktrees/1")
        assert str(place / ".podium/worktrees/1") in git(place, "worktree", "list")
    moved = home.rename(home.with_name("moved"))
    relink_worktrees(moved)
    assert str(moved / ".podium/worktrees/1") in git(moved, "worktree", "list")
    assert git(moved / ".podium/worktrees/1", "status", "--porcelain") == ""


def test_a_copy_within_one_repository_does_not_take_the_original_s_worktree(home: Path) -> None:
    top = home.parent
    git(top, "init", "-q")
    git(top, "add", "shop/podium.yaml")
    git(top, "commit", "-q", "-m", "first")
    git(home, "worktree", "add", "-q", "--detach", ".podium/worktrees/1")
    other = copy(home)
    relink_worktrees(other)
    assert not (other / ".podium/worktrees/1").exists()
    assert git(home / ".podium/worktrees/1", "rev-parse", "--show-toplevel") == str(home / ".podium/worktrees/1")


def test_a_reading_process_that_may_not_write_is_no_obstacle() -> None:
    with as_nobody() as directory:
        home = directory / "shop"
        home.mkdir()
        (home / "podium.yaml").write_text("project: shop\n")
        cockpit = Cockpit(home)
        assert cockpit.runs.list() == []
        cockpit.close()
        moved = home.rename(directory / "moved")
        (moved / ".podium").chmod(0o500)
        try:
            with pytest.raises(PermissionError):
                (moved / ".podium" / "x").touch()
            assert Cockpit(moved).project.copy_of == ""
        finally:
            (moved / ".podium").chmod(0o700)


def test_a_proxy_that_runs_in_a_container_is_left_alone_when_its_project_is_moved(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(ProcessProxyHost, "_launch", lambda _self, handover: started.append(handover))
    config = home / ".podium/environments/staging/haproxy.cfg"
    config.parent.mkdir(parents=True)
    config.write_text("# as a container's proxy reads it\n")
    # As this machine's /proc shows it: the file under its own path, and no file with a pid of this machine.
    script = ["haproxy", "-c", "read end", "-f", str(config)]
    proxy = subprocess.Popen(script, executable="/bin/sh", stdin=subprocess.PIPE)
    try:
        wait_until(lambda: find_command("haproxy", str(config)))
        moved, said = home.rename(home.with_name("moved")), list[str]()
        cockpit = Cockpit.open(moved, say=said.append)
        assert cockpit.project.copy_of == ""
        assert "the proxy of staging runs in a container: podium repair -e staging" in said and started == []
        cockpit.close()
    finally:
        proxy.communicate()
    assert (moved / ".podium/environments/staging/haproxy.cfg").read_text() == "# as a container's proxy reads it\n"


def test_a_directory_without_state_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text("project: shop\n")
    assert plan(tmp_path).nothing_to_do == "this project is no copy: it owns what it runs"


def test_a_copy_that_cannot_be_written_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # the one who runs the tests may be root
    with pytest.raises(Unreachable, match=r"\.podium cannot be written: Permission denied"), alone(home / ".podium"):
        pass


def test_the_process_that_still_works_elsewhere_is_the_one_that_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy(home)
    shutil.rmtree(home)
    other.rename(home)
    state = home / ".podium"
    monkeypatch.setattr(identity, "alive", lambda *_: True)
    monkeypatch.setattr(identity, "workplaces", lambda pid: {str(state)} if pid == 1 else set[str]())
    assert judge(state, lambda: [(1, 0.0)]).standing is Standing.MOVED
    found = judge(state, lambda: [(1, 0.0), (2, 0.0)])
    assert found.standing is Standing.COPY and "process 2 still runs" in found.original
