"""Linear mode, as text on a real terminal: what is told, what is asked, and that nothing is ever drawn."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import time
from pathlib import Path

import pytest
from podium.core.domain.runs import PIPELINE, RunState
from podium.core.journal import Journal
from podium.tui import widgets
from podium.tui.actions import ACTIONS
from podium.tui.linear.asking import HANDLERS
from podium.tui.linear.commands import named
from podium.tui.linear.spoken import plain
from textual.screen import ModalScreen

from tests.tui.seed import _create, seed
from tests.tui.terminal import Terminal

ROOT = Path(__file__).resolve().parents[3]
# The seeded cockpit says at its end what was asked of it.
APP = """
import sys, time
from pathlib import Path
from podium.tui import app
from tests.tui.seed import SeededCockpit
cockpit = SeededCockpit(Path(sys.argv[1]))
cockpit.clock_now = time.time()
code = app.run(cockpit, linear="--linear" in sys.argv)
for plan, why, force in cockpit.applied:
    print("APPLIED", plan.verb, plan.target, plan.arguments, repr(why), force)
sys.exit(code)
"""
DRAWN = re.compile("[\x1b\u2500-\u259f\u2800-\u28ff]")


class Person:
    """Types lines at the prompt, and reads what is told after each."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._at = 0

    def hears(self, *words: str) -> str:
        """Waits for words in what was told since the last line that was typed."""
        for each in words:
            self.terminal.wait_for(each, self._at, 20)
        return self.terminal.words(self._at).replace("\r\n", "\n")

    def types(self, line: str, *words: str, prompt: str = "> ") -> str:
        self.terminal.wait_for(prompt, self._at, 20)
        self._at = self.terminal.press(line + "\n")
        return self.hears(*words)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "flight-délai"
    seed(directory, now=time.time()).close()
    return directory


def _terminal(home: Path, tmp_path: Path, *arguments: str, **environ: str) -> Terminal:
    kept = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    return Terminal(["-c", APP, str(home), *arguments], cwd=ROOT, environ={**kept, **environ})


def test_a_day_in_lines(home: Path, tmp_path: Path) -> None:
    with _terminal(home, tmp_path, TERM="dumb") as terminal:
        person = Person(terminal)
        told = person.hears("Overview", "Needs you", "14 in all", "To do", "> ")
        assert re.search(r"^1\. ", told, re.MULTILINE) and "production protected" in told
        # A refusal says why; a number that is not there, too.
        person.types(":run 8", "Runs, run 8", "state succeeded")
        person.types("X", "cancel: run 8 is over")
        person.types("99", "there is no number 99")
        # From a list to the steps, to a log, and back.
        number = re.search(r"(\d+)\. 8, state", person.types("", "8, state succeeded"))
        assert number is not None
        person.types(number[1], "Steps of run 8", "gate, state succeeded", "critical path")
        person.types("1", "Log of unit")
        person.types("q", "Steps of run 8")
        person.types("q", "Runs, 14")
        # A protected environment: the plan, a wrong name, the right one, and a reason.
        person.types("models", "Versions of flight-delay", "1. v4, aliases challenger")
        person.types("promote 1", "traffic of production v3 to v4", "production is protected")
        person.types("yes", "nothing was changed", prompt="changes nothing: ")
        person.types("promote 1", "production is protected")
        person.types("production", "Why (kept in the ledger", prompt="changes nothing: ")
        person.types("a good autumn", "run 15 started", "Runs, run 15", prompt="may be empty): ")
        # What changes meanwhile is told by itself, one line each.
        with Journal.open(home / ".podium" / "journal.db") as journal:
            run = _create(journal, PIPELINE, "nightly", "", time.time())
            journal.runs.set_state(run.id, RunState.FAILED, message="the disk is full")
        person.hears("run 16, nightly: failed, the disk is full")
        # A form; an empty line keeps what stands there.
        person.types("start a run", "Start release.")
        person.types("2013-09", "podium run release -p until=2013-09", prompt="until [2013-07]: ")
        person.types("no", "nothing was started", prompt="changes nothing: ")
        person.types("why", "Why, run")
        person.types("?", "A number opens", "Not now: ")
        person.types("", prompt="Number (empty for none): ")
        person.types("quit")
        assert terminal.wait_exit(10) == 0
        terminal.wait_for("APPLIED promote production {'version': '4'} 'a good autumn' False")
        assert "APPLIED" not in terminal.words().split("APPLIED", 1)[1], "the wrong name has changed nothing"
        drawn = DRAWN.search(bytes(terminal.output).decode())
        assert drawn is None, drawn
        assert "?" * 2 not in terminal.words(), "what the terminal's encoding has is told as it is written"


def test_asked_for_on_any_terminal_and_the_end_of_input_ends_it(home: Path, tmp_path: Path) -> None:
    with _terminal(home, tmp_path, "--linear", TERM="xterm-256color", PYTHONIOENCODING="ascii") as terminal:
        person = Person(terminal)
        person.hears("Needs you", "> ")
        os.write(terminal.master, b"\x03")  # ctrl+c
        person.hears("quit leaves")
        os.write(terminal.master, b"\x04")  # ctrl+d
        assert terminal.wait_exit(10) == 0
        assert bytes(terminal.output).isascii() and b"\x1b" not in terminal.output


def test_every_dialog_can_be_asked_line_by_line() -> None:
    modules = [
        importlib.import_module(each.name) for each in pkgutil.walk_packages(widgets.__path__, f"{widgets.__name__}.")
    ]
    dialogs = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, ModalScreen) and each.__module__ == module.__name__
    }
    assert {each for each in dialogs if each.__name__ != "Dialog"} == set(HANDLERS)


def test_everything_that_changes_something_is_done_by_its_name() -> None:
    for action in ACTIONS:
        for screen in action.screens if action.danger else ():
            assert named(action.label_on(screen), screen) is action


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v3 → v4", "v3 to v4"),
        ("✓ succeeded   ▁▂▃ ━━━", "succeeded"),
        ("Zürich 東京", "Zürich 東京"),
        ("a\x1b[31mb", "ab"),
        ("⣿⣿ 40%", "40%"),
    ],
)
def test_what_is_drawn_is_not_said(text: str, said: str) -> None:
    assert plain(text) == said
