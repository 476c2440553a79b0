"""podium.yaml read again while a process lives."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.config.latest import LAST_GOOD, Latest
from podium.core.errors import ConfigError

GOOD = "project: shop\npipelines: {p: {steps: {s: {run: 'echo one'}}}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / ".podium").mkdir()
    path = tmp_path / "podium.yaml"
    path.write_text(GOOD)
    return path


def command(latest: Latest) -> str:
    return latest.project().pipelines["p"].steps["s"].run


def test_a_change_is_seen_by_its_content_whatever_the_time_says(file: Path) -> None:
    latest = Latest(file.parent)
    assert command(latest) == "echo one" and latest.generation == 1
    before = file.stat()
    file.write_text(GOOD.replace("one", "two"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert command(latest) == "echo two" and latest.generation == 2
    file.touch()
    assert command(latest) == "echo two" and latest.generation == 2, "the same content is no change"


def test_a_broken_file_is_told_and_the_last_good_content_stays(file: Path) -> None:
    latest = Latest(file.parent)
    latest.current()
    file.write_text(GOOD + "pipelnes: {}\n")
    assert command(latest) == "echo one" and latest.generation == 2
    error = latest.error()
    assert error is not None and (error.problems[0].line, error.problems[0].column) == (3, 1)
    with pytest.raises(ConfigError, match=r"podium\.yaml:3:1"):
        latest.current()
    file.unlink()
    assert command(latest) == "echo one" and "no such file" in str(latest.error())
    file.write_text(GOOD.replace("one", "three"))
    assert command(latest) == "echo three" and latest.error() is None


def test_a_process_that_starts_while_it_is_broken_has_the_last_good_content(file: Path) -> None:
    Latest(file.parent).current()
    kept = file.parent / ".podium" / LAST_GOOD
    assert kept.read_text() == GOOD and kept.stat().st_mode & 0o777 == 0o600
    file.write_text("project: [")
    latest = Latest(file.parent)
    assert command(latest) == "echo one" and latest.error() is not None
    kept.unlink()
    with pytest.raises(ConfigError):
        Latest(file.parent).project()


def test_what_is_being_written_is_no_answer(file: Path) -> None:
    """A writer that truncates and writes in parts: only whole contents are ever seen as good."""
    latest = Latest(file.parent)
    latest.current()
    whole = [GOOD.replace("one", f"{number:04d}") for number in range(60)]
    stop = threading.Event()

    def write() -> None:
        for text in whole:
            with file.open("w") as stream:
                for part in (text[:30], text[30:]):
                    stream.write(part)
                    stream.flush()
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not stop.is_set():
        seen.add(command(latest))
    writer.join()
    assert command(latest) == "echo 0059" and latest.error() is None
    assert seen <= {"echo one", *(f"echo {number:04d}" for number in range(60))}


def test_a_file_that_is_written_all_the_time_is_said_and_looked_at_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.core.config.latest._steady", lambda *_: None)
    latest = Latest(file.parent)
    for look in (latest.current, latest.project):
        with pytest.raises(ConfigError, match="is being written all the time"):
            look()
    assert latest.generation == 1
    monkeypatch.undo()
    assert command(latest) == "echo one" and latest.error() is None and latest.generation == 2


def test_a_full_disk_leaves_nothing_behind(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert command(Latest(file.parent)) == "echo one"
    assert list((file.parent / ".podium").iterdir()) == []


def test_the_digest_is_of_the_content(file: Path) -> None:
    one = load(file.parent)
    file.write_text(GOOD + "# a remark\n")
    assert load(file.parent).digest != one.digest
