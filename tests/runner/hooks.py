"""What every process that runs tests does around them: `tests/conftest.py` takes these hooks as its own.

- Waits get one factor (`scale.py`), and so does each test's time-out.
- Whatever the tests start ends when this process does, however that comes about (`reaper.py`).
- One failure stays one: a fixture of a whole file or session whose set-up failed is tried again by the next test that wants
  it, and a process that hangs beyond its test's time-out ends, so that another one goes on with the rest of its files.
- Of tests that repeat one long story, each run draws a few (`turns.py`).
- It does not matter who ignored which signal when the tests were started.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from . import reaper, scale, turns
from .sweep import LABEL

IGNORED = "PODIUM_TEST_IGNORED"
# A set-up that fails for a reason of its own fails again: more attempts would only take time.
MAX_SETUPS = 2
# Beyond twice its time-out a test does not come back any more; in seconds.
LATE = 60.0
PRELOAD = "PODIUM_PRELOAD"
QUEUE = "PODIUM_QUEUE"
LOG = Path(tempfile.gettempdir()) / f"podium-tests-ended-{os.getuid()}.log"

_reaper: subprocess.Popen[str] | None = None
_labels: dict[str, str] = {}
_setups: dict[int, int] = {}


def configure(config: pytest.Config) -> None:
    heed_signals()
    watch()
    config.stash[_FACTOR] = scale.settle()
    _allow_descriptors()
    _settle_hypothesis()
    turns.settle(config)
    # Beside whatever else a machine does, the steps of tests would get a tenth of what each of that gets.
    os.environ.setdefault("PODIUM_NICE", "0")


def _allow_descriptors() -> None:
    """Many tests in one process have more files open than the 1,024 that most machines allow at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _settle_hypothesis() -> None:
    """How long an example takes says nothing on a machine that does something else."""
    from hypothesis import HealthCheck, settings

    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")


_FACTOR = pytest.StashKey[float]()
DESCRIPTORS = 8192


# Signals


def heed_signals() -> None:
    """Goes on ignoring what is ignored (`nohup`, the background of a script), but by a handler: what a process ignores, all
    that it starts ignores too, and a test that sends the signal would wait for nothing."""
    numbers = [signal.Signals[name] for name in os.environ.get(IGNORED, "").split()]
    for number in {*numbers, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}:
        if number in numbers or signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
            numbers.append(number)
    os.environ[IGNORED] = " ".join({number.name for number in numbers})


# What was started


def watch() -> None:
    """Starts the reaper of this process, and marks whatever is started from here. It reads /proc."""
    global _reaper
    if not sys.platform.startswith("linux"):
        return
    mark = f"{os.getpid()}-{secrets.token_hex(8)}"
    command = [sys.executable, "-S", "-E", str(Path(reaper.__file__).resolve()), str(os.getpid()), mark, str(LOG)]
    environ = {name: value for name, value in os.environ.items() if name != reaper.VARIABLE}
    _reaper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ, start_new_session=True
    )
    assert _reaper.stdout is not None and _reaper.stdout.readline() == "ready\n"
    os.environ[reaper.VARIABLE] = mark


def say(word: str, value: object) -> None:
    """Tells the reaper what else is this session's."""
    if _reaper is not None and _reaper.stdin is not None:
        _reaper.stdin.write(f"{word} {value}\n")
        _reaper.stdin.flush()


def temporary(path: Path) -> None:
    say("temporary", path)
    # MLflow is imported once for all projects of these tests. The server ends with the session: its command line names
    # this directory.
    os.environ[PRELOAD] = str(path / "preload")
    # Runs of other sessions are waited for by nobody, and those of one are as many as its tests want.
    queue = path / "queue"
    queue.mkdir(exist_ok=True)
    (queue / "host.json").write_text('{"cpus": 4096}')
    os.environ[QUEUE] = str(queue)
    _labels[LABEL] = str(path)


def session_labels() -> dict[str, str]:
    """Returns the labels of a container or network that a test makes without Podium."""
    return dict(_labels)


# Time-outs


def limit_of(item: pytest.Item) -> float:
    """Returns the time-out of a test on a quiet machine; 0 where there is none."""
    marker = item.get_closest_marker("timeout")
    if marker is not None and (marker.args or "timeout" in marker.kwargs):
        return float(marker.args[0] if marker.args else marker.kwargs["timeout"] or 0)
    return float(item.config.getoption("timeout", None) or 0)


def scale_timeouts(items: list[pytest.Item]) -> None:
    for item in items:
        limit = limit_of(item)
        if limit > 0:
            item.add_marker(pytest.mark.timeout(scale.scaled(limit)), append=False)


def protect(item: pytest.Item) -> Generator[None, object, object]:
    """Ends a worker of xdist that does not come back from a test: the exception that a time-out raises is only seen by
    Python code. The worker's other tests are given to a new one."""
    limit = limit_of(item)
    guarded = limit > 0 and hasattr(item.config, "workerinput")
    leave_collector_alone()
    if guarded:
        faulthandler.dump_traceback_later(2 * limit + LATE, exit=True)
    try:
        return (yield)
    finally:
        if guarded:
            faulthandler.cancel_dump_traceback_later()


def leave_collector_alone() -> None:
    """Hypothesis measures the garbage collector, for a deadline that no test here has. What the handler of a signal
    raises while its callback runs is lost, and with it the signal that a test sends to its own process."""
    ours = [each for each in gc.callbacks if not str(getattr(each, "__module__", "")).startswith("hypothesis.")]
    gc.callbacks[:] = ours


# Fixtures


def forget_failure(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """pytest keeps the exception of a set-up for all tests that share the fixture."""
    try:
        return (yield)
    except (Exception, pytest.fail.Exception):
        attempts = _setups[id(fixturedef)] = _setups.get(id(fixturedef), 0) + 1
        if fixturedef.scope != "function" and attempts < MAX_SETUPS:
            fixturedef.cached_result = None
        raise


# The other tests of a file


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Returns what deals out tests by files (`--dist loadfile`); None for any other way."""
    if config.getoption("dist") != "loadfile":
        return None
    from .files import ByFile

    return ByFile(config, log)
