"""What logs cost: python benchmarks/logs.py [--lines 10000000]

Written, indexed, jumped in, searched and followed; beside each figure wc, tail or grep doing the same on the same
file. Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from podium.core.logs.reader import LogFile
from podium.core.logs.writer import StepLog

good = True


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def best(call: Callable[[], object]) -> float:
    """The best of three: what else the machine does only ever adds."""
    return min(timed(call) for _ in range(3))


def shell(*command: str) -> float:
    return best(
        lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    )


def report(name: str, seconds: float, bound: float | None = None, peer: str = "", peer_seconds: float = 0.0) -> None:
    global good
    missed = bound is not None and seconds > bound
    good &= not missed
    beside = f"   {peer} {peer_seconds * 1e3:,.1f} ms" if peer else ""
    limit = f"   bound {bound * 1e3:,.0f} ms{'  MISSED' if missed else ''}" if bound is not None else ""
    print(f"  {name:<44} {seconds * 1e3:10,.1f} ms{limit}{beside}")


def writing(directory: Path) -> None:
    global good
    block = b"".join(
        b"epoch %d loss 0.%d, a line of the usual length of a log\n" % (number, number) for number in range(1000)
    )
    one = b"epoch 3 loss 0.123, a line of the usual length of a log\n"
    secrets = ["ghp_0123456789abcdefghijklmnopqrstuvwxyz", "correct horse battery staple", "AKIA0123456789ABCDEF"]
    for name, known in (("no secrets", []), ("three secrets", secrets)):
        for what, data, times, lines, bound in (
            ("64 KiB reads", block, 1000, 1000, 200_000),
            ("a line at a time", one, 100_000, 1, None),
        ):
            path = directory / "written.log"
            path.unlink(missing_ok=True)
            with StepLog(path, known, cap=1 << 40) as log:
                took = timed(lambda log=log, data=data, times=times: [log.feed("o", data) for _ in range(times)])
            rate = times * lines / took
            missed = bound is not None and rate < bound
            good &= not missed
            print(
                f"  written, {name}, {what:<18} {rate:14,.0f}"
                f" lines/s{f'   bound {bound:,}' if bound else ''}{'  MISSED' if missed else ''}"
            )


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


def reading(path: Path, lines: int) -> None:
    size = path.stat().st_size
    print(f"  a log of {lines:,} lines, {size / 2**30:.2f} GiB")
    scale = max(1.0, lines / 10_000_000)
    report(
        "the end, 100 lines, nothing indexed",
        best(lambda: LogFile(path).tail(100)),
        0.020,
        "tail -n 100",
        shell("tail", "-n", "100", str(path)),
    )
    file = LogFile(path)
    report("indexed", best(lambda: LogFile(path).index()), 1.0 * scale, "wc -l", shell("wc", "-l", str(path)))
    total = file.line_count()
    jumps = sorted(timed(lambda n=n: file.lines(n * 7_919_317 % total, 100)) for n in range(200))
    report("a jump to any line, 100 lines, median", jumps[100])
    report(
        "the same, 99th percentile",
        jumps[198],
        0.020,
        f"tail -n +{total // 2} | head",
        shell("sh", "-c", f"tail -n +{total // 2} {path} | head -100"),
    )

    def grep(option: str, pattern: str) -> float:
        return shell("grep", "-a", "-m1", option, pattern, str(path))

    text, expression = "the needle is", "needle (is|was)"
    report(
        "search, text, at the very end", best(lambda: file.search(text)), 0.5 * scale, "grep -m1 -F", grep("-F", text)
    )
    report(
        "search, text, any case",
        best(lambda: file.search(text.title(), ignore_case=True)),
        None,
        "grep -m1 -Fi",
        grep("-Fi", text.title()),
    )
    report("search, text, backwards from the end", best(lambda: file.search("needle", backwards=True)), 0.020)
    report(
        "search, expression",
        best(lambda: file.search(expression, regex=True)),
        None,
        "grep -m1 -E",
        grep("-E", expression),
    )
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: file.search("n[eo]+dles? (are|were)", regex=True, ignore_case=True, stop=stop)
    )
    thread.start()
    time.sleep(0.1)
    stop.set()
    report("a search ends after it was stopped", timed(thread.join), 0.1)


def following(directory: Path, rate: int = 100_000, seconds: float = 3.0) -> None:
    path, stop, seen = directory / "followed.log", threading.Event(), 0
    code = (
        "import sys, time; from podium.core.logs.writer import StepLog; from pathlib import Path\nlog ="
        f" StepLog(Path({str(path)!r})); began = time.time(); n = 0\nwhile (now := time.time() - began) < {seconds}:\n "
        f"   due = int(now * {rate}) - n; n += due; log.feed('o', b'epoch 3 loss 0.123, a line\\n' * due);"
        " time.sleep(0.005)\nlog.close(); print(n)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    threading.Thread(target=lambda: (writer.wait(), stop.set()), daemon=True).start()
    delays: list[float] = []
    busy = time.process_time()
    began = time.perf_counter()
    for line in LogFile(path).follow(stop):
        seen += 1
        if seen % 1000 == 0:
            delays.append(time.time() - (line.at or 0.0))
    share = (time.process_time() - busy) / (time.perf_counter() - began)
    assert writer.stdout is not None and seen == int(writer.stdout.read())
    print(f"  followed whole, every line as an object: {seen / seconds:,.0f} lines/s at {share:.0%} of a core")
    delays.sort()
    report("a line's way to a follower, median", delays[len(delays) // 2], 0.1)
    file = LogFile(path)
    busy = time.process_time()
    for _ in range(40):
        file.refresh()
        file.lines(file.line_count() - 50, 50)
    print(
        f"  followed as a screen does (4 Hz, 50 lines): {(time.process_time() - busy) / 10:.2%} of a core, whatever the"
        " rate"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000_000)
    lines = max(1000, parser.parse_args().lines)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        make(directory / "large.log", lines)
        reading(directory / "large.log", lines)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  memory at most {memory:.0f} MiB   bound 60{'  MISSED' if memory > 60 else ''}")
        (directory / "large.log").unlink()
        writing(directory)
        following(directory)
    print("every bound is met" if good and memory <= 60 else "A BOUND IS MISSED")
    return 0 if good and memory <= 60 else 1


if __name__ == "__main__":
    sys.exit(main())
