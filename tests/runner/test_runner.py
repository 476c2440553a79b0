"""The tests' own house: what happens around tests that hang, fail early, start what outlives them, or are killed."""

from __future__ import annotations

import fcntl
import gc
import os
import pty
import re
import signal
import subprocess
import termios
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis.internal.conjecture import junkdrawer
from podium.core.identity.processes import alive, started_at

from tests.runner import hooks, long, scale, turns
from tests.runner.conftest import Pytest
from tests.runner.scale import scaled
from tests.support import wait_until

ROOT = Path(__file__).resolve().parents[2]


def outcome(process: subprocess.Popen[str]) -> dict[str, int]:
    """Returns how many tests ended in which way."""
    out, _ = process.communicate(timeout=scaled(100))
    lines = [line for line in out.splitlines() if re.search(r"\d+ (passed|failed|error)", line)]
    assert lines, out
    return {word.rstrip("s"): int(count) for count, word in re.findall(r"(\d+) (passed|failed|errors?)", lines[-1])}


def test_the_scale_is_measured_once_and_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scale.factor() >= 1.0 and scaled(3.0) == 3.0 * scale.factor()
    monkeypatch.setenv(scale.VARIABLE, "7.5")
    assert scale.settle() == 7.5 and scaled(2.0) == 15.0
    monkeypatch.setattr(scale, "slowness", lambda: 3.0)
    monkeypatch.setenv(scale.VARIABLE, "")
    assert scale.settle() == 6.0 and os.environ[scale.VARIABLE] == "6.00"
    monkeypatch.setattr(scale, "slowness", lambda: 1000.0)
    monkeypatch.setenv(scale.VARIABLE, "")
    assert scale.settle() == 20.0, "a machine that does not get anywhere is no reason to wait for ever"


def test_this_machine_is_not_quicker_than_a_quiet_one() -> None:
    assert scale.slowness() >= 1.0


HANGS = """
import signal, threading
def test_before(): pass
def test_hangs(): threading.Event().wait()
def test_hangs_beyond_reach():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    threading.Event().wait()
def test_after(): pass
def test_last(): pass
"""


def test_a_test_that_hangs_is_one_failure(run_pytest: Pytest) -> None:
    assert outcome(run_pytest(HANGS, "-n", "0", "-k", "not reach")) == {"passed": 3, "failed": 1}


def test_a_process_that_cannot_be_interrupted_is_replaced(run_pytest: Pytest) -> None:
    assert outcome(run_pytest(HANGS, "-n", "1", "--dist", "loadfile")) == {"passed": 3, "failed": 2}


FAILS_FIRST = """
import pytest
tries = []
@pytest.fixture(scope="module")
def once(tmp_path_factory):
    tries.append(1)
    if len(tries) == 1:
        raise RuntimeError("not yet")
    return len(tries)
def test_one(once): pass
def test_two(once): assert once == 2
def test_three(once): assert once == 2
@pytest.fixture(scope="module")
def never():
    tries.append(1)
    raise RuntimeError("never")
def test_four(never): pass
def test_five(never): pass
def test_six(never): pass
def test_seven(): assert len(tries) == 4, "it is not tried for ever"
"""


def test_a_fixture_of_a_file_that_failed_once_is_tried_again(run_pytest: Pytest) -> None:
    assert outcome(run_pytest(FAILS_FIRST, "-n", "0", seconds=60)) == {"passed": 3, "error": 4}


def daemons(home: Path) -> dict[str, tuple[int, float | None]]:
    """Returns pid and start time of each, once all have said so."""
    files = wait_until(
        lambda: (
            [path for path in home.rglob("*") if path.name in ("marked", "bare") and path.read_text()][1:]
            and [path for path in home.rglob("*") if path.name in ("marked", "bare")]
        ),
        30,
        what="both daemons run",
    )
    pids = {path.name: int(path.read_text()) for path in files if "current" not in str(path)}
    return {name: (pid, started_at(pid)) for name, pid in pids.items()}


def all_gone(found: dict[str, tuple[int, float | None]]) -> bool:
    return not any(alive(pid, started) for pid, started in found.values())


LEAVES = """
def test_leaves_them(tmp_path):
    start_them(tmp_path)
    if WAITS: time.sleep(1000)
def test_other(): pass
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_was_started_ends_when_its_runner_is_killed(run_pytest: Pytest, tmp_path: Path, workers: str) -> None:
    process = run_pytest(LEAVES.replace("WAITS", "True"), "-n", workers, seconds=500)
    found = daemons(tmp_path / "temporary")
    assert not all_gone(found) and set(found) == {"marked", "bare"}
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=scaled(20))
    wait_until(lambda: all_gone(found), 30, what=f"they have ended: {found}")


def test_what_was_started_ends_when_a_worker_of_xdist_is_killed(run_pytest: Pytest, tmp_path: Path) -> None:
    code = LEAVES.replace("if WAITS: time.sleep(1000)", "os.kill(os.getpid(), 9)")
    process = run_pytest(code, "-n", "1", "--dist", "loadfile", seconds=500)
    found = daemons(tmp_path / "temporary")
    assert outcome(process) == {"passed": 1, "failed": 1}
    wait_until(lambda: all_gone(found), 30, what=f"they have ended: {found}")


def test_what_was_forgotten_ends_with_the_session(run_pytest: Pytest, tmp_path: Path) -> None:
    process = run_pytest(LEAVES.replace("WAITS", "False"), "-n", "0", seconds=500)
    found = daemons(tmp_path / "temporary")
    assert outcome(process) == {"passed": 2}
    wait_until(lambda: all_gone(found), 30, what=f"they have ended: {found}")


def test_a_person_who_looks_at_what_a_test_left_is_left_alone(run_pytest: Pytest, tmp_path: Path) -> None:
    process = run_pytest(LEAVES.replace("WAITS", "True"), "-n", "0", seconds=500)
    found = daemons(tmp_path / "temporary")
    main, inner = pty.openpty()

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(inner, termios.TIOCSCTTY, 0)

    shell = subprocess.Popen(["sleep", "1000"], cwd=tmp_path / "temporary", env={}, preexec_fn=own_terminal)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=scaled(20))
    wait_until(lambda: all_gone(found), 30, what=f"they have ended: {found}")
    assert shell.poll() is None
    shell.kill()
    shell.wait()
    os.close(main)
    os.close(inner)


SIGNALS = """
def ignored(**how):
    code = "print(open('/proc/self/status').read())"
    text = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, **how).stdout
    [mask] = [int(line.split()[1], 16) for line in text.splitlines() if line.startswith("SigIgn:")]
    return {number for number in (1, 2, 3, 15) if mask >> (number - 1) & 1}
def test_children_have_all_signals():
    assert ignored() == set()
def test_we_go_on_ignoring():
    os.kill(os.getpid(), 1)
    os.kill(os.getpid(), 2)
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_whoever_ignores_signals_does_not_do_so_for_what_tests_start(run_pytest: Pytest, workers: str) -> None:
    assert outcome(run_pytest(SIGNALS, "-n", workers, seconds=60, shell="trap '' INT HUP")) == {"passed": 2}


TURNS = """
import pytest
@pytest.mark.in_turn(2)
@pytest.mark.parametrize("number", range(7))
def test_long(number): pass
@pytest.mark.in_turn(1)
@pytest.mark.parametrize("letter", "ab")
def test_other(letter): pass
@pytest.mark.in_turn(1, of="stories")
def test_story(): pass
@pytest.mark.in_turn(1, of="stories")
def test_story_of_another(): pass
def test_short(): pass
"""


def test_of_tests_that_take_turns_a_few_are_drawn_and_a_seed_repeats_them(
    run_pytest: Pytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(how: str, seed: int) -> list[str]:
        monkeypatch.setenv(turns.WHICH, how)
        monkeypatch.setenv(turns.SEED, str(seed))
        out, _ = run_pytest(TURNS, "-vv", "-n", "0").communicate(timeout=scaled(100))
        return re.findall(r"(test_\w+)(\[\w+\])? PASSED", out)

    draws = [drawn("few", seed) for seed in (1, 1, 2)]
    for names in draws:
        told = ["_".join(name.split("_")[:2]) for name, _ in names]
        assert sorted(told) == ["test_long", "test_long", "test_other", "test_short", "test_story"]
    assert draws[0] == draws[1] != draws[2]
    assert len(drawn("all", 1)) == 12


def test_of_the_long_tests_some_have_room_and_one_of_each_folder_always_has() -> None:
    names = [f"tests/{folder}/test.py::test_{number}[a b]" for folder in "ab" for number in range(10)]
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in [*names, "tests/a/test.py::test_short"]]
    seconds = dict.fromkeys(names, 4.0)

    def taken(seed: int, room: float) -> list[str]:
        left = turns.draw_long(items, str(seed), room, seconds)
        return [item.nodeid for item in items if item.nodeid not in left]

    assert len(taken(1, 1000)) == 21 and len(taken(1, 40)) == 10 + 1
    few = taken(1, 0)
    assert [name.partition("::")[0] for name in few] == ["tests/a/test.py", "tests/b/test.py", "tests/a/test.py"]
    assert taken(1, 40) == taken(1, 40) != taken(2, 40)
    assert {name for seed in range(60) for name in taken(seed, 24)} == {item.nodeid for item in items}, "all have turns"


def test_tests_that_share_something_have_their_turn_together() -> None:
    names = [f"tests/a/{file}.py::test_{number}" for file in "xyz" for number in range(3)]
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in names]
    seconds = {name: 4.0 for name in names if not name.endswith("2")}
    for seed in range(30):
        left = turns.draw_long(items, str(seed), 9, seconds, lambda file: file == "tests/a/x.py")
        assert len([name for name in left if "/x.py" in name]) in (0, 3), "also its short one"
        assert not {"tests/a/y.py::test_2", "tests/a/z.py::test_2"} & left


def test_the_long_tests_are_those_that_pytest_has_measured() -> None:
    table = ["3.20s call     tests/a.py::test_x[a b]\n", "1.00s setup    tests/a.py::test_x[a b]\n", "9 passed in 3s\n"]
    assert long.read([*table, "0.50s call     tests/b.py::test_y\n"]) == {
        "tests/a.py::test_x[a b]": 4.2,
        "tests/b.py::test_y": 0.5,
    }
    text = long.written({"tests/a.py::test_x[a b]": 4.2, "tests/b.py::test_y": 0.5})
    assert text == f"{long.HEAD}4.2 tests/a.py::test_x[a b]\n"
    for name in turns.measured():
        file, *classes, function = name.partition("[")[0].split("::")
        there = (ROOT / file).read_text(encoding="utf-8")
        assert classes or f"def {function}(" in there, f"long.txt names what is not there: {name}"


def test_every_process_draws_the_same_tests(run_pytest: Pytest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(turns.WHICH, "few")
    monkeypatch.delenv(turns.SEED, raising=False)
    assert outcome(run_pytest(TURNS, "-n", "2", "--dist", "loadfile")) == {"passed": 5}


def test_nothing_of_hypothesis_runs_within_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the handler of a signal raised meanwhile would be lost."""

    def theirs() -> list[object]:
        return [each for each in gc.callbacks if getattr(each, "__module__", "") == junkdrawer.__name__]

    monkeypatch.setattr(junkdrawer, "_gc_initialized", False)
    junkdrawer.gc_cumulative_time()
    assert theirs(), "or it no longer does so"
    hooks.leave_collector_alone()
    assert not theirs()
