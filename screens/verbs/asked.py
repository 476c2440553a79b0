"""What is asked in words in the palette: versions side by side, what served at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.cockpit import Cockpit
from ...core.domain.text import format as fmt
from ...core.domain.text.moments import spoken_moment
from ...core.domain.why.answers import Answer, ServedAt
from ...tui.palette import Entry
from ...tui.screens import BY_NAME as SCREENS

if TYPE_CHECKING:
    from ..base import PodiumScreen


def ask_in_words(screen: PodiumScreen, entry: Entry) -> None:
    """Answers what an entry of the palette asks."""
    if entry.compare:
        _compare(screen, entry.compare)
    else:
        _served(screen, entry.at)


def _compare(screen: PodiumScreen, names: tuple[str, ...]) -> None:
    screen.carry_out(
        "compare",
        lambda cockpit: cockpit.comparing.compare(names),
        lambda comparison: screen.app.push_screen(SCREENS["compare"].make(comparison)),
    )


def _served(screen: PodiumScreen, text: str) -> None:
    from ...tui.widgets.answer_dialog import AnswerDialog

    at = spoken_moment(text, screen.podium.clock())
    if at is None:
        screen.podium.say(f"{text} is no moment: 14:05, yesterday 14:05, last tuesday 9:00, 2h", "warn")
        return

    def answer(cockpit: Cockpit) -> Answer:
        found = cockpit.why.served(at)
        return Answer(f"what served at {fmt.local(at)}", "by the ledger", tuple(map(_line, found)))

    screen.carry_out(f"what served at {text}", answer, lambda found: screen.app.push_screen(AnswerDialog(found)))


def _line(served: ServedAt) -> str:
    row = served.deployment
    if row is None:
        return f"{served.environment}: nothing{f', {served.stopped}' if served.stopped else ''}"
    until = f", until {fmt.local(served.until)}" if served.until is not None else ", until now"
    since = f"v{row.to_version} since {fmt.local(row.at)}, by {row.how} of {row.who}"
    under = served.under_way
    moving = f"; v{under.to_version} was being brought" if under is not None else ""
    return f"{served.environment}: {since}{until}{moving}"
