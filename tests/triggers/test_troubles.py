"""What the agent cannot do is told to whoever asks, and is over when it can do it again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from podium.core import attention
from podium.core.delivery.environment import healing
from podium.core.domain.attention import Reason, needs
from podium.core.domain.project import Environment, Project
from podium.core.domain.watching import Trouble
from podium.core.errors import JournalError, Unreachable
from podium.core.identity.processes import started_at
from podium.core.journal import Journal
from podium.core.triggers import agent
from podium.core.triggers.jobs import Healing
from podium.core.triggers.troubles import note

from tests.support import wait_until


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / ".podium" / "journal.db") as journal:
        journal.agent.claim(os.getpid(), started_at(os.getpid()) or 0.0, "anna")
        yield journal


def told(journal: Journal) -> dict[str, str]:
    return {each.subject: each.words for each in journal.agent.status().troubles}


def test_the_same_words_are_noted_once_and_keep_their_time(journal: Journal) -> None:
    journal.agent.note("production", "away")
    (first,) = journal.agent.status().troubles
    before = journal.data_version()
    journal.agent.note("production", "away")
    assert journal.data_version() == before and journal.agent.status().troubles == (first,)
    journal.agent.note("production", "still away")
    assert told(journal) == {"production": "still away"}
    journal.agent.over("production")
    journal.agent.over("production")
    assert told(journal) == {}


def test_an_agent_that_ended_takes_along_what_only_it_could_not_do(journal: Journal) -> None:
    journal.agent.note("production", "away")
    journal.agent.note("push to main (release)", "broken", lasting=True)
    journal.agent.release()
    assert told(journal) == {"push to main (release)": "broken"}
    journal.agent.claim(os.getpid(), started_at(os.getpid()) or 0.0, "anna")
    assert told(journal) == {"push to main (release)": "broken"}


def test_an_environment_that_cannot_be_healed_delays_no_other_and_is_told(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = {"far"}

    def heal(_project: Project, _journal: Journal, environment: Environment) -> list[str]:
        if environment.name in away:
            raise Unreachable("the host far does not answer")
        return [f"healed {environment.name}"]

    monkeypatch.setattr(healing, "heal_environment", heal)
    environments = {name: SimpleNamespace(name=name, driver="process") for name in ("far", "near")}
    project = SimpleNamespace(environments=environments, state=tmp_path)
    said: list[str] = []
    job = Healing(said.append)
    job(project, journal)  # type: ignore[arg-type]
    job(project, journal)  # type: ignore[arg-type]
    assert said.count("healed near") == 2 and said.count("far: the host far does not answer") == 1
    assert "the host far does not answer" in told(journal)["far"]
    away.clear()
    job(project, journal)  # type: ignore[arg-type]
    assert told(journal) == {}
    away.add("far")
    job(project, journal)  # type: ignore[arg-type]
    del project.environments["far"]
    job(project, journal)  # type: ignore[arg-type]
    assert told(journal) == {}, "of an environment that podium.yaml has no more nothing is told"


def test_a_job_that_fails_is_told_until_it_works(journal: Journal, tmp_path: Path) -> None:
    stop, broken = threading.Event(), threading.Event()
    broken.set()

    def work(_project: object, _journal: object) -> None:
        if broken.is_set():
            raise ValueError("no such thing")

    settings = SimpleNamespace(project=lambda: SimpleNamespace(state=tmp_path / ".podium"))
    job = agent.Job("signals", 0.01, work)
    thread = threading.Thread(target=agent._repeat, args=(job, settings, stop, lambda _: None))
    thread.start()
    try:
        wait_until(lambda: told(journal) == {"signals": "ValueError: no such thing"})
        broken.clear()
        wait_until(lambda: told(journal) == {})
    finally:
        stop.set()
        thread.join()


def test_a_journal_that_cannot_be_written_is_no_second_error(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(journal.agent, "note", full)
    note(journal, "production", "away")


@pytest.mark.parametrize(
    ("free", "files", "words"),
    [(10 << 30, 1000, ""), (1 << 20, 1000, "less than 100 MB are free"), (10 << 30, 3, "no room for more files")],
)
def test_a_full_disk_is_seen_without_the_agent(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, files: int, words: str
) -> None:
    disk = SimpleNamespace(f_blocks=1 << 30, f_bavail=free // 4096, f_frsize=4096, f_files=2000, f_favail=files)
    monkeypatch.setattr(attention.os, "statvfs", lambda _: disk)
    assert words in attention.full_disk(tmp_path) and bool(attention.full_disk(tmp_path)) == bool(words)
    found = [each.subject for each in attention.agent_status(tmp_path, journal).troubles]
    assert found == (["disk"] if words else [])


def test_a_file_system_that_does_not_count_its_files_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(f_blocks=0, f_bavail=0, f_frsize=4096, f_files=0, f_favail=0)
    monkeypatch.setattr(attention.os, "statvfs", lambda _: disk)
    assert attention.full_disk(tmp_path) == ""
    assert attention.full_disk(tmp_path / "gone" / "away") == ""


def test_it_needs_a_person_and_says_nothing_twice(journal: Journal) -> None:
    journal.agent.note("push to main (release)", "commit 0123 cannot run", lasting=True)
    status = journal.agent.status()
    found = needs(runs=(), environments=(), alerts=(), agent=status, versions=(), now=0.0)
    assert [(each.reason, each.subject, each.command) for each in found] == [
        (Reason.TROUBLE, "push to main (release)", "podium watch --status")
    ]
    assert Trouble("x", "y").at is None
