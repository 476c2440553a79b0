"""What is done for the environments of several engines, round by round."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from podium.core.containers.observe.by_engine import MAX_PARALLEL, ByEngine
from podium.core.journal import Journal

from tests.support import wait_until


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def project(*hosts: str, driver: str = "docker") -> Any:
    environments = {
        f"e{number}": SimpleNamespace(name=f"e{number}", driver=driver, host=host, hosts=())
        for number, host in enumerate(hosts)
    }
    return SimpleNamespace(environments=environments, docker=SimpleNamespace(host=""))


def test_an_engine_that_is_silent_keeps_no_other_waiting_and_is_asked_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.core.containers.observe.by_engine.PATIENCE", 0.05)
    asked = Counter[str]()
    answers = threading.Event()

    def work(_project: Any, own: Journal, environment: Any) -> None:
        assert own is not journal, "a connection belongs to one thread"
        asked[environment.name] += 1
        if environment.host == "ssh://silent":
            answers.wait(60)

    each = ByEngine(work)
    there = project("ssh://silent", "ssh://a", "ssh://b", "ssh://silent")
    try:
        for rounds in (1, 2, 3):
            each(there, journal)
            wait_until(lambda rounds=rounds: asked["e1"] == asked["e2"] == rounds)
        assert asked["e0"] == 1 and asked["e3"] == 0, "those of one engine are asked one after the other"
    finally:
        answers.set()
    wait_until(lambda: asked["e3"] == 1)
    each(there, journal)
    wait_until(lambda: asked["e0"] == 2)


def test_a_round_asks_a_bounded_number_of_engines_and_those_that_waited_longest_first(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.core.containers.observe.by_engine.PATIENCE", 0.05)
    asked: list[str] = []
    answers = threading.Event()

    def work(_project: Any, _journal: Journal, environment: Any) -> None:
        asked.append(environment.host)
        answers.wait(60)

    hosts = [f"ssh://{number:02}" for number in range(MAX_PARALLEL + 10)]
    each = ByEngine(work)
    try:
        each(project(*hosts), journal)
        wait_until(lambda: len(asked) == MAX_PARALLEL)
        first = set(asked)
        assert threading.active_count() < 2 * MAX_PARALLEL
    finally:
        answers.set()
    wait_until(lambda: not each._asked)
    asked.clear()
    each(project(*hosts), journal)
    wait_until(lambda: len(asked) >= 10)
    assert not first & set(asked[:10]), "the last round had no turn for them"


def test_one_engine_is_asked_in_the_thread_of_the_round(journal: Journal) -> None:
    asked: list[tuple[str, Journal, threading.Thread]] = []
    each = ByEngine(lambda _p, own, environment: asked.append((environment.name, own, threading.current_thread())))
    each(project("", "", driver="process"), journal)
    assert asked == [(name, journal, threading.current_thread()) for name in ("e0", "e1")]


def test_an_error_is_raised_where_the_round_is(journal: Journal) -> None:
    def work(_project: Any, _journal: Journal, environment: Any) -> None:
        if environment.name == "e1":
            raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        ByEngine(work)(project("ssh://a", "ssh://b"), journal)
