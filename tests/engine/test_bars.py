"""A progress bar that moves slowly fills no log: each state that is shown is a record."""

from __future__ import annotations

from itertools import pairwise

from podium.core.engine.run.attempt import LINE_TIMEOUT, MAX_LINE_TIMEOUT, show_at


def test_states_of_one_line_are_shown_less_and_less_often() -> None:
    """A bar that moves every one and a half seconds for ten minutes."""
    now, shown, pieces = 0.0, 0.0, 0
    at: list[float] = []
    while now < 600.0:
        now += 1.5  # the bar moves
        due = show_at(now, shown, pieces)
        if due <= now + 1.5:
            shown, pieces = due, pieces + 1
            at.append(due)
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert len(at) < 20 and waits == sorted(waits) and max(waits) <= MAX_LINE_TIMEOUT + 1.5
    assert at[0] == 1.5 + LINE_TIMEOUT, "what stands there first is shown as early as a prompt"
