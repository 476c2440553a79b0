"""Work in several threads: in its order, with every result told in the caller's thread, and nothing that goes on
afterwards."""

from __future__ import annotations

import threading

import pytest
from podium.core.containers.engine.several import all_at_once, in_lines
from podium.core.errors import Interrupted, RunFailed

from tests.runner.scale import scaled


def test_lines_go_on_at_once_and_each_in_its_order() -> None:
    met, told, here = threading.Barrier(2, timeout=scaled(20)), [], threading.get_ident()
    told_in: set[int] = set()

    def ended(key: str, result: int) -> None:
        told.append((key, result))
        told_in.add(threading.get_ident())

    def meets(value: int) -> int:
        met.wait()  # which nobody passes alone
        return value

    in_lines([[("a1", lambda: meets(1)), ("a2", lambda: 2)], [], [("b1", lambda: meets(3)), ("b2", lambda: 4)]], ended)
    assert sorted(told) == [("a1", 1), ("a2", 2), ("b1", 3), ("b2", 4)]
    assert [key for key, _ in told if key[0] == "a"] == ["a1", "a2"]
    assert told_in == {here}


def test_a_single_line_stays_in_the_callers_thread() -> None:
    """Which may use its journal."""
    told: list[tuple[int, int]] = []
    in_lines([[(1, threading.get_ident), (2, threading.get_ident)]], lambda *each: told.append(each))
    assert told == [(1, threading.get_ident()), (2, threading.get_ident())]
    in_lines([], lambda *each: told.append(each))
    assert len(told) == 2


def test_after_an_error_nothing_is_begun_and_what_had_begun_is_told() -> None:
    both, told, begun = threading.Barrier(2, timeout=scaled(20)), [], []

    def fails() -> str:
        begun.append("fails")
        both.wait()
        raise RunFailed("it does not start")

    def slow() -> str:
        begun.append("slow")
        both.wait()
        return "there"

    def later() -> str:
        begun.append("later")
        return "never"

    lines = [[("x", fails), ("y", later)], [("z", slow)]]
    with pytest.raises(RunFailed, match="it does not start"):
        in_lines(lines, lambda key, result: told.append((key, result)))
    assert told == [("z", "there")] and sorted(begun) == ["fails", "slow"]


def test_whoever_is_interrupted_waits_for_what_has_begun() -> None:
    """What is undone next must not be started by a thread meanwhile."""
    both, go, ended = threading.Barrier(2, timeout=scaled(20)), threading.Event(), []

    def slow() -> None:
        both.wait()
        assert go.wait(scaled(20))
        ended.append("slow")

    def interrupted(key: str, result: object) -> None:
        threading.Timer(0.05, go.set).start()
        raise Interrupted("told to end")

    with pytest.raises(Interrupted):
        in_lines([[("a", both.wait)], [("b", slow), ("c", lambda: ended.append("c"))]], interrupted)
    assert ended == ["slow"]


def test_all_at_once_keeps_results_and_errors_in_their_order() -> None:
    error = OSError("away")

    def fails() -> int:
        raise error

    met = threading.Barrier(3, timeout=scaled(20))
    assert all_at_once(
        [lambda: (met.wait() and 1) or 1, fails, lambda: (met.wait() and 3) or 3, lambda: met.wait() * 0]
    ) == [
        (1, None),
        (None, error),
        (3, None),
        (0, None),
    ]
    assert all_at_once([]) == [] and all_at_once([fails]) == [(None, error)]


def test_as_many_at_a_time_as_are_allowed() -> None:
    """Five lines for two threads: whichever is free takes the next one."""
    here, most, lock, told = [0], [0], threading.Lock(), []
    both = threading.Barrier(2, timeout=scaled(20))

    def work(number: int) -> int:
        with lock:
            here[0] += 1
            most[0] = max(most[0], here[0])
        if number < 2:
            both.wait()
        with lock:
            here[0] -= 1
        return number

    lines = [[(number, lambda number=number: work(number))] for number in range(5)]
    in_lines(lines, lambda key, result: told.append((key, result)), most=2)
    assert sorted(told) == [(number, number) for number in range(5)] and most[0] == 2


def test_whoever_reads_and_is_interrupted_waits_for_nobody() -> None:
    both, go = threading.Barrier(2, timeout=scaled(20)), threading.Event()

    def hangs() -> None:
        both.wait()
        go.wait(scaled(60))

    def interrupted(key: str, result: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_lines([[("a", both.wait)], [("b", hangs)]], interrupted, reading=True)
    assert not go.is_set()
    go.set()
