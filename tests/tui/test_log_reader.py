"""Logs that grow, or that another takes the place of, while they are filtered and saved."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from podium.tui.widgets.log_reader import Filter, Reader
from podium.tui.widgets.logs.match import Match, Wanted

STOP = Event()


def add(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def texts(filtering: Filter) -> list[str]:
    done = False
    while not done:
        window, done = filtering.step(STOP)
    return [line.text for line in window.lines]


def test_a_log_that_grows_as_fast_as_it_is_saved_is_saved_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    add(path, *map(str, range(5_000)))
    saved = 0
    for saved, _ in enumerate(Reader(path, 1).texts(0, None), 1):
        if saved % 1_000 == 0:
            add(path, *["more"] * 2_000)
    assert saved == 5_000


def test_the_lines_after_a_hit_come_with_it_when_they_come(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    add(path, "before", "hit")
    filtering = Filter(path, Wanted(Match("hit"), context=1), 1)
    assert texts(filtering) == ["before", "hit"]
    add(path, "after", "far")
    assert texts(filtering) == ["before", "hit", "after"]


def test_the_filter_of_a_log_that_another_takes_the_place_of_has_lines_of_that_one(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    add(path, "old hit")
    filtering = Filter(path, "hit", 1)
    assert texts(filtering) == ["old hit"]
    add(tmp_path / "b.log", *["straw"] * 10, "new hit")
    (tmp_path / "b.log").replace(path)
    assert texts(filtering) == ["new hit"]
