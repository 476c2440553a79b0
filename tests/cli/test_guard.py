"""Errors become sentences and exit codes; a traceback never reaches a person."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from podium.cli import guard, session, streams
from podium.cli.text import diagnostics
from podium.core import errors

from tests.runner.scale import scaled


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PODIUM_DEBUG", raising=False)
    session.directory.set(None)


def raising(error: BaseException) -> int:
    def action() -> int:
        raise error

    return guard.guarded(action)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.RunFailed, 1),
        (errors.UsageError, 2),
        (errors.NotFound, 3),
        (errors.Refused, 4),
        (errors.Unreachable, 5),
        (errors.Interrupted, 130),
    ],
)
def test_each_kind_of_error_has_its_code_its_words_and_its_hint(
    kind: type[errors.PodiumError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(kind("it is so", hint="do that")) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "podium: it is so\n  do that\n"


def test_every_problem_of_a_configuration_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    problems = (
        errors.Problem("podium.yaml", 3, 5, "gates.x", "unknown key", "did you mean checks?"),
        errors.Problem("podium.yaml", 0, 0, "", "is empty"),
    )
    assert raising(errors.ConfigError(problems)) == 2
    assert (
        capsys.readouterr().err
        == "podium.yaml:3:5: gates.x: unknown key\n  did you mean checks?\npodium.yaml: is empty\npodium: 2 problems in"
        " the configuration\n"
    )


def test_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()) == 130


def test_something_unforeseen_is_a_sentence_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".podium").mkdir()
    assert raising(ZeroDivisionError("oh no")) == 1
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert printed.startswith("podium: unexpected error: ZeroDivisionError: oh no\n")
    (kept,) = (tmp_path / ".podium").glob("crash-*.txt")
    assert str(kept) in printed
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PODIUM_DEBUG", "1")
    assert raising(ZeroDivisionError("oh no")) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_file_that_cannot_be_used_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(PermissionError(13, "Permission denied", "/x/y")) == 5
    assert capsys.readouterr().err == "podium: /x/y: Permission denied\n"


def test_escape_sequences_in_messages_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    raising(errors.NotFound("no \x1b[2Jmodel\x9b", hint="see \x1b]0;x\x07it"))
    printed = capsys.readouterr().err
    assert not any((ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160 for char in printed)


def test_nor_do_those_of_other_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "a\x1b[2Jb\x9bc\nd"
    assert raising(PermissionError(13, "Permission denied", hostile)) == 5
    assert raising(ValueError(hostile)) == 1
    monkeypatch.setattr(guard, "_keep", lambda text: None)
    assert raising(ValueError(hostile)) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("podium: ab") and "Traceback" in printed
    assert not any((ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160 for char in printed)


def test_a_reader_that_goes_away_is_nobodys_error(tmp_path: Path) -> None:
    code = "from podium.cli.guard import guarded\nfrom podium.cli.text import output\nimport sys\n"
    code += "def action():\n    for _ in range(100000): output.line('x' * 80)\n    return 0\nsys.exit(guarded(action))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=scaled(20)) == streams.PIPE_CLOSED
    assert said == b""


def test_colour_only_where_a_person_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert diagnostics.colourful(Terminal())
    assert not diagnostics.colourful(open(os.devnull))  # noqa: SIM115
    monkeypatch.setenv("NO_COLOR", "1")
    assert not diagnostics.colourful(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not diagnostics.colourful(Terminal())
