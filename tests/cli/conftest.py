"""Commands as a shell would call them, on a small project."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from podium.cli import session
from podium.cli.main import main
from podium.core.journal import Journal

from tests.runner.scale import scaled

PODIUM = """\
project: small
pipelines:
  ok:
    params: {who: world}
    steps:
      hello: {run: "echo hello ${{ params.who }}; echo oops >&2"}
      after: {run: "true", needs: [hello]}
  bad:
    steps:
      fine: {run: "true"}
      broken: {run: "echo about to fail; exit 7"}
      never: {run: "true", needs: [broken]}
  slow:
    steps:
      wait: {run: "echo waiting; sleep 60"}
  asks:
    steps:
      first: {run: "true"}
      gated: {run: "echo went on", needs: [first], approval: required}
environments:
  production: {port: 5100, protected: true}
  staging: {port: 5101}
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Call = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project's directory, which is also the current one."""
    home = tmp_path / "small project"
    home.mkdir()
    (home / "podium.yaml").write_text(PODIUM)
    monkeypatch.chdir(home)
    for name in ("PODIUM_DEBUG", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    (home / ".podium").mkdir(mode=0o700)
    with Journal.open(home / ".podium" / "journal.db") as journal:
        yield journal


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """One call in this process: fast, and enough wherever no signal or stream is at stake."""

    def run(*words: str) -> Done:
        session.directory.set(None)
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capsys.readouterr()
        code = main(words)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture
def shell(home: Path) -> Call:
    """One call as a process of its own."""

    def run(*words: str, **more: str) -> Done:
        environ = {**os.environ, "NO_COLOR": "1", **more}
        done = subprocess.run(
            [sys.executable, "-m", "podium.cli", *words],
            cwd=home,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=scaled(60),
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run
