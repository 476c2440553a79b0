"""What the pilot cannot see: the real app on a real terminal. Signals, suspension, exit with a blocked thread, no
terminal at all, tmux."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runner.scale import scaled
from tests.support import wait_until, writable

from .seed import seed
from .seed_containers import seed_containers
from .terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
APP = ["-m", "podium.tui"]
# A cockpit in which nothing that is asked for ever comes.
BLOCKED = """
import sys, time, threading
from pathlib import Path
from podium.core.cockpit import Cockpit
from podium.tui import app
class Stuck(Cockpit):
    def environments(self): time.sleep(1000)
    def runs(self, **_): threading.Event().wait()
    def refresh_versions_apart(self): time.sleep(1000)
sys.exit(app.run(Stuck(Path(sys.argv[1]))))
"""


CALLER = """
import signal, sys
from pathlib import Path
from podium.tui import app
numbers = signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT
def mine(*_): ...
for number in numbers: signal.signal(number, mine)
assert app.run(Path(sys.argv[1])) == 128 + signal.SIGHUP
assert all(signal.getsignal(number) is mine for number in numbers)
print("the signals are as before", flush=True)
"""


# A screen with a fault, in the hand of the command line.
FAULTY = """
import sys
from podium.cli.main import main
from podium.screens.runs import RunsScreen
def show(self):
    password = "hunter-of-secrets"
    raise ValueError("never foreseen")
RunsScreen.show = show
sys.exit(main(["-C", sys.argv[1], "ui", *sys.argv[2:]]))
"""


# A shell that is a program of three lines; ctrl+c is for it and not for the cockpit.
SHELL = """
import sys
from pathlib import Path
from podium.core.domain.watching import AgentStatus
from podium.tui import app
from tests.tui.seed import SeededCockpit
PROGRAM = '''
import sys
print("in the shell", flush=True)
while True:
    try:
        line = input()
    except KeyboardInterrupt:
        print("interrupted in the shell", flush=True)
        continue
    if line == "leave":
        sys.exit(7)
    print("heard", line, flush=True)
'''
def command(environment, container, *, program, confirmed=""):
    return [sys.executable, "-c", PROGRAM] if container.endswith("-1") else ["/no/such/program"]
cockpit = SeededCockpit(Path(sys.argv[1]))
cockpit.containers.shell_command = command
sys.exit(app.run(cockpit, screen="containers"))
"""


@pytest.fixture(scope="module")
def docked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shell") / "project"
    seed_containers(directory, now=time.time()).close()
    return directory


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("terminal") / "a project, with ünusual 'quotes'"
    seed(directory, runs=40, now=time.time()).close()
    return directory


def test_draws_answers_keys_and_leaves_the_terminal_as_it_was(home: Path) -> None:
    with Terminal([*APP, str(home)], environ={"LINES": "10", "COLUMNS": "30"}) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.wait_for("flight-delay")
        at = terminal.press("2")
        terminal.wait_for("Steps of run", at)
        at = terminal.press("?")
        terminal.wait_for("Help: Runs", at)
        terminal.press("q")
        time.sleep(0.2)
        terminal.press("q")
        time.sleep(0.2)
        terminal.press("q")
        assert terminal.wait_exit() == 0
        wait_until(terminal.restored, 2, what="the terminal is as before")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_end_it_at_once_with_the_terminal_restored(home: Path, number: signal.Signals) -> None:
    with Terminal([*APP, str(home)]) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.process.send_signal(number)
        assert terminal.wait_exit() == 128 + number
        wait_until(terminal.restored, 2, what="the terminal is as before")


def test_a_terminal_that_goes_away_ends_it(home: Path) -> None:
    with Terminal([*APP, str(home)]) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.hang_up()
        assert terminal.wait_exit() == 128 + signal.SIGHUP


def test_a_terminal_that_goes_away_ends_one_that_is_not_told_so(home: Path) -> None:
    """As after su: the kernel tells the leader of the session alone."""
    with Terminal([*APP, str(home)], leader=False) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.hang_up()
        assert terminal.wait_exit() == 128 + signal.SIGHUP


@pytest.mark.parametrize("before", [(), (signal.SIGSTOP,)])
def test_a_continue_that_nobody_waited_for_changes_nothing(home: Path, before: tuple[signal.Signals, ...]) -> None:
    with Terminal([*APP, str(home)]) as terminal:
        terminal.wait_for("✓ succeeded")
        for number in (*before, signal.SIGCONT, signal.SIGCONT):
            terminal.process.send_signal(number)
            time.sleep(0.1)
        at = terminal.press("3")
        terminal.wait_for("Versions of", at)
        assert len(list(Path(f"/proc/{terminal.process.pid}/task").iterdir())) < 12
        for key in "jkjkjk":
            terminal.press(key)
        terminal.press("\x11")
        assert terminal.wait_exit() == 0
        wait_until(terminal.restored, 2, what="the terminal is as before")


def test_a_continue_that_comes_with_the_end_leaves_the_terminal_as_it_was(home: Path) -> None:
    with Terminal([*APP, str(home)]) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.process.send_signal(signal.SIGCONT)
        assert terminal.wait_exit() == 128 + signal.SIGTERM
        wait_until(terminal.restored, 2, what="the terminal is as before")


def test_a_terminal_that_reads_nothing_does_not_keep_it_from_ending(home: Path) -> None:
    with Terminal([*APP, str(home)]) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.stop_reading()
        keys = itertools.cycle("1234")

        def full() -> bool:
            terminal.press(next(keys))
            return not writable(terminal.slave, seconds=0)

        # Each key opens a screen, which is painted a little later: keys that come faster than that put off the paint.
        wait_until(full, 10, interval=scaled(0.2), what="more was drawn than the terminal holds")
        terminal.process.send_signal(signal.SIGHUP)
        assert terminal.wait_exit() == 128 + signal.SIGHUP


def test_who_opened_it_has_its_signals_back(home: Path) -> None:
    """The demonstration stops what it started after the cockpit has ended, undisturbed by a second signal of a
    terminal that goes away."""
    with Terminal(["-c", CALLER, str(home)]) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.process.send_signal(signal.SIGHUP)
        assert terminal.wait_exit() == 0
        terminal.wait_for("the signals are as before")


def test_exit_waits_for_no_thread(home: Path) -> None:
    with Terminal(["-c", BLOCKED, str(home)]) as terminal:
        terminal.wait_for("Needs you")
        terminal.press("r")
        time.sleep(0.3)
        terminal.press("q")
        # 0.4 s on a quiet machine: benchmarks/cockpit.py measures it. The threads would hold it for 1000, or for ever.
        assert terminal.wait_exit() == 0
        wait_until(terminal.restored, 2, what="the terminal is as before")


def test_ctrl_z_and_fg(home: Path) -> None:
    with Terminal([*APP, str(home)]) as terminal:
        terminal.wait_for("✓ succeeded")
        terminal.press("\x1a")
        stopped = wait_until(lambda: os.waitpid(terminal.process.pid, os.WUNTRACED | os.WNOHANG)[1], 5, what="stopped")
        assert os.WIFSTOPPED(stopped)
        at = len(terminal.output)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for("✓ succeeded", at, timeout=5)
        at = terminal.press("3")
        terminal.wait_for("Versions of", at)


def test_a_shell_has_the_terminal_until_it_ends(docked: Path) -> None:
    with Terminal(["-c", SHELL, str(docked)], cwd=ROOT) as terminal:
        terminal.wait_for("✓ healthy")
        terminal.press("g")
        at = terminal.press("S")
        terminal.wait_for("in the shell", at)
        wait_until(terminal.restored, 2, what="the shell has the terminal as it was")
        at = terminal.press("hello\n")
        terminal.wait_for("heard hello", at)
        at = terminal.press("\x03")
        terminal.wait_for("interrupted in the shell", at)
        at = terminal.press("leave\n")
        terminal.wait_for("staging-v4-1 ended with 7", at)
        terminal.press("j")
        at = terminal.press("S")
        terminal.wait_for("/no/such/program cannot be started", at)
        terminal.wait_for("ended with 127", at)
        at = terminal.press("1")
        terminal.wait_for("Needs you", at)
        terminal.press("\x11")
        assert terminal.wait_exit() == 0
        wait_until(terminal.restored, 2, what="the terminal is as before")


@pytest.mark.parametrize(("term", "words"), [("xterm", "needs a terminal"), ("dumb", "needs a terminal")])
def test_without_a_terminal_it_says_so_and_loads_nothing(home: Path, term: str, words: str) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *APP, str(home)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(20),
        env={**os.environ, "TERM": term},
    )
    assert result.returncode == 2
    assert words in result.stderr and "Traceback" not in result.stderr
    assert "textual" not in result.stderr, "Textual was not imported"


def test_a_bad_keymap_is_fatal(home: Path, tmp_path: Path) -> None:
    (tmp_path / "podium").mkdir()
    (tmp_path / "podium" / "keys.yaml").write_text("rollback: q\n")
    with Terminal([*APP, str(home)], environ={"XDG_CONFIG_HOME": str(tmp_path)}) as terminal:
        assert terminal.wait_exit(10) == 2
        terminal.wait_for("already the key of back")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_in_tmux_at_80_by_24(home: Path, tmp_path: Path) -> None:
    socket = str(tmp_path / "tmux")

    def tmux(*arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-S", socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            timeout=scaled(10),
            check=True,
        ).stdout

    def shows(words: str) -> bool:
        return words in tmux("capture-pane", "-p", "-t", "podium")

    def press(key: str) -> None:
        """On a busy machine a key must not overtake the paint that the one before it asked for: wait until the
        picture stands still."""
        seen = [""]

        def still() -> bool:
            before, seen[0] = seen[0], tmux("capture-pane", "-p", "-t", "podium")
            return before == seen[0]

        wait_until(still, 20, interval=0.3, what="a picture that stands still")
        tmux("send-keys", "-t", "podium", key)

    command = f"env LANG=C.UTF-8 TZ=UTC {sys.executable} -m podium.tui; echo ended with $?; sleep 60"
    tmux("new-session", "-d", "-s", "podium", "-x", "80", "-y", "24", "-c", str(home), command)
    try:
        wait_until(lambda: shows("✓ succeeded"), 30, what=tmux("capture-pane", "-p", "-t", "podium"))
        press("2")
        wait_until(lambda: shows("Log of"), 30)
        press("l")
        press("+")
        wait_until(lambda: shows("following") and not shows("Steps of run"), 30, what="the log alone")
        tmux("resize-window", "-t", "podium", "-x", "120", "-y", "40")
        press("Escape")
        wait_until(lambda: shows("Steps of run"), 30)
        press("C-q")
        wait_until(lambda: shows("ended with 0"), 30)
    finally:
        tmux("kill-server")


@pytest.mark.parametrize("at_once", [True, False])
def test_an_error_that_nobody_foresaw_is_a_sentence_and_tells_no_values(tmp_path: Path, at_once: bool) -> None:
    seed(tmp_path)
    first = ["--screen", "runs"] if at_once else []
    with Terminal(["-c", FAULTY, str(tmp_path), *first], cwd=tmp_path) as terminal:
        if not at_once:
            terminal.wait_for("Overview")
            terminal.press("2")
        assert terminal.wait_exit(20) == 1
        wait_until(lambda: "the traceback is in" in terminal.words())
        said = terminal.words()
        assert "podium: unexpected error: ValueError: never foreseen" in said
        assert "hunter-of-secrets" not in said and "Traceback" not in said
        assert terminal.restored()
    (kept,) = (tmp_path / ".podium").glob("crash-*.txt")
    assert "in show" in kept.read_text()
