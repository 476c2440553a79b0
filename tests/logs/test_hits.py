"""All hits of a search, and the first line of a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from podium.core.errors import UsageError
from podium.core.logs.matching import Matcher
from podium.core.logs.reader import LogFile

from tests.runner.scale import scaled


def written(path: Path, lines: int) -> LogFile:
    with path.open("w") as file:
        for number in range(lines):
            minute, second = divmod(number, 60)
            word = "needle" if number % 97 == 0 else "straw"
            file.write(f"2025-11-23T10:{minute % 60:02}:{second:02}.000Z o {word} {number} {'x' * 60}\n")
    return LogFile(path)


def test_hits_are_the_numbers_of_the_lines_across_pieces(tmp_path: Path) -> None:
    file = written(tmp_path / "log", 3600 * 3)
    assert file.size > 3 * (256 << 10), "more than one piece"
    wanted = [number for number in range(3600 * 3) if number % 97 == 0]
    assert file.hits("needle", most=1000) == wanted
    assert file.hits("NEEDLE", most=1000) == [] and file.hits("needle", most=1000, ignore_case=True) == wanted
    assert file.hits(r"needle \d+0 ", most=1000, regex=True) == [each for each in wanted if each % 10 == 0 and each]
    assert file.hits("needle", most=5) == wanted[:5]
    assert file.hits("2025-11-23", most=5) == [], "the time in front of a line is not its text"
    with pytest.raises(UsageError):
        file.hits("(", most=5, regex=True)


def test_counting_stops_when_it_is_told(tmp_path: Path) -> None:
    file, stop = written(tmp_path / "log", 3600 * 3), threading.Event()
    stop.set()
    assert len(file.hits("straw", most=10**6, stop=stop)) < 3600 * 2


def test_the_first_line_of_a_time(tmp_path: Path) -> None:
    file = written(tmp_path / "log", 600)
    start = 1_763_892_000.0  # 2025-11-23 10:00:00 UTC
    assert file.line_since(start) == 0 and file.line_since(start + 0.5) == 1
    assert file.line_since(start + 125) == 125 and file.line_since(start + 600) == 600
    assert file.line_since(0.0) == 0
    assert LogFile(tmp_path / "none").line_since(1.0) == 0


def test_lines_without_a_time_belong_to_those_before_them(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        "2025-11-23T10:00:00.000Z o one\nplain\nplain\n2025-11-23T10:00:10.000Z o two\nplain\n", encoding="utf-8"
    )
    assert LogFile(path).line_since(1_763_892_005.0) == 3
    assert LogFile(path).line_since(1_763_892_011.0) == 5


HANGS = "(a+)+$"


def test_an_expression_that_never_ends_is_stopped_at_once_and_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{'a' * 60}!\n")
    stop, asked = threading.Event(), threading.Event()

    def search() -> int | None:
        asked.set()
        return LogFile(tmp_path / "log").search(HANGS, regex=True, stop=stop)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(search)
        assert asked.wait(scaled(10))
        for _ in range(100):  # while it is looked for, this thread goes on
            assert not waiting.done()
        stop.set()
        assert waiting.result(scaled(20)) is None


def test_an_expression_that_never_ends_is_told_of_where_nobody_stops_it() -> None:
    with Matcher(HANGS, seconds=0.2) as matcher:
        with pytest.raises(UsageError, match=r"takes more than 0\.2 s"):
            matcher.texts(["a" * 60 + "!"])
        assert matcher.texts(["xa", "b"]) == [True, False], "the next call has a process again"
        assert matcher.spans(["xaa", "b"], 10) == [[(1, 3)], []]


def test_a_line_that_is_longer_than_a_piece_is_one_hit(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("first\n" + "needle " * 500_000 + "\nneedle\n")
    assert LogFile(tmp_path / "log").hits("needle", most=10) == [1, 2]
