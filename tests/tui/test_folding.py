"""Rows that are passed by: as many shown ones are counted as without them, and a log of any length costs nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from podium.tui.widgets.logs.cursor import LogCursor
from podium.tui.widgets.logs.folding import back, forth, laid_down, laid_up, seen


@given(st.integers(1, 30), st.sets(st.integers(0, 29)), st.integers(0, 29), st.integers(0, 40))
def test_so_many_shown_rows_are_passed(total: int, hidden: set[int], row: int, count: int) -> None:
    row = min(row, total - 1)
    below = [each for each in range(row + 1, total) if each not in hidden][:count]
    assert forth(hidden, row, count, total) == (below[-1] if below else row)
    above = [each for each in range(row - 1, -1, -1) if each not in hidden]
    assert back(hidden, row, count) == (above[count - 1] if 0 < count <= len(above) else 0 if count else row)


@given(st.integers(0, 30), st.sets(st.integers(0, 29)), st.integers(1, 10))
def test_what_is_drawn_from_the_end_is_what_is_drawn_from_its_first_row(
    total: int, hidden: set[int], height: int
) -> None:
    rows, places = laid_up(hidden, total, height, lambda row: [row])
    assert rows == places == [each for each in range(total) if each not in hidden][-height:]
    if places:
        assert laid_down(hidden, places[0], total, height, lambda row: [row]) == (rows, places)


def test_a_log_of_any_length_is_gone_through_at_once() -> None:
    total = 10**12  # counted through, it would never end
    assert (forth((), 0, total, total), back((), total, total - 5)) == (total - 1, 5)
    cursor = LogCursor()
    cursor.step(total, 0)
    for how, row in (("bottom", total - 1), ("top", 0)):
        cursor.move(how, 10, total, {7})
        assert cursor.row == row


def test_of_the_states_of_a_bar_the_last_counts() -> None:
    asked: list[tuple[int, int]] = []

    def hidden(first: int, last: int) -> range:
        asked.append((first, last))
        return range(10, 20)  # rows 10 to 20 are a bar

    assert seen((1, *range(10, 21), 40), hidden) == (1, 20, 40)
    assert asked == [(10, 20)]


def test_what_is_far_from_all_others_is_not_read_again() -> None:
    def never(first: int, last: int) -> range:
        raise AssertionError((first, last))

    assert seen(range(0, 10**6, 100), never) == tuple(range(0, 10**6, 100))
    assert seen((), never) == ()


def test_many_are_read_a_piece_at_a_time_and_one_is_always_left() -> None:
    asked: list[int] = []

    def hidden(first: int, last: int) -> range:
        asked.append(last + 1 - first)
        return range(first, last + 1)

    assert len(seen(range(10_000), hidden)) == len(asked) == 3
    assert max(asked) <= 4_096
