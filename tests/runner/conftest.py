"""A pytest of its own for the tests of what surrounds tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

import pytest

from tests.runner import scale

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = """
from tests.conftest import (
    _session, pytest_collection_modifyitems, pytest_configure, pytest_fixture_setup, pytest_runtest_protocol,
    pytest_xdist_make_scheduler,
)
from tests.runner import hooks
hooks.LATE = 0.0
"""
# Daemons as the product starts them: in a session of their own, with and without our environment.
DAEMONS = """
import os, subprocess, sys, time
def daemon(name, tmp_path, **how):
    code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(1000)"
    out = tmp_path / name
    words = [sys.executable, "-S", "-c", code, name]
    how.setdefault("cwd", "/" if "env" not in how else str(tmp_path))
    words[-1] = str(out) if how["cwd"] == "/" else name
    subprocess.Popen(words, start_new_session=True, stdin=subprocess.DEVNULL, **how)
    while not out.exists() or not out.read_text():
        time.sleep(0.01)
def start_them(tmp_path):
    daemon("marked", tmp_path)
    daemon("bare", tmp_path, env={})
"""

Pytest = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run_pytest(tmp_path: Path) -> Pytest:
    """Starts pytest on a file of its own, with our hooks; `tmp_path / "temporary"` is where its tests have theirs (those of
    a second one elsewhere: what still works there is ended after the first)."""
    places = chain(["temporary"], (f"temporary{number}" for number in count(2)))

    def start(code: str, *words: str, seconds: float = 1.0, shell: str = "") -> subprocess.Popen[str]:
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "test_it.py").write_text(DAEMONS + code)
        command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path), *words]
        command += ["-p", "no:cacheprovider", f"--timeout={seconds / scale.factor()}"]
        command += [f"--basetemp={tmp_path / next(places)}", str(tmp_path / "test_it.py")]
        if shell:
            command = ["sh", "-c", f'{shell}; exec "$@"', "sh", *command]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True)

    return start
