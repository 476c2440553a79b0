"""Programs by others that judge what we say to GitHub: Prism, a proxy that knows GitHub's published description of its
API, and emulate, a GitHub by somebody else. npm installs them once, into a directory of the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.runner.scale import scaled

from ..support import free_port
from .server import Server

# From 0.12 on emulate needs Node 22; its 1.0.2 is something else by somebody else, who had the name before.
PACKAGES = {"@stoplight/prism-cli": "5.16.0", "@octokit/openapi": "23.0.2", "emulate": "0.11.2"}
# Of the descriptions in @octokit/openapi, nearly 400 MB, the one that is read.
DESCRIPTION = "api.github.com.json"


def missing() -> str:
    absent = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


def modules() -> Path:
    """Returns the directory `node_modules` with what is in PACKAGES. Several test processes may ask: one installs, the
    others wait. Raises RuntimeError with npm's words if it cannot."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podium-tests"
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    place = cache / f"node-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "whole").exists():
            _install(place, wanted)
            (place / "whole").touch()
    return place / "node_modules"


def _install(place: Path, wanted: list[str]) -> None:
    # Nothing of these packages runs while it is installed.
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    command = ["npm", "install", "--prefix", str(place), *options, *wanted]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=scaled(300), check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not install {', '.join(wanted)}: {done.stderr.strip()[-500:]}")
    for file in (place / "node_modules" / "@octokit" / "openapi" / "generated").iterdir():
        if file.name != DESCRIPTION:
            file.unlink()


class NodeServer(Server):
    """`address` is its URL. It answers once its port is open: whatever it says to a question, it was started."""

    def __init__(self, modules: Path) -> None:
        super().__init__()
        self.modules, self.port = modules, free_port()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        import socket

        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Prism(NodeServer):
    """Judges requests, and what is answered to them, by an OpenAPI description. With `upstream` it passes them on to a
    server at that URL; without it answers itself, with the description's own examples. What breaks the description is
    answered with an error."""

    name = "prism"
    start_seconds = 60.0

    def __init__(self, modules: Path, description: dict[str, object], upstream: str = "") -> None:
        super().__init__(modules)
        self._description, self._upstream = description, upstream

    def start(self) -> None:
        file = self.directory / "openapi.json"
        file.write_text(json.dumps(self._description))
        # Its own examples are not all as the description says: what answers with them judges the questions alone.
        what = ["proxy", str(file), self._upstream, "--errors"] if self._upstream else ["mock", str(file)]
        program = self.modules / "@stoplight" / "prism-cli" / "dist" / "index.js"
        self.launch(["node", str(program), *what, "--host", "127.0.0.1", "--port", str(self.port)])


class Emulate(NodeServer):
    """A GitHub in memory. `seed` is what it has at first, by emulate's own words."""

    name = "emulate"
    start_seconds = 60.0

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"  # as it calls itself in the addresses of next pages

    def __init__(self, modules: Path, seed: dict[str, object]) -> None:
        super().__init__(modules)
        self._seed = seed

    def start(self) -> None:
        file = self.directory / "seed.json"
        file.write_text(json.dumps(self._seed))
        program = self.modules / "emulate" / "dist" / "index.js"
        self.launch(["node", str(program), "--service", "github", "--port", str(self.port), "--seed", str(file)])
