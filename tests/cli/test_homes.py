"""Homes that are no use: none at all, of no account, read-only, a file, one that this account may not look into."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.scale import scaled

# By somebody else than root, whom the system lets write nowhere else.
LOOK = """
import json, os, sys
from pathlib import Path
from podium.core import named_hosts
from podium.core.errors import PodiumError
from podium.core.host_queue import queue
from podium.core.host_queue.resources import Wanted
from podium.core.identity.account import expanded
from podium.core.signatures import signing
from podium.core.triggers import projects
from podium.tui import keymap
from podium.tui.personal.state import Remembered

def of(do):
    try:
        return str(do())
    except PodiumError as error:
        return f"{type(error).__name__}: {error.message} / {error.hint}"

def asked():
    here = queue.HostQueue(queue.directory(), "p", 1)
    return repr((here.impossible(Wanted(1.0)), here.take("a", Wanted(1.0)) != ""))

found = {}
for home in sys.argv[1:]:
    os.environ.pop("HOME", None)
    if home:
        os.environ["HOME"] = home
    remembered = Remembered("x.json")
    remembered.write({"a": 1})
    found[home] = {
        "keys": vars(keymap.load()) == vars(keymap.Keymap()),
        "remembered": remembered.read() is None,
        "queue": of(asked),
        "listed": projects.listed() == (),
        "named": of(lambda: named_hosts.name(Path("/"), "https://mlflow.example.com")),
        "key": of(signing._own_key),
        "path": str(expanded("~/tls.pem")).startswith((home or "~") + "/"),
    }
print(json.dumps(found))
"""


def test_a_home_that_is_no_use_keeps_nobody_from_working(tmp_path: Path) -> None:
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("needs root, to be an account that nobody has made")
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    for parent in (fixed, *list(fixed.parents)[:-2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    homes = ["", "/nonexistent", "/dev/null", str(fixed)]
    # The interpreter may stand in somebody's home: it is allowed to read what it is made of, and nothing is closed to it.
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    argv = [setpriv, "--reuid", "54321", "--regid", "54321", "--clear-groups", *reading, sys.executable, "-c", LOOK]
    environ = {key: value for key, value in os.environ.items() if key in ("PATH", "PYTHONPATH")}
    done = subprocess.run(
        [*argv, *homes], cwd="/", env=environ, capture_output=True, text=True, timeout=scaled(60), check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == homes
    for home, told in found.items():
        assert all(told[key] for key in ("keys", "remembered", "listed", "path")), (home, told)
        assert told["queue"] == "('', True)", (home, told)
        assert told["named"].startswith("UsageError: ") and "PODIUM_HOSTS=https://mlflow.example.com" in told["named"]
        assert told["key"].startswith("UsageError: no key can be kept") and "--key" in told["key"], (home, told)
    assert not Path("/~").exists()
