"""Several logs as one, without a screen."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from podium.core.logs import merging
from podium.tui.widgets.log_merge import MergedLog, MergedReader
from podium.tui.widgets.log_reader import Window

from tests.support import calls


def stored(second: float, text: str) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{int(second * 1000) % 1000:03d}Z o {text}\n"


def write(path: Path, *lines: tuple[float, str]) -> None:
    with path.open("a") as file:
        file.writelines(stored(second, text) for second, text in lines)


def reader(tmp_path: Path, *names: str) -> MergedReader:
    return MergedReader(MergedLog("production", tuple((name, tmp_path / f"{name}.log") for name in names)), 1)


def texts(found: MergedReader, count: int = 100) -> list[str]:
    window = found.window(None, count)
    assert [line.number for line in window.lines] == list(range(window.first, window.first + len(window.lines)))
    return [f"{name} {line.text}" for name, line in zip(window.names, window.lines, strict=True)]


def test_lines_are_in_the_order_of_time_also_those_that_come_late(tmp_path: Path) -> None:
    write(tmp_path / "a.log", (1, "one"), (3, "three"))
    write(tmp_path / "b.log", (2, "two"), (4, "four"))
    both = reader(tmp_path, "a", "b")
    assert texts(both) == ["a one", "b two", "a three", "b four"]
    assert both.changed() and not both.changed()
    write(tmp_path / "a.log", (6, "six"))
    assert both.changed() and texts(both)[-1] == "a six"
    write(tmp_path / "b.log", (5, "five"))
    assert texts(both)[-2:] == ["b five", "a six"]


def test_a_line_without_a_time_stays_behind_the_one_before_it(tmp_path: Path) -> None:
    write(tmp_path / "a.log", (1, "one"))
    with (tmp_path / "a.log").open("a") as file:
        file.write("no time\n")
    write(tmp_path / "b.log", (2, "two"))
    assert texts(reader(tmp_path, "a", "b")) == ["a one", "a no time", "b two"]


def test_a_log_that_comes_later_and_one_that_is_begun_anew(tmp_path: Path) -> None:
    write(tmp_path / "a.log", (1, "one"), (2, "two"))
    both = reader(tmp_path, "a", "b")
    assert texts(both) == ["a one", "a two"]
    write(tmp_path / "b.log", (3, "three"))
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    write(tmp_path / "a.log", (4, "four"), (5, "five"), (6, "six"))
    assert texts(both) == ["a one", "a two", "b three", "a four", "a five", "a six"], (
        "what was read stays, what is new is read from its start"
    )


def test_it_is_bounded_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MAX_LINES", 1000)
    write(tmp_path / "a.log", *((second, f"a{second}") for second in range(2000)))
    write(tmp_path / "b.log", *((second + 0.5, f"b{second}") for second in range(2000)))
    both = reader(tmp_path, "a", "b")
    window = both.window(None, 10)
    assert window.total == 1000 and window.note == "the newest 1,000 lines"
    assert window.lines[-1].text == "b1999"
    write(tmp_path / "a.log", *((3000 + second, f"later{second}") for second in range(10)))
    window = both.window(None, 10)
    assert window.total == 1000 and [line.text for line in window.lines[-10:]] == [
        f"later{second}" for second in range(10)
    ]


def test_search_goes_both_ways_and_round_the_end(tmp_path: Path) -> None:
    write(tmp_path / "a.log", (1, "needle"), (3, "hay"), (5, "Needle"))
    write(tmp_path / "b.log", (2, "hay"), (4, "hay"))
    both = reader(tmp_path, "a", "b")
    stop = threading.Event()
    assert both.search("needle", 0, backwards=False, stop=stop) is None, "nothing was read yet"
    both.window(None, 10)
    assert both.search("needle", 1, backwards=False, stop=stop) == 4, "small letters find both"
    assert both.search("Needle", 0, backwards=False, stop=stop) == 4
    assert both.search("needle", 3, backwards=True, stop=stop) == 0
    assert both.search("hay", 4, backwards=False, stop=stop) == 1, "round the end"
    assert both.search("nowhere", 0, backwards=False, stop=stop) is None
    stop.set()
    assert both.search("needle", 1, backwards=False, stop=stop) is None


def test_a_filter_keeps_the_numbers_and_finds_replicas_too(tmp_path: Path) -> None:
    write(tmp_path / "v3-1.log", (1, "one"), (3, "three"))
    write(tmp_path / "v3-2.log", (2, "two"), (4, "three"))
    both = reader(tmp_path, "v3-1", "v3-2")
    both.window(None, 10)
    window, done = both.filter("three", 2).step(threading.Event())
    assert done and [(name, line.number) for name, line in zip(window.names, window.lines, strict=True)] == [
        ("v3-1", 2),
        ("v3-2", 3),
    ]
    window, _ = both.filter("v3-2", 3).step(threading.Event())
    assert [line.text for line in window.lines] == ["two", "three"]
    write(tmp_path / "v3-2.log", (5, "five"))
    assert both.filter("five", 4).step(threading.Event())[0].total == 1, "a filter reads on"


def test_fifty_logs_are_merged_quickly(tmp_path: Path) -> None:
    names = [f"r{number}" for number in range(50)]
    for place, name in enumerate(names):
        write(tmp_path / f"{name}.log", *((second + place / 100, "POST /invocations 200") for second in range(1000)))
    many = reader(tmp_path, *names)
    windows: list[Window] = []

    def look() -> None:
        windows.append(many.window(None, 40))

    all_of_it = calls(look)
    assert windows[-1].total == 50_000 and all_of_it < 20 * 50_000, "a few for each line: 0.3 s on a quiet machine"
    write(tmp_path / "r0.log", (2000, "one more"))
    one_more = calls(look)
    assert windows[-1].lines[-1].text == "one more" and one_more < all_of_it / 10, "what was read is not read again"
