"""The parts that need no screen: pool, store, terminal, formats, sparkline, graph, log text."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.runs import Step, StepState
from podium.core.errors import PodiumError
from podium.tui.glyphs import Glyphs
from podium.tui.pool import SLOW, Job, Pool
from podium.tui.screens import MAIN
from podium.tui.store import Store
from podium.tui.terminal import check, clipboard_sequence, plain_glyphs
from podium.tui.themes.colours import COLOURS, CONTRAST, contrasts
from podium.tui.widgets import header
from podium.tui.widgets.graph import arrange, outcome
from podium.tui.widgets.log_reader import Filter, Reader, search
from podium.tui.widgets.log_text import readable
from podium.tui.widgets.pane import fit, fit_both_ends
from podium.tui.widgets.sparkline import sparkline
from rich.cells import cell_len

from tests.runner.scale import scaled
from tests.support import wait_until

ROOT = Path(__file__).resolve().parents[2]

GLYPHS = Glyphs()


# The pool


def test_jobs_of_one_key_never_overlap_and_the_newest_waiting_one_wins() -> None:
    pool, running, done, gate = Pool(fast=3), [], [], threading.Event()

    def work(number: int):
        def run(job: Job) -> int:
            running.append(number)
            assert len([n for n in running if n not in done]) == 1
            gate.wait(scaled(5))
            return number

        return run

    for number in range(5):
        pool.submit("one", work(number), lambda value, error: done.append(value))
        if number == 0:
            wait_until(lambda: running == [0], what="the first runs")
    gate.set()
    wait_until(lambda: done == [0, 4], what="the first and the newest were done")
    assert running == [0, 4]
    pool.close()


def test_a_lane_that_is_stuck_does_not_hold_up_the_other() -> None:
    pool, stuck, results = Pool(slow=1), threading.Event(), []
    pool.submit("stuck", lambda job: stuck.wait(scaled(10)), lane=SLOW)
    pool.submit("quick", lambda job: 1, lambda value, error: results.append(value))
    wait_until(lambda: results == [1])
    stuck.set()
    pool.close()


def test_closing_stops_jobs_calls_their_closers_and_waits_for_nothing() -> None:
    pool, closed, started, over = Pool(), threading.Event(), threading.Event(), threading.Event()

    def work(job: Job) -> None:
        job.closer = closed.set
        started.set()
        over.wait()  # whatever it is told

    job = pool.submit("one", work)
    assert started.wait(scaled(5))
    pool.close()
    assert closed.wait(scaled(2)) and job.stop.is_set()
    over.set()


def test_an_error_is_handed_over() -> None:
    pool, errors = Pool(), []
    pool.submit("bad", lambda job: 1 / 0, lambda value, error: errors.append(error))
    wait_until(lambda: errors)
    assert isinstance(errors[0], ZeroDivisionError)
    pool.close()


# The store


def test_versions_grow_only_when_something_differs_and_announcements_are_few() -> None:
    calls: list[int] = []
    store = Store(lambda: 1.0, lambda: calls.append(1))
    store.put("a", (1, 2))
    version = store.get("a").version
    store.put("a", (1, 2))
    assert store.get("a").version == version
    store.put("a", (1, 3))
    store.put("b", 1)
    assert store.get("a").version > version
    assert len(calls) == 1, "one announcement until the changes are taken"
    assert store.take_changes() == {"a", "b"}
    store.put("b", 2)
    assert len(calls) == 2


def test_a_failure_keeps_the_last_value_and_its_time() -> None:
    now = [10.0]
    store = Store(lambda: now[0])
    store.put("a", "good")
    now[0] = 20.0
    store.fail("a", PodiumError("gone"))
    assert (store.get("a").value, store.get("a").at, str(store.get("a").error)) == ("good", 10.0, "gone")
    store.put("a", "good")
    assert store.get("a").error is None and store.get("a").at == 20.0
    assert store.get("never").loading


# The terminal


class _Stream(io.StringIO):
    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("stdin", "stderr", "words"),
    [
        (True, True, None),
        (False, True, "standard input"),
        (True, False, "standard error"),
    ],
)
def test_where_the_cockpit_cannot_run_it_says_why(stdin: bool, stderr: bool, words: str | None) -> None:
    reason = check(_Stream(stdin), _Stream(stderr))
    assert reason is None if words is None else words in str(reason) and "podium status" in str(reason)


def test_the_theme_of_high_contrast_is_one() -> None:
    assert min(contrasts(COLOURS[CONTRAST]).values()) >= 4.5
    on_ground = {pair: each for pair, each in contrasts(COLOURS[CONTRAST]).items() if pair[1] in ("surface", "panel")}
    assert min(on_ground.values()) >= 7, on_ground


def test_the_clipboard_goes_through_tmux_and_is_bounded() -> None:
    bare = clipboard_sequence("héllo", {})
    assert bare is not None and base64.b64decode(bare[7:-1]).decode() == "héllo"
    wrapped = clipboard_sequence("x", {"TMUX": "/tmp/t,1,0"})
    assert (
        wrapped is not None and "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\" in wrapped and wrapped.startswith("\x1b]52;")
    )
    assert clipboard_sequence("x" * 80_000, {}) is None


def test_plain_glyphs_where_the_terminal_is_not_utf8() -> None:
    assert plain_glyphs(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"), {})
    assert not plain_glyphs(io.TextIOWrapper(io.BytesIO(), encoding="UTF-8"), {})
    assert plain_glyphs(io.TextIOWrapper(io.BytesIO(), encoding="UTF-8"), {"PODIUM_GLYPHS": "ascii"})


# Words and figures


@given(st.text(), st.integers(0, 40), st.sampled_from(["left", "right"]))
def test_a_cell_is_exactly_as_wide_as_its_column_and_cannot_steer_the_terminal(
    text: str, width: int, align: str
) -> None:
    shown = fit(text, width, GLYPHS, align)
    assert cell_len(shown) == width
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in shown)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), max_size=60), st.integers(1, 50))
def test_a_sparkline_is_exactly_as_wide_as_asked(values: list[float | None], width: int) -> None:
    assert len(sparkline(values, width, GLYPHS)) == width


def test_a_sparkline_leaves_gaps_and_reaches_the_top() -> None:
    assert sparkline([0.0, None, 5.0, 10.0], 4, GLYPHS) == "▁ ▄▇"


# The graph


def _step(name: str, position: int, *needs: str, **more) -> Step:
    return Step(1, name, position, more.pop("state", StepState.PENDING), needs, **more)


def test_levels_and_brackets() -> None:
    nodes = arrange(
        [
            _step("a", 0),
            _step("b", 1),
            _step("t1", 2, "a", "b"),
            _step("t2", 3, "a", "b"),
            _step("t3", 4, "b"),
            _step("end", 5, "t1", "t3", "gone"),
        ]
    )
    assert [(node.step.name, node.bracket, node.level) for node in nodes] == [
        ("a", "first", 0),
        ("b", "last", 0),
        ("t1", "first", 1),
        ("t2", "mid", 1),
        ("t3", "last", 1),
        ("end", "one", 2),
    ]


def test_what_a_step_reported() -> None:
    assert outcome(_step("gate", 0, results={"version": 3, "verdict": "inconclusive"})) == "v3 inconclusive"
    assert outcome(_step("x", 0, state=StepState.FAILED, message="exit code 3")) == "exit code 3"


# Logs


def _log(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"2025-11-23T10:10:00.000Z o {line}\n" for line in lines))
    return path


def test_windows_stay_small_whatever_the_size(tmp_path: Path) -> None:
    reader = Reader(_log(tmp_path / "log", [f"line {n}" for n in range(30_000)]), 1)
    tail = reader.tail(40)
    assert [line.text for line in tail.lines][-1] == "line 29999" and len(tail.lines) == 40
    end = reader.window(None, 40)
    assert end.total == 30_000 and end.row(29_999).text == "line 29999" and len(end.lines) < 1000
    middle = reader.window(12_345, 40)
    assert middle.row(12_345).text == "line 12345" and middle.row(3) is None


def test_a_filter_finds_old_and_new_lines_and_bounds_what_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _log(tmp_path / "log", [f"{'Error' if n % 1000 == 0 else 'fine'} {n}" for n in range(7_000)])
    lines, stop, done = Filter(path, "error", 1), threading.Event(), False
    while not done:
        window, done = lines.step(stop)
    assert [line.number for line in window.lines] == [0, 1000, 2000, 3000, 4000, 5000, 6000]
    with path.open("a") as file:
        file.write("2025-11-23T10:10:00.000Z e one more ERROR\n")
    window, done = lines.step(stop)
    assert done and window.lines[-1].number == 7000
    monkeypatch.setattr("podium.tui.widgets.log_reader.MAX_MATCHES", 100)
    lines, done = Filter(path, "fine", 2), False
    while not done:
        window, done = lines.step(stop)
    assert window.total == 100 and window.lines[-1].text == "fine 6999" and "newest" in window.note


def test_search_goes_round_once(tmp_path: Path) -> None:
    path, stop = _log(tmp_path / "log", ["alpha", "Beta", "gamma", "beta"]), threading.Event()
    assert search(path, "beta", 2, backwards=False, stop=stop) == 3
    assert search(path, "alpha", 2, backwards=False, stop=stop) == 0
    assert search(path, "Beta", 0, backwards=False, stop=stop) == 1, "a capital makes the case count"
    assert search(path, "gamma", 1, backwards=True, stop=stop) == 2
    assert search(path, "delta", 0, backwards=False, stop=stop) is None
    assert search(tmp_path / "none", "x", 0, backwards=False, stop=stop) is None


def test_json_lines_are_words_and_colours_are_kept() -> None:
    plain = "".join(text for text, _ in readable('{"level": "error", "msg": "no rows", "file": "a.csv", "ts": 1}'))
    assert plain == "ERROR   no rows  file=a.csv"
    assert "".join(text for text, _ in readable('{"not json')) == '{"not json'
    spans = readable("\x1b[31mred\x1b[0m and \x1b[1mbold")
    assert [text for text, _ in spans] == ["red", " and ", "bold"]


@given(st.text())
def test_no_line_can_steer_the_terminal(line: str) -> None:
    for text, _ in readable(line):
        assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in text)


def test_no_screen_loads_docker(tmp_path: Path) -> None:
    """The first paint does not pay for it; whoever asks an engine does so in a thread of the pool."""
    script = """
import sys
from pathlib import Path
from tests.tui.driving import drive, make_app, settled
from tests.tui.seed_containers import seed_containers
async def look(pilot):
    for key in "12345":
        await pilot.press(key)
        await settled(pilot)
drive(make_app(seed_containers(Path(sys.argv[1]))), look)
print([name for name in ("docker", "mlflow", "pandas", "requests") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "p")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=scaled(60),
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr[-2000:]


@given(st.text(), st.integers(0, 40))
def test_a_name_that_is_too_long_keeps_both_ends(text: str, width: int) -> None:
    assert cell_len(fit_both_ends(text, width, GLYPHS)) == width


def test_names_that_differ_at_their_ends_differ_when_they_are_cut() -> None:
    names = [f"train-the-gradient-boosted-model[depth={depth}]" for depth in (4, 8, 12)]
    cut = [fit_both_ends(name, 20, GLYPHS) for name in names]
    assert cut[0] == "train-the-…[depth=4]" and len(set(cut)) == 3


@pytest.mark.parametrize("letters", range(13))
def test_no_two_screens_look_alike_where_their_names_are_cut(letters: int) -> None:
    short = [header._cut(screen.title, letters) for screen in MAIN]
    assert not any(short) if not letters else len(set(short)) == len(short)
    assert all(screen.title.startswith(name) for screen, name in zip(MAIN, short, strict=True))
