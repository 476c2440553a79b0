"""Every command that reads, with an output that cannot be written: the exit code says so, nothing pretends success, and
words that nobody can read change no exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.cli.app import COMMANDS
from podium.cli.streams import CANNOT_WRITE, PIPE_CLOSED
from podium.core.errors import ExitCode
from podium.core.journal import Journal

from tests.runner.scale import scaled
from tests.support import wait_until

from .conftest import PODIUM

# Each prints something on the project below, or is a call that fails.
READING = (
    "ps", "ps -o plain", "ps -o json", "show", "show -o json", "logs", "logs -o json", "logs -f", "logs -f -o json",
    "logs --worker", "status", "status -o json", "models -o json", "versions -o json", "history -o json", "history --at 1h -o json",
    "images -o json", "containers -o json", "validate -o json", "config schema", "config show", "doctor",
    "doctor -o json", "audit", "audit -o json", "audit --verify", "audit --verify -o json", "schedules",
    "schedules -o json", "quarantine list -o json", "labels", "labels -o json", "labels ls -e staging -o json",
    "alerts -o json", "monitors -o json", "feedback -o json", "watch --status", "watch --status -o json",
    "adopt --dry-run -o json", "tokens ls -e staging -o json", "infra ls -o json",
    "repair -e staging --dry-run -o json", "plan -o json", "board", "board -o json", "cluster -o json", "lineage staging -o json", "compare 1 2", "why 1", "show 99",
    "ps --state odd",
    "--help", "ps --help", "--version",
)  # fmt: skip
SILENT = {"lineage staging -o json", "compare 1 2", "why 1", "show 99", "ps --state odd"}
CHANGING = {
    "init", "demo", "run", "shell", "cancel", "resume", "approve", "deploy", "promote", "rollback", "stop", "start",
    "pause", "abort", "ui", "evidence", "export", "replay", "prune", "backup", "restore", "ci", "drift", "trust",
    "unlock", "score", "apply",
}  # fmt: skip
# What is given as standard output, and what as standard error.
WAYS = {
    "kept": ("kept", "kept"),
    "full": ("full", "kept"),
    "left": ("left", "kept"),
    "closed": ("closed", "kept"),
    "deaf": ("kept", "closed"),
    "deaf, full": ("kept", "full"),
    "nothing": ("closed", "closed"),
}
# Forks a process for each call, which is many times faster than starting one. Reads the calls, writes what they did.
SCRIPT = """
import json, os, sys, tempfile
from podium.cli.main import main
from podium.cli import app
app.build()  # imports every command
def give(number, kind, kept):
    if kind == "closed":
        os.close(number)
        return None
    if kind == "left":
        read, write = os.pipe()
        os.close(read)
    else:
        write = os.open("/dev/full", os.O_WRONLY) if kind == "full" else os.open(kept, os.O_WRONLY)
    os.dup2(write, number)
    return open(number, "w", closefd=False)
found = {}
for words, way, kinds in json.load(sys.stdin):
    kept = [tempfile.mkstemp()[1] for _ in kinds]
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            sys.stdout, sys.stderr = (give(number, kind, path) for number, kind, path in zip((1, 2), kinds, kept))
            code = main(words.split())
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found[f"{words}, {way}"] = [code, *(open(path).read() for path in kept)]
    for path in kept:
        os.unlink(path)
print(json.dumps(found))
"""
Told = dict[str, tuple[int, str, str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which one run has ended."""
    home = tmp_path_factory.mktemp("streams") / "small"
    home.mkdir()
    (home / "podium.yaml").write_text(PODIUM.replace("  ok:\n", '  ok:\n    on: {schedule: "0 3 * * *"}\n'))
    run = [sys.executable, "-m", "podium.cli", "run", "ok", "-q"]
    subprocess.run(run, cwd=home, check=True, capture_output=True, timeout=scaled(60))
    with (home / ".podium" / "runs" / "1" / "worker.log").open("a") as log:
        log.write("a line\n")
    with Journal.open(home / ".podium" / "journal.db") as journal:
        journal.agent.note("push to main (ok)", "commit 0123 cannot run", lasting=True)
    return home


@pytest.fixture(scope="module")
def told(project: Path) -> Told:
    calls = [(words, way, kinds) for words in READING for way, kinds in WAYS.items()]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=project,
        env={**os.environ, "NO_COLOR": "1"},
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=True,
        timeout=scaled(120),
    )
    return json.loads(done.stdout)


def test_every_command_that_reads_is_here() -> None:
    assert {words.split()[0] for words in READING if not words.startswith("-")} | CHANGING == set(COMMANDS)


@pytest.mark.parametrize("words", READING)
def test_an_output_that_cannot_be_written_has_its_exit_code(told: Told, words: str) -> None:
    code, out, _ = told[f"{words}, kept"]
    assert bool(out) is (words not in SILENT), "else nothing is tried here"
    for way, expected, why in (
        ("full", CANNOT_WRITE, "No space left on device"),
        ("closed", CANNOT_WRITE, "closed"),
        ("left", PIPE_CLOSED, ""),
    ):
        found, nothing, said = told[f"{words}, {way}"]
        assert nothing == "" and "Traceback" not in said and "unexpected" not in said, way
        assert found == (expected if out else code), (way, said)
        assert not out or words == "--version" or why in said, way
        assert way != "left" or "written" not in said


@pytest.mark.parametrize("words", READING)
def test_words_that_nobody_can_read_change_nothing(told: Told, words: str) -> None:
    code, out, _ = told[f"{words}, kept"]
    for way in ("deaf", "deaf, full"):
        found, printed, _ = told[f"{words}, {way}"]
        assert found == code, way
        assert len(printed.splitlines()) == len(out.splitlines()), "words do not go where the data goes"
        if words.endswith("-o json") and "logs" not in words and out:
            json.loads(printed)
    assert told[f"{words}, nothing"][0] == (CANNOT_WRITE if out else code)


def test_nothing_of_this_is_kept_as_a_crash(project: Path, told: Told) -> None:
    assert not list((project / ".podium").glob("crash-*"))


def test_the_exit_code_is_one_of_the_documented_ones() -> None:
    assert CANNOT_WRITE == ExitCode.UNREACHABLE
    page = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()
    assert f"\n| {PIPE_CLOSED} |" in page and "full device" in page


@pytest.mark.parametrize(
    ("redirection", "expected"),
    [
        ("> /dev/full", CANNOT_WRITE),
        (">&-", CANNOT_WRITE),
        ("| true", PIPE_CLOSED),
        ("| head -1", PIPE_CLOSED),
        ("2>&-", 0),
        ("2> /dev/full", 0),
    ],
)
def test_as_a_shell_has_it(project: Path, redirection: str, expected: int) -> None:
    """With a whole interpreter, whose end flushes the streams as well."""
    command = f"{sys.executable} -m podium.cli config schema"
    if redirection.startswith("|"):  # more than a pipe holds
        big = project / ".podium" / "runs" / "1" / "worker.log"
        big.write_text("a line of a log\n" * 100_000)
        command = f"{sys.executable} -m podium.cli logs --worker"
    done = subprocess.run(
        ["bash", "-c", f"{command} {redirection}; exit ${{PIPESTATUS[0]}}"],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(60),
    )
    assert done.returncode == expected, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.fixture
def running(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that goes on and prints nothing more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "podium.cli", "run", "slow"],
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process
    subprocess.run([sys.executable, "-m", "podium.cli", "cancel", "1"], cwd=home, capture_output=True)
    process.wait(timeout=scaled(30))


def test_a_reader_that_leaves_ends_what_follows_a_silent_log(home: Path, running: subprocess.Popen[Any]) -> None:
    log = home / ".podium" / "runs" / "1" / "wait.log"
    wait_until(lambda: log.exists() and "waiting" in log.read_text(), what="the step has printed its only line")
    follower = subprocess.Popen(
        [sys.executable, "-m", "podium.cli", "logs", "1", "-f"],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert follower.stdout is not None and follower.stderr is not None
    assert b"waiting" in follower.stdout.readline()
    follower.stdout.close()
    assert follower.wait(timeout=scaled(20)) == PIPE_CLOSED
    assert follower.stderr.read() == b""
    follower.stderr.close()
