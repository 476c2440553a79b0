"""A progress bar that moves slowly: a few records in the file, one line for a reader."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.text import clean
from podium.core.logs.format import LogLine
from podium.core.logs.reader import LogFile
from podium.core.logs.redraws import without_redraws, written_over
from podium.core.logs.writer import StepLog


def shown(path: Path) -> list[str]:
    return [clean(line.text) for line in without_redraws(LogFile(path).tail(1000))]


def bar(log: StepLog, steps: int) -> None:
    """Draws its states but for the last one, each so slowly that it is kept."""
    for number in range(steps):
        log.feed("e", f"\r{number}/{steps}".encode())
        log.flush()


def test_a_bar_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with StepLog(path) as log:
        log.feed("o", b"begin\n")
        bar(log, 5)
        log.feed("o", b"between\n")
        log.feed("e", b"\r5/5\nend\n")
    assert len(LogFile(path).tail(1000)) == 9
    assert shown(path) == ["begin", "between", "5/5", "end"]


def test_a_prompt_and_what_follows_it_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with StepLog(path) as log:
        log.feed("o", b"name? ")
        log.flush()
        log.feed("o", b"anna\n")
        log.feed("o", b"x" * 70_000 + b"\n")
    assert [len(line) for line in shown(path)] == [6, 4, 65_536, 4_464]


def test_a_bar_that_goes_on_is_shown_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with StepLog(path) as log:
        for number in range(3):
            log.feed("o", f"\r{number} %".encode())
            log.flush()
        assert shown(path) == ["2 %"]


def test_bars_below_each_other_are_a_line_each(tmp_path: Path) -> None:
    """As tqdm draws them, the inner one with `leave=False`."""
    path = tmp_path / "a.log"
    with StepLog(path) as log:
        log.feed("o", b"begin\n")
        for outer in range(4):
            log.feed("e", f"\r{outer}/4 epochs\n".encode())
            for inner in range(200):
                log.feed("e", f"\r{inner}/200 batches\x1b[A\n".encode())
            log.feed("e", b"\r               \x1b[A")
            log.feed("o", f"loss {outer}\n".encode())
        log.feed("e", b"\r4/4 epochs\n")
        log.feed("o", b"end\n")
    assert len(LogFile(path).tail(10_000)) > 800
    assert [line.strip() for line in shown(path)] == [
        *("begin", *(f"loss {outer}" for outer in range(4)), "4/4 epochs", "end")
    ]


def test_what_is_written_below_a_bar_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with StepLog(path) as log:
        log.feed("e", b"one\ntwo\nthree\x1b[2A\n\rTWO\n\nfour\n\x1b[9Anowhere\n")
    assert shown(path) == ["one", "two", "three", "TWO", "", "four", "nowhere"]


@given(st.lists(st.tuples(st.sampled_from("oe"), st.sampled_from(["a", "\rb", ""]), st.booleans())))
def test_nothing_else_is_lost_and_the_order_stays(drawn: list[tuple[str, str, bool]]) -> None:
    lines = [LogLine(number, 0.0, *each) for number, each in enumerate(drawn)]
    kept = list(without_redraws(lines))
    assert [line.number for line in kept] == sorted(line.number for line in kept)
    gone = {line.number for line in lines} - {line.number for line in kept}
    for number in gone:
        line = lines[number]
        after = next(each for each in lines[number + 1 :] if each.stream == line.stream)
        assert line.continues and after.text.startswith("\r")
    assert all(
        line.number in gone
        for line, after in pairwise(lines)
        if line.continues and after.stream == line.stream and after.text.startswith("\r")
    )


def test_states_of_a_bar_are_known_by_their_places_and_logs_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with StepLog(path) as log:
        log.feed("o", b"begin\n")
        bar(log, 3)
        log.feed("e", b"\r3/3\nend\n")
    lines = LogFile(path).tail(100)
    gone = written_over(("", line) for line in lines)
    kept = [clean(line.text) for place, line in enumerate(lines) if place not in gone]
    assert kept == [clean(line.text) for line in without_redraws(lines)] == ["begin", "3/3", "end"]
    both = [(name, line) for line in lines for name in ("a", "b")]
    gone = written_over(both)
    assert [name for place, (name, _) in enumerate(both) if place not in gone] == ["a", "b"] * 3
