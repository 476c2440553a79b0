"""Makes /opt/podium/venv from /opt/podium/build. Runs inside a serving image while it is built, with the base
image's Python and the standard library only.

The environment is on top of the base image's own packages, so that these are neither downloaded nor stored twice.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HOME = Path("/opt/podium")
BUILD = HOME / "build"
VENV = HOME / "venv"
CACHE = HOME / "pycache"
CAPTURE = Path("/var/lib/podium/capture")
PYTHON = str(VENV / "bin" / "python")
EPOCH = 315_532_800
WARM_TIMEOUT = 300
# Which parts of a library a model needs shows only when it is loaded: all of every library that was imported is
# compiled. MLflow is left out: it is large, and what a replica imports of it is among the modules.
_WARM_PROGRAM = """
import compileall, importlib, importlib.util, os, re, sys
for name in sys.argv[1:]:
    try:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    except BaseException as error:
        print("podium: not compiled ahead:", name, type(error).__name__, flush=True)
for name in sorted({name.partition(".")[0] for name in sys.modules} - {"mlflow"}):
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    if "site-packages" in file and file.endswith("__init__.py"):
        compileall.compile_dir(os.path.dirname(file), quiet=2, rx=re.compile("/tests?/"), workers=0)
"""


def say(text: str) -> None:
    print(f"podium: {text}", flush=True)


def install() -> int:
    venv.EnvBuilder(system_site_packages=True, with_pip=False, symlinks=True).create(VENV)
    command = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--no-cache-dir",
        "--no-compile",
        "--no-input",
        "--progress-bar",
        "off",
        "--disable-pip-version-check",
    ]
    wheels = BUILD / "wheels"
    if wheels.is_dir():
        command += ["--no-index", "--find-links", str(wheels)]
    return subprocess.call([*command, "-r", str(BUILD / "requirements.txt")], cwd=BUILD)


def settle(root: Path) -> None:
    """Gives all files the same time, so that the same packages make the same layer and byte code made now stays
    valid in the image."""
    for path in [root, *root.rglob("*")]:
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def warm(modules: list[str]) -> None:
    """Imports once what serving imports, so that its byte code is in the image: a replica with a read-only file
    system would compile at every start."""
    CACHE.mkdir()
    environ = {
        **os.environ,
        "PYTHONPYCACHEPREFIX": str(CACHE),
        "HOME": "/tmp",  # noqa: S108
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        subprocess.call([PYTHON, "-c", _WARM_PROGRAM, *modules], env=environ, timeout=WARM_TIMEOUT, cwd="/")
    except subprocess.TimeoutExpired:
        say("compiling ahead timed out and was skipped")
    settle(CACHE)


def main() -> int:
    if (
        subprocess.call(
            [sys.executable, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        != 0
    ):
        say("ERROR: the base image has no pip; name one that has in docker.base")
        return 1
    code = install()
    if code:
        return code
    settle(VENV)
    warm(json.loads((BUILD / "modules.json").read_text(encoding="utf-8")))
    CAPTURE.mkdir(parents=True, mode=0o700)
    shutil.rmtree(BUILD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
