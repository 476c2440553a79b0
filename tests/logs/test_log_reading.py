"""The reader gives the same lines as reading the whole file would, from any place, while the file grows, shrinks or
is replaced."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from podium.core.errors import UsageError
from podium.core.logs import reader
from podium.core.logs.merging import Merged
from podium.core.logs.reader import LogFile
from podium.core.logs.writer import StepLog

from tests.runner.scale import scaled
from tests.runner.turns import examples
from tests.support import wait_until

relaxed = settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PREFIX = "2026-11-23T10:11:12.345Z o "


def make(path: Path, texts: list[str], *, old: bool = True) -> LogFile:
    path.write_bytes("".join(f"{PREFIX}{text}\n" for text in texts).encode())
    if old:
        os.utime(path, (1.0, 1.0))
    return LogFile(path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that every edge is met."""
    from podium.core.logs import search

    monkeypatch.setattr(reader, "BLOCK_BYTES", 64)
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 256)
    monkeypatch.setattr(search, "PIECE_BYTES", 100)


content = st.lists(
    st.one_of(st.binary(max_size=12), st.binary(min_size=60, max_size=240), st.just(b"")), max_size=40
).map(b"\n".join)


@relaxed
@given(data=content, start=st.integers(0, 60), count=st.integers(0, 60))
@example(data=b"", start=0, count=5)
@example(data=b"\n" * 200, start=63, count=66)
@example(data=b"x" * 63 + b"\n" + b"y" * 63 + b"\n", start=1, count=1)
@pytest.mark.usefixtures("small")
def test_any_window_of_any_file(tmp_path: Path, data: bytes, start: int, count: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)
    os.utime(path, (1.0, 1.0))
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    expected = [line.decode("utf-8", "replace") for line in lines]
    fresh = LogFile(path)
    assert [line.text for line in fresh.tail(count)] == (expected[-count:] if count else [])
    found = fresh.lines(start, count)
    assert [line.text for line in found] == expected[start : start + count]
    assert [line.number for line in found] == list(range(start, start + len(found)))
    assert fresh.line_count() == len(expected)
    assert [line.number for line in fresh.tail(3)] == list(range(len(expected)))[-3:]
    for number in range(len(expected)):
        offset = fresh.offset_of(number)
        assert offset is not None and fresh.line_at(offset) == number


@relaxed
@given(pieces=st.lists(st.lists(st.binary(max_size=40), max_size=30).map(b"\n".join), min_size=1, max_size=5))
@pytest.mark.usefixtures("small")
def test_a_growing_file_reads_like_one_that_was_there_at_once(tmp_path: Path, pieces: list[bytes]) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    file = LogFile(path)
    written = b""
    for piece in pieces:
        written += piece
        with path.open("ab") as handle:
            handle.write(piece)
        file.refresh()
        # An end without a line feed is not a line yet.
        whole = written.split(b"\n")[:-1]
        assert file.line_count() == len(whole)
        assert [line.text for line in file.lines(0, 1000)] == [line.decode("utf-8", "replace") for line in whole]
        assert [line.text for line in file.tail(2)] == [line.decode("utf-8", "replace") for line in whole[-2:]]


@relaxed
@given(
    texts=st.lists(st.text("abcAB 2\r\x1bé", max_size=30), max_size=30),
    pattern=st.text("abAB2é", min_size=1, max_size=3),
    start=st.one_of(st.none(), st.integers(0, 35)),
    backwards=st.booleans(),
    ignore_case=st.booleans(),
    regex=st.sampled_from(["", "{}", "^{}", "{}$", "{}.*b", "[^a]{}", "(?:{}|zz)", r"\b{}", "{}+", "(?<=a){}"]),
)
@pytest.mark.usefixtures("small")
def test_search_finds_what_a_look_at_every_line_finds(
    tmp_path: Path, texts: list[str], pattern: str, start: int | None, backwards: bool, ignore_case: bool, regex: str
) -> None:
    file = make(tmp_path / "log", texts)
    source = regex.format(pattern) if regex else re.escape(pattern)
    compiled = re.compile(source, re.IGNORECASE if ignore_case else 0)
    hits = [number for number, text in enumerate(texts) if compiled.search(text)]
    if backwards:
        expected = max((number for number in hits if start is None or number <= start), default=None)
    else:
        expected = min((number for number in hits if number >= (start or 0)), default=None)
    found = file.search(
        regex.format(pattern) if regex else pattern,
        start=start,
        backwards=backwards,
        regex=bool(regex),
        ignore_case=ignore_case,
    )
    assert found == expected


def test_search_does_not_find_the_times(tmp_path: Path) -> None:
    file = make(tmp_path / "log", ["nothing", "in 2026 it was"])
    assert file.search("2026") == 1 and file.search("2026-11") is None and file.search("Z o") is None
    assert (
        file.search("2026", backwards=True) == 1
        and file.search("202[6]", regex=True) == 1
        and file.search(r"\d\dZ", regex=True) is None
    )


def test_search_can_be_stopped_and_says_what_is_no_expression(tmp_path: Path) -> None:
    file = make(tmp_path / "log", ["x" * 1000] * 3000)
    stop = threading.Event()
    stop.set()
    assert file.search("x", stop=stop) is None
    assert file.search("") is None
    for bad in ("(", "a{99999999999}", "[z-a]"):
        with pytest.raises(UsageError) as caught:
            file.search(bad, regex=True)
        assert caught.value.hint


def test_a_search_of_something_large_ends_soon_after_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as handle:
        block = f"{PREFIX}nothing of interest in this line\n".encode() * 20_000
        for _ in range(40):
            handle.write(block)

    def looks(stop: Stop) -> int:
        assert LogFile(path).search("i.*(x|y)q", regex=True, ignore_case=True, stop=stop) is None
        return stop.looks

    assert looks(Stop(3)) in (3, 4), "it ends with the look that says so, or the one after it"
    assert looks(Stop(sys.maxsize)) > 20, "and looks many times in so large a file"


class Stop(threading.Event):
    """Is set at the look with this number."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.looks = at, 0

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks >= self.at


def test_a_line_without_end_costs_neither_memory_nor_the_lines_after_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n" + b"x" * 3_000_000 + b"\nlast needle\n")
    os.utime(path, (1.0, 1.0))
    file = LogFile(path)
    lines = file.lines(0, 9)
    assert [len(line.text) for line in lines] == [5, reader.MAX_LINE_BYTES, 11]
    assert file.line_count() == 3 and [len(line.text) for line in file.lines(1, 1)] == [reader.MAX_LINE_BYTES]
    assert (
        file.search("needle") == 2
        and file.search("need.e", regex=True) == 2
        and file.search("first", backwards=True) == 0
    )
    assert [line.text for line in file.tail(1)] == ["last needle"]


def test_half_a_line_is_no_line_until_it_is_whole_or_old(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    file = LogFile(path)
    assert file.line_count() == 1 and [line.text for line in file.tail(5)] == ["one"]
    wait_until(lambda: file.refresh(), 5, what="the end has settled")
    assert [line.text for line in file.lines(0, 9)] == ["one", "tw"]
    with path.open("ab") as handle:
        handle.write(b"o\n")
    file.refresh()
    assert [line.text for line in file.lines(0, 9)] == ["one", "two"] and file.line_count() == 2


def test_files_that_come_shrink_are_replaced_and_go(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path)
    assert (file.line_count(), file.lines(0, 5), file.tail(5), file.search("x"), file.refresh()) == (
        0,
        [],
        [],
        None,
        False,
    )
    make(path, ["a", "b", "c"])
    assert file.refresh() and file.line_count() == 3 and not file.refresh()
    make(path, ["d"])
    assert file.refresh() and [line.text for line in file.lines(0, 5)] == ["d"]
    make(tmp_path / "new", ["e", "f"])
    (tmp_path / "new").rename(path)
    assert file.refresh() and [line.text for line in file.lines(0, 5)] == ["e", "f"]
    path.unlink()
    assert file.refresh() and file.lines(0, 5) == []


def test_lines_that_we_did_not_write_are_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    odd = ["no prefix", "2026-13-45T99:99:99.000Z o x", "2026-11-23T10:11:12.345Z q x", "", "2026-11-23T10:11:12.345Z"]
    path.write_text("\n".join(odd) + "\n")
    assert [(line.at, line.stream, line.text) for line in LogFile(path).lines(0, 9)] == [
        (None, "", text) for text in odd
    ]


def test_times_are_kept_to_the_millisecond(tmp_path: Path) -> None:
    before = time.time()
    with StepLog(tmp_path / "log") as log:
        log.note("now")
    (line,) = LogFile(tmp_path / "log").lines(0, 1)
    assert line.at is not None and before - 0.002 <= line.at <= time.time() and line.stream == "p"


def test_a_follower_sees_every_line_once_and_soon(tmp_path: Path) -> None:
    path = tmp_path / "log"
    stop = threading.Event()
    seen: list[str] = []

    def follow() -> None:
        for line in LogFile(path).follow(stop):
            seen.append(line.text)

    thread = threading.Thread(target=follow)
    thread.start()
    with StepLog(path) as log:
        for number in range(200):
            log.feed("o", b"line %d\n" % number)
            if number % 20 == 0:
                wait_until(lambda number=number: len(seen) > number, 5, what="seen before more comes")
        log.feed("o", b"no end")
    stop.set()
    thread.join(scaled(10))
    assert seen == [*(f"line {number}" for number in range(200)), "no end"]


def test_following_from_a_line_on_and_what_was_never_finished(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\nb\nc\nhalf")
    stop = threading.Event()
    stop.set()
    assert [(line.number, line.text) for line in LogFile(path).follow(stop, start=2)] == [(2, "c"), (3, "half")]


def test_several_logs_by_time(tmp_path: Path) -> None:
    for name, seconds in (("a", (1, 4, 5)), ("b", (2, 3, 6))):
        (tmp_path / name).write_text("".join(f"2026-11-23T10:11:{second:02d}.000Z o {second}\n" for second in seconds))
    (tmp_path / "b").write_text((tmp_path / "b").read_text().replace(" 3\n", " 3\nand more\n"))
    read = Merged().read({name: tmp_path / name for name in "ab"}, all=True)
    found = [(name, line.text) for name, line in read]
    assert found == [("a", "1"), ("b", "2"), ("b", "3"), ("b", "and more"), ("a", "4"), ("a", "5"), ("b", "6")]


def test_jumps_read_a_block_and_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(f"{PREFIX}some line of a log\n".encode() * 400_000)
    file = LogFile(path)
    read: list[int] = []
    pread = os.pread
    monkeypatch.setattr(reader.os, "pread", lambda fd, size, offset: read.append(size) or pread(fd, size, offset))
    assert len(file.tail(100)) == 100 and sum(read) <= 2 * reader.BLOCK_BYTES
    assert file.line_count() == 400_000
    for number in (0, 399_990, 200_000):
        read.clear()
        assert file.lines(number, 60)[0].number == number
        assert sum(read) <= 6 * reader.BLOCK_BYTES
    read.clear()
    assert file.line_count() == 400_000 and not file.refresh() and read == []


def test_one_thread_indexes_while_another_reads(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(f"{PREFIX}{number}\n".encode() for number in range(300_000)))
    file = LogFile(path)
    stop = threading.Event()
    threads = [threading.Thread(target=file.index, args=(stop,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in (299_999, 5, 150_000, 77_777):
        assert file.lines(number, 1)[0].text == str(number)
    for thread in threads:
        thread.join()
    assert file.indexed and file.line_count() == 300_000
    stop.set()
    with path.open("ab") as handle:
        handle.write(b"more\n")
    file.refresh()
    assert not file.index(stop) and file.line_count() == 300_001
