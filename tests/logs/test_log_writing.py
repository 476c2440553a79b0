"""The writer: whole, masked, bounded, and honest about what it lost."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from podium.core.logs.format import MAX_TEXT_BYTES
from podium.core.logs.masking import Masker, encoded
from podium.core.logs.reader import LogFile
from podium.core.logs.writer import StepLog

from tests.runner.scale import scaled
from tests.runner.turns import examples

relaxed = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def raw_lines(path: Path) -> dict[str, bytes]:
    """What each stream printed, put together again from the file by the documented format alone."""
    found = {"o": b"", "e": b"", "p": b""}
    for record in path.read_bytes().split(b"\n")[:-1]:
        match = re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ([oepOEP]) (.*)", record, re.DOTALL)
        assert match, record[:80]
        letter = match[1].decode()
        found[letter.lower()] += match[2] + (b"" if letter.isupper() else b"\n")
    return found


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[low:high] for low, high in pairwise(edges)]


@relaxed
@given(
    chunks=st.lists(
        st.tuples(
            st.sampled_from("oe"),
            st.one_of(st.binary(max_size=40), st.sampled_from([b"\n", b"a\n", b"\r\n", b"\x1b[1mx"])),
        )
    ),
    flushes=st.sets(st.integers(0, 20)),
)
def test_any_bytes_in_any_pieces_come_back_as_they_were(
    tmp_path: Path, chunks: list[tuple[str, bytes]], flushes: set[int]
) -> None:
    path = tmp_path / "step.log"
    path.unlink(missing_ok=True)
    printed = {"o": b"", "e": b""}
    with StepLog(path) as log:
        for number, (stream, data) in enumerate(chunks):
            log.feed(stream, data)
            printed[stream] += data
            if number in flushes:
                log.flush()
    found = raw_lines(path)
    for stream, data in printed.items():
        # The end of the log ends a line that was not ended.
        assert found[stream] in (data, data + b"\n")
    lines = LogFile(path).lines(0, 10_000)
    assert len(lines) == path.read_bytes().count(b"\n")
    for stream, data in printed.items():
        mine = "".join(line.text + ("" if line.continues else "\n") for line in lines if line.stream == stream)
        if data.isascii():
            assert mine in (data.decode(), data.decode() + "\n")


@relaxed
@given(
    sizes=st.lists(st.integers(0, 3 * MAX_TEXT_BYTES), min_size=1, max_size=4),
    step=st.sampled_from([1 << 12, 1 << 16, 100_001, 1 << 20]),
)
@example(sizes=[MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1, 0, 2 * MAX_TEXT_BYTES], step=1 << 20)
def test_long_lines_are_cut_with_a_mark(tmp_path: Path, sizes: list[int], step: int) -> None:
    path = tmp_path / "step.log"
    path.unlink(missing_ok=True)
    data = b"".join(b"x" * size + b"\n" for size in sizes)
    with StepLog(path) as log:
        for at in range(0, len(data), step):
            log.feed("o", data[at : at + step])
    assert raw_lines(path)["o"] == data
    assert max(map(len, path.read_bytes().split(b"\n"))) <= MAX_TEXT_BYTES + 27


def test_a_line_is_in_the_file_as_soon_as_it_is_whole_and_a_prompt_after_flush(tmp_path: Path) -> None:
    path = tmp_path / "a" / "step.log"
    log = StepLog(path)
    log.feed("o", b"one\ntw")
    assert [line.text for line in LogFile(path).lines(0, 9)] == ["one"]
    assert log.unfinished
    log.flush()
    log.feed("o", b"o\n")
    lines = LogFile(path).lines(0, 9)
    assert [(line.text, line.continues) for line in lines] == [("one", False), ("tw", True), ("o", False)]
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    log.close()
    log.close()


def test_a_log_is_continued_also_after_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    path.write_bytes(b"2026-01-01T00:00:00.000Z o whole\n2026-01-01T00:00")
    with StepLog(path) as log:
        log.note("again")
    assert [(line.stream, line.text) for line in LogFile(path).lines(0, 9)] == [
        ("o", "whole"),
        ("", "2026-01-01T00:00"),
        ("p", "again"),
    ]


@relaxed
@given(
    secrets=st.lists(st.text("ab\n", min_size=4, max_size=7), max_size=4),
    data=st.text("abc\n", max_size=120),
    cuts=st.lists(st.integers(0, 200), max_size=12),
)
@example(secrets=["abab", "babac"], data="ababab", cuts=[3, 5])
def test_masking_does_not_depend_on_where_the_stream_is_cut(secrets: list[str], data: str, cuts: list[int]) -> None:
    known = encoded(secrets)
    whole = re.sub(b"|".join(map(re.escape, known)), b"***", data.encode()) if known else data.encode()
    masker = Masker(known)
    assert b"".join([*(masker.feed(chunk) for chunk in chunked(data.encode(), cuts)), masker.close()]) == whole


@relaxed
@given(before=st.binary(max_size=30), after=st.binary(max_size=30), cuts=st.lists(st.integers(0, 100), max_size=8))
def test_no_secret_reaches_the_disk(tmp_path: Path, before: bytes, after: bytes, cuts: list[int]) -> None:
    path = tmp_path / "step.log"
    path.unlink(missing_ok=True)
    secret = "s3cr3t-töken"
    with StepLog(path, [secret, "", " "]) as log:
        for chunk in chunked(before + secret.encode() + after, cuts):
            log.feed("e", chunk)
        log.note(f"called with {secret}")
    content = path.read_bytes()
    assert secret.encode() not in content and content.count(b"***") >= 2


def test_a_secret_of_several_lines_is_masked_and_a_short_one_is_not_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    with StepLog(path, ["-----KEY\nabcdef\n-----END\n", "abc"]) as log:
        log.feed("o", b"key: -----KEY\nabc")
        log.feed("o", b"def\n-----END\nabc\n")
    assert [line.text for line in LogFile(path).lines(0, 9)] == ["key: ***", "abc"]


def test_the_beginning_and_the_end_of_too_much_are_kept_and_the_loss_is_said(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    with StepLog(path, cap=100_000, tail=10_000) as log:
        for number in range(20_000):
            log.feed("o", b"line %d\n" % number)
        log.note("the end")
    lines = LogFile(path).lines(0, 100_000)
    assert path.stat().st_size < 100_000 + 10_000 + 500
    printed = [int(line.text.split()[1]) for line in lines if line.stream == "o"]
    gap = next(index for index in range(len(printed)) if printed[index] != index)
    assert printed[gap:] == list(range(printed[gap], 20_000))
    notes = [line.text for line in lines if line.stream == "p"]
    assert notes[-1] == "the end" and "only the end" in notes[0]
    assert notes[1].startswith(f"{printed[gap] - gap:,} lines")


def test_a_gigabyte_without_a_line_feed_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    block = b"\xff\x00\x1b[31m" * (1 << 17)
    with StepLog(path, cap=4 << 20, tail=1 << 20) as log:
        for _ in range((1 << 30) // len(block)):
            log.feed("o", block)
    assert 4 << 20 < path.stat().st_size < 6 << 20
    file = LogFile(path)
    assert file.line_count() > 60 and any("missing" in line.text for line in file.lines(0, 200))


@contextmanager
def at_most(size: int) -> Generator[None]:
    """No file of this process may grow beyond `size`: as good as a full disk, and gone again afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_survived_and_nothing_is_lost_that_memory_could_hold(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    log = StepLog(path)
    with at_most(5000):
        for number in range(400):
            log.feed("o", b"line %d\n" % number)
        assert "incomplete" in log.problem
        # What is there is whole lines.
        assert path.read_bytes().endswith(b"\n") and 4900 < path.stat().st_size <= 5000
    log.close()
    assert not log.problem
    assert [line.text for line in LogFile(path).lines(0, 1000)] == [f"line {number}" for number in range(400)]


def test_a_full_disk_that_lasts_costs_lines_and_the_log_says_how_many(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    log = StepLog(path, tail=3000)
    with at_most(5000):
        for number in range(2000):
            log.feed("o", b"line %d\n" % number)
    log.close()
    lines = LogFile(path).lines(0, 3000)
    (note,) = [line for line in lines if line.stream == "p"]
    printed = [int(line.text.split()[1]) for line in lines if line.stream == "o"]
    lost = 2000 - len(printed)
    assert lost > 0 and note.text.startswith(f"{lost:,} lines") and printed[-1] == 1999
    assert printed == sorted(printed) and lines[note.number - 1].text != lines[note.number + 1].text


def test_a_disk_that_stays_full_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    log = StepLog(path)
    with at_most(1000):
        for number in range(100):
            log.feed("o", b"line %d\n" % number)
        log.close()
    assert "incomplete" in log.problem and path.read_bytes().endswith(b"\n")


_KILLED = """
import os, sys
from pathlib import Path
from podium.core.logs.writer import StepLog
log = StepLog(Path(sys.argv[1]))
for number in range(1000):
    log.feed("o", b"line %d\\n" % number)
os.kill(os.getpid(), 9)
"""


def test_a_killed_worker_leaves_every_line_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    assert subprocess.run([sys.executable, "-c", _KILLED, str(path)], timeout=scaled(60), check=False).returncode == -9
    assert LogFile(path).line_count() == 1000


def test_notes_from_other_threads_do_not_tear_lines(tmp_path: Path) -> None:
    import threading

    path = tmp_path / "step.log"
    with StepLog(path) as log:
        threads = [threading.Thread(target=lambda: [log.note("note " * 50) for _ in range(300)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(300):
            log.feed("o", b"out " * 50 + b"\n")
        for thread in threads:
            thread.join()
    assert {line.text.strip() for line in LogFile(path).lines(0, 5000)} == {
        ("note " * 50).strip(),
        ("out " * 50).strip(),
    }
    assert LogFile(path).line_count() == 1200


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_a_device_that_is_full(tmp_path: Path) -> None:
    path = tmp_path / "step.log"
    path.symlink_to("/dev/full")
    with StepLog(path) as log:
        log.note("x")
        assert "No space" in log.problem


def test_pieces_of_a_line_are_counted_until_its_end(tmp_path: Path) -> None:
    with StepLog(tmp_path / "a.log") as log:
        for number in range(3):
            log.feed("e", f"\r{number}/3".encode())
            log.flush()
            assert log.pieces == number + 1
        log.flush()
        assert log.pieces == 3, "nothing new was shown"
        log.feed("e", b"\n")
        assert log.pieces == 0
