"""Ends what a process of the tests started when that process is gone, however it ended: `python reaper.py PID MARK`.

What the product starts are daemons in sessions of their own, which outlive their starter on purpose. So a child of the test
process, which outlives it too, waits for its end and then ends, by pid and start time, every process that carries the mark
in its environment (`PODIUM_TEST_RUNNER=MARK`), works in or names the session's temporary directory, or descends from one
that does. Containers and networks are removed by `sweep.py`.

On standard input come lines of the test process: `temporary PATH`, `engine ADDRESS`. It imports nothing but the standard
library: a Python that starts with `-S -E` is there in a hundredth of a second.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "PODIUM_TEST_RUNNER"
ROOT = Path(__file__).resolve().parents[2]
PROC = Path("/proc")
# What ends by itself when its starter is gone gets this long to do so.
GRACE = 0.5
POLL_INTERVAL = 0.5
MAX_ROUNDS = 100
MAX_LOG_BYTES = 1_000_000


class Told:
    """What the test process has said of itself. `here` are paths that only this session uses."""

    def __init__(self) -> None:
        self.here: set[bytes] = set()
        self.engines: set[str] = set()

    def listen(self) -> None:
        for line in sys.stdin:
            word, _, value = line.strip().partition(" ")
            if word == "temporary":
                self.here.add(os.fsencode(value))
            elif word == "engine":
                self.engines.add(value)


def started_at(pid: int) -> str:
    """Returns the start time in ticks since boot, empty when there is no such process (or it only waits to be reaped)."""
    with suppress(OSError):
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    return ""


def parent_of(pid: int) -> int:
    with suppress(OSError):
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def has_terminal(pid: int) -> bool:
    with suppress(OSError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[4] != "0"
    return False


def wait_for_end(pid: int, started: str) -> None:
    """Waits without polling where the kernel can tell (5.3 and newer)."""
    with suppress(OSError):
        descriptor = os.pidfd_open(pid)
        select.select([descriptor], [], [])
        os.close(descriptor)
    while started and started_at(pid) == started:
        time.sleep(POLL_INTERVAL)


def processes() -> Iterator[int]:
    for entry in os.listdir(PROC):
        if entry.isdecimal() and int(entry) != os.getpid():
            yield int(entry)


def marked(pid: int, mark: bytes, here: set[bytes]) -> bool:
    entry = PROC / str(pid)
    with suppress(OSError):
        if b"%s=%s" % (os.fsencode(VARIABLE), mark) in (entry / "environ").read_bytes().split(b"\0"):
            return True
    # A person's shell or editor may be there, too, to see what a test has left.
    with suppress(OSError):
        if has_terminal(pid):
            return False
        words = (entry / "cmdline").read_bytes()
        directory = os.fsencode(os.readlink(entry / "cwd"))
        return any(_within(path, words) or _within(path, directory) for path in here)
    return False


def _within(path: bytes, text: bytes) -> bool:
    """Whether `text` has the path itself or something below it, and not only another path that begins with the same."""
    return re.search(re.escape(path) + rb"(?![\w-])", text) is not None


def is_reaper(pid: int) -> bool:
    """Whether it is this program, for another process of the same session: it has its own to end, and ends by itself."""
    with suppress(OSError):
        return os.fsencode(Path(__file__).resolve()) in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    return False


def belonging(mark: bytes, here: set[bytes]) -> dict[int, str]:
    """Returns {pid: start time} of all that is to end."""
    others = {pid for pid in processes() if not is_reaper(pid)}
    found = {pid for pid in others if marked(pid, mark, here)}
    children: dict[int, list[int]] = {}
    for pid in others:
        children.setdefault(parent_of(pid), []).append(pid)
    waiting = [*found]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return {pid: started for pid in found if (started := started_at(pid))}


def dockerd_roots(pids: dict[int, str]) -> set[str]:
    """Returns the directories of engines of the tests' own: there is more to remove of one than processes."""
    roots: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            words = (PROC / str(pid) / "cmdline").read_text().split("\0")
            if Path(words[0]).name == "dockerd" and "--data-root" in words:
                roots.add(str(Path(words[words.index("--data-root") + 1]).parent))
    return roots


def end_all(mark: bytes, here: set[bytes]) -> tuple[list[str], set[str]]:
    """Kills until nothing is found twice in a row; (what was killed, the engines among it)."""
    killed: list[str] = []
    roots: set[str] = set()
    quiet = 0
    for _ in range(MAX_ROUNDS):
        found = belonging(mark, here)
        roots |= dockerd_roots(found)
        for pid, started in found.items():
            with suppress(OSError):
                words = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if started_at(pid) == started:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(f"{pid} {words.strip()[:200]}")
        quiet = 0 if found else quiet + 1
        if quiet == 2:
            break
        time.sleep(0.05)
    return killed, roots


def sweep(told: Told, roots: set[str]) -> None:
    """Has containers, networks and mounts removed, by a Python that has the packages for it."""
    words = [*(f"--dockerd={root}" for root in roots), *(f"--engine={address}" for address in told.engines)]
    words += [f"--temporary={os.fsdecode(path)}" for path in told.here]
    if roots or told.engines:
        environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
        subprocess.run(
            [sys.executable, "-m", "tests.runner.sweep", *words],
            cwd=ROOT,
            env=environ,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def main() -> None:
    pid, mark, log = int(sys.argv[1]), os.fsencode(sys.argv[2]), Path(sys.argv[3])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    told, started = Told(), started_at(pid)
    listener = threading.Thread(target=told.listen, daemon=True)
    listener.start()
    print("ready", flush=True)
    wait_for_end(pid, started)
    listener.join(1.0)
    time.sleep(GRACE)
    killed, roots = end_all(mark, told.here)
    sweep(told, roots)
    if killed:
        large = log.exists() and log.stat().st_size > MAX_LOG_BYTES
        with log.open("w" if large else "a") as file:
            file.write("".join(f"{os.fsdecode(mark)}: ended {words}\n" for words in killed))


if __name__ == "__main__":
    main()
