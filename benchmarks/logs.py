"""What logs cost: python benchmarks/logs.py [--lines 10000000] [--quick]

Written, indexed, jumped in, searched and followed; beside each figure sed, wc, tail or grep doing the same to the same
bytes, or a loop of Python that does nothing but read or write them, in turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from _measuring import Report, in_turns, mebibytes, parser, share, timed, timing
from podium.core.logs.format import parse
from podium.core.logs.reader import LogFile
from podium.core.logs.writer import StepLog

# Times the peer's.
TAIL, INDEX, JUMP, SEARCH, BACKWARDS, STOPPED = 1.0, 5.0, 0.5, 2.0, 1.0, 0.05
WRITE, WRITE_MASKED, LINE_BY_LINE, FOLLOW, FOLLOW_CPU, SCREEN, MEMORY = 1.0, 0.8, 15.0, 2.0, 10.0, 1.0, 1.5
SECRETS = ["ghp_0123456789abcdefghijklmnopqrstuvwxyz", "correct horse battery staple", "AKIA0123456789ABCDEF"]
STAMP = "s/^/2026-11-23T10:11:12.345Z o /"
RATE = 100_000
POLL = 0.03  # seconds between two looks of a follower
SAMPLED = 1000  # of so many lines one's way is measured


def shell(*command: str) -> Callable[[], object]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=False, env=environment)


def beside(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    found = in_turns({"ours": timing(ours), "theirs": timing(theirs)}, rounds)
    return found["ours"], found["theirs"]


def written(path: Path, data: bytes, times: int, known: list[str]) -> None:
    path.unlink(missing_ok=True)
    with StepLog(path, known, cap=1 << 40) as log:
        for _ in range(times):
            log.feed("o", data)


def writing(report: Report, directory: Path, rounds: int, scale: int) -> None:
    """By blocks beside sed, which also puts a time before each line (and replaces the secrets); by lines beside a loop
    that writes each of them."""
    path, source, other = directory / "written.log", directory / "source", directory / "other"
    block = b"".join(
        b"epoch %d loss 0.%d, a line of the usual length of a log\n" % (number, number) for number in range(1000)
    )
    line = b"epoch 3 loss 0.123, a line of the usual length of a log\n"
    source.write_bytes(block * scale)

    def plain() -> None:
        with other.open("wb", buffering=0) as file:
            for _ in range(scale * 10):
                file.write(b"2026-11-23T10:11:12.345Z o " + line)

    for known, most in (([], WRITE), (SECRETS, WRITE_MASKED)):
        name = f"{'three' if known else 'no'} secrets"
        script = ";".join([*(f"s/{secret}/***/g" for secret in known), STAMP])
        sed = shell("sed", "-n", f"{script};w {other}", str(source))
        ours, theirs = beside(lambda known=known: written(path, block, scale, known), sed, rounds)
        report.compare(f"{1000 * scale:,} lines written, {name}", ours, "sed", theirs, most=most)
        ours, theirs = beside(lambda known=known: written(path, line, scale * 10, known), plain, rounds)
        what = f"{10 * scale:,} lines one by one, {name}"
        report.compare(what, ours, "a loop that writes them", theirs, most=LINE_BY_LINE)
    for file in (path, source, other):
        file.unlink()


def make(path: Path, lines: int) -> None:
    text = (
        b"2026-11-23T10:11:12.345Z o epoch %03d step loss 0.12345, accuracy 0.98765, some words to fill up this line of"
        b" text\n"
    )
    block = b"".join(text % number for number in range(1000))
    with path.open("wb") as file:
        for _ in range(lines // 1000 - 1):
            file.write(block)
        file.write(block[: -len(block) // 1000] + b"2026-11-23T10:11:12.345Z e the needle is here\n")


def reading(report: Report, path: Path, rounds: int) -> None:
    def line(what: str, ours: Callable[[], object], most: float, *peer: str) -> None:
        mine, theirs = beside(ours, shell(*peer), rounds)
        report.compare(what, mine, " ".join(peer[:-1]), theirs, most=most)

    large = str(path)
    line("the end, 100 lines, nothing indexed", lambda: LogFile(path).tail(100), TAIL, "tail", "-n100", large)
    line("indexed", lambda: LogFile(path).index(), INDEX, "wc", "-l", large)
    file = LogFile(path)
    total = file.line_count()
    jumps = sorted(timed(lambda n=n: file.lines(n * 7_919_317 % total, 100)) for n in range(200))
    middle = timed(shell("sh", "-c", f"tail -n +{total // 2} {path} | head -100"))
    report.compare("a jump to any line, 99th percentile", jumps[198], "tail -n +N | head", middle, most=JUMP)
    text, expression, grep = "the needle is", "needle (is|was)", ("grep", "-a", "-m1")
    any_case = text.title()
    line("search, text", lambda: file.search(text), SEARCH, *grep, "-F", text, large)
    line("search, any case", lambda: file.search(any_case, ignore_case=True), SEARCH, *grep, "-Fi", any_case, large)
    line("search, expression", lambda: file.search(expression, regex=True), SEARCH, *grep, "-E", expression, large)
    line("search, backwards", lambda: file.search("needle", backwards=True), BACKWARDS, "tail", "-n100", large)
    stopping(report, file)


def stopping(report: Report, file: LogFile) -> None:
    """A search that is stopped, beside the whole of it."""

    def search(stop: threading.Event) -> None:
        file.search("n[eo]+dles? (are|were)", regex=True, ignore_case=True, stop=stop)

    whole = timed(lambda: search(threading.Event()))
    stop = threading.Event()
    thread = threading.Thread(target=search, args=(stop,))
    thread.start()
    time.sleep(min(0.1, whole / 4))
    stop.set()
    report.compare("a search ends after it was stopped", timed(thread.join), "all of it", whole, most=STOPPED)


WRITER = f"""
import sys, time
from pathlib import Path
from podium.core.logs.writer import StepLog
log, began, n = StepLog(Path(sys.argv[1])), time.time(), 0
while (now := time.time() - began) < float(sys.argv[2]):
    due = int(now * {RATE}) - n
    n += due
    log.feed('o', b'epoch 3 loss 0.123, a line\\n' * due)
    time.sleep(0.005)
log.close()
print(n)
"""


def ours(path: Path, stop: threading.Event) -> Iterator[float]:
    """When each line was written."""
    return (line.at or 0.0 for line in LogFile(path).follow(stop))


def plain(path: Path, stop: threading.Event) -> Iterator[float]:
    """The same by a loop that reads and splits what is new as often, and looks at the time of few lines."""
    while not path.exists():
        time.sleep(0.01)
    seen, left = 0, b""
    with path.open("rb") as file:
        while True:
            ended, data = stop.is_set(), file.read(1 << 20)
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                seen += 1
                yield (parse(0, line).at or 0.0) if seen % SAMPLED == 0 else 0.0
            if ended and not data:
                return
            if not data:
                time.sleep(POLL)


Follower = Callable[[Path, threading.Event], Iterator[float]]


def follow(path: Path, follower: Follower, seconds: float) -> tuple[float, float]:
    """(the median of a line's way to the follower, the share of a core that following takes)."""
    path.unlink(missing_ok=True)
    stop, delays, seen = threading.Event(), list[float](), 0
    command = [sys.executable, "-c", WRITER, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        threading.Thread(target=lambda: (writer.wait(), stop.set()), daemon=True).start()
        busy, began = time.process_time(), time.perf_counter()
        for at in follower(path, stop):
            seen += 1
            if seen % SAMPLED == 0:
                delays.append(time.time() - at)
        used = (time.process_time() - busy) / (time.perf_counter() - began)
        assert writer.stdout is not None
        if seen != int(writer.stdout.read()):
            raise SystemExit(f"{seen} lines came to the follower, which are not all")
    return sorted(delays)[len(delays) // 2], used


def following(report: Report, directory: Path, rounds: int, seconds: float) -> None:
    path, busy = directory / "followed.log", dict[str, list[float]]()

    def turn(name: str, follower: Follower) -> float:
        delay, used = follow(path, follower, seconds)
        busy.setdefault(name, []).append(used)
        return delay

    found = in_turns({"plain": lambda: turn("plain", plain), "ours": lambda: turn("ours", ours)}, rounds)
    peer = "a loop that reads"
    report.compare("a line's way to a follower", found["ours"], peer, found["plain"], most=FOLLOW)
    middle = {name: sorted(used)[len(used) // 2] for name, used in busy.items()}
    what = f"core at {RATE:,} lines/s, each an object"
    report.compare(what, middle["ours"], peer, middle["plain"], most=FOLLOW_CPU, show=share)
    file = LogFile(path)

    def look() -> None:
        file.refresh()
        file.lines(file.line_count() - 50, 50)

    mine, theirs = beside(look, shell("tail", "-n50", str(path)), 9)
    report.compare("a screen's look at the end", mine, "tail -n50", theirs, most=SCREEN)


def peak() -> float:
    """MiB that this process has had at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--lines", type=int, default=10_000_000)
    options = options_of.parse_args()
    lines, rounds = (20_000, 1) if options.quick else (max(1000, options.lines), 3)
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        large = directory / "large.log"
        make(large, lines)
        report.figure("a log", f"{lines:,} lines, {large.stat().st_size / 2**30:.2f} GiB")
        before = peak()
        reading(report, large, rounds)
        report.compare("memory while reading it", peak(), "before", before, most=MEMORY, show=mebibytes)
        large.unlink()
        writing(report, directory, rounds, 20 if options.quick else 1000)
        following(report, directory, rounds, 0.5 if options.quick else 3.0)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
