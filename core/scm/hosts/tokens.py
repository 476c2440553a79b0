"""Finds the token for a Git host, and remembers where it is from, never showing it.

In this order: podium.yaml (`token`, `token_file`), the environment, the host's own program (`gh`, `glab`), the system's
keyring. A variable of the environment belongs to one host, whoever's podium.yaml is open: GITHUB_TOKEN is sent to
github.com, and to another host, one on this machine too, only if the environment says that it is for that one (GH_HOST,
GITHUB_SERVER_URL). A program of the host's does not get these variables: it would print them for any host.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit

from ...domain.frozen import Frozen
from ...domain.project import Host, Project
from ...errors import Refused, UsageError
from ...http_client import Credentials
from ...identity.private import check_private

PROGRAM_TIMEOUT = 5.0
MAX_TOKEN_BYTES = 16 << 10
_environ: ContextVar[Mapping[str, str] | None] = ContextVar("environ", default=None)


class Token(Frozen):
    value: str = field(repr=False)
    source: str
    """Where it is from, in words."""


class _Kind(Frozen):
    """What is known of the tokens of one kind of host."""

    public: str
    """The host that its variables are for if nothing else is said."""
    variables: tuple[str, ...]
    own: tuple[str, ...]
    """Variables with a token for a host of one's own."""
    named: tuple[str, ...]
    """Variables that name that host, as an address or a name."""
    program: tuple[str, ...]
    """What prints a token for the host that is added to it."""
    hidden: tuple[str, ...] = ()
    """Other variables whose token that program would print."""


_KINDS: Mapping[str, _Kind] = {
    "github": _Kind(
        "github.com",
        ("GITHUB_TOKEN", "GH_TOKEN"),
        ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"),
        ("GH_HOST", "GITHUB_SERVER_URL"),
        ("gh", "auth", "token", "--hostname"),
    ),
    "gitlab": _Kind(
        "gitlab.com",
        ("GITLAB_TOKEN",),
        (),
        ("GITLAB_HOST", "GITLAB_URI", "CI_SERVER_URL"),
        ("glab", "config", "get", "token", "--host"),
        ("GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN"),
    ),
    "gitea": _Kind("gitea.com", ("GITEA_TOKEN",), (), ("GITEA_HOST", "GITEA_SERVER_URL"), ()),
}


class StaticProof:
    """Is a token that stays as it is."""

    mark = 0

    def __init__(self, credentials: Credentials | None, source: str) -> None:
        self._credentials, self.source = credentials, source

    def credentials(self) -> Credentials | None:
        return self._credentials

    def refused(self, skew: float | None) -> bool:
        return False


def host_setting(project: Project) -> Host:
    """Returns what podium.yaml says of the Git host."""
    if project.git.host is None:
        raise UsageError("podium.yaml names no Git host", hint="add git.host: config.example.yaml shows how")
    return project.git.host


def _variables() -> Mapping[str, str]:
    """Returns what `reading` has read; a project without any variable has none, and not this process's."""
    own = _environ.get()
    return os.environ if own is None else own


@contextmanager
def reading(environ: Mapping[str, str] | None) -> Generator[None]:
    """Has `find_token` read these variables instead of this process's, and the programs that it asks too: those of a
    project that is one of several."""
    token = _environ.set(environ)
    try:
        yield
    finally:
        _environ.reset(token)


def find_token(host: Host, web: str, home: Path, environ: Mapping[str, str] | None = None) -> Token | None:
    """Returns the token for the host at `web`; None where there is none. Refused for a file that others may read."""
    environ = environ if environ is not None else _variables()
    if host.token:
        return Token(_checked(host.token, "git.host.token"), "git.host.token of podium.yaml")
    if host.token_file:
        return Token(read_secret(host.token_file, home), f"the file {host.token_file}")
    kind = _KINDS.get(host.kind)
    name = (urlsplit(web).hostname or "").lower()
    if kind is None or not name:
        return None
    return _from_environment(kind, web, environ) or _from_program(kind, web) or _from_keyring(name)


def _from_environment(kind: _Kind, web: str, environ: Mapping[str, str]) -> Token | None:
    for variable in _meant(kind, web, environ):
        if value := environ.get(variable, "").strip():
            return Token(_checked(value, variable), f"the variable {variable}")
    return None


def _meant(kind: _Kind, web: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the variables whose token is for the host at `web`. Where another host than the public one is named,
    and no variable has a token for hosts of one's own, what the others have is for it, and not for the public one."""
    named = [environ.get(variable, "").strip() for variable in kind.named]
    public, own = f"https://{kind.public}", any(environ.get(variable, "").strip() for variable in kind.own)
    if _is_at(kind.public, web):
        others = [each for each in named if each and not _is_at(each, public)]
        return () if others and not own and not any(_is_at(each, public) for each in named) else kind.variables
    if not any(_is_at(each, web) for each in named):
        return ()
    return kind.own if own else kind.variables


def _is_at(named: str, web: str) -> bool:
    """Tells whether a host that is named by its address or its name, with a port or without, is the one at `web`."""
    try:
        wanted, there = urlsplit(named if "://" in named else f"https://{named}"), urlsplit(web)
        ports = (wanted.port, there.port or {"http": 80, "https": 443}.get(there.scheme))
    except ValueError:
        return False
    if not wanted.hostname or wanted.hostname != there.hostname:
        return False
    return ports[0] is None or ports[0] == ports[1]


def _from_program(kind: _Kind, web: str) -> Token | None:
    if not kind.program or shutil.which(kind.program[0]) is None:
        return None
    hidden = {*kind.variables, *kind.own, *kind.hidden}
    environ = {name: value for name, value in _variables().items() if name not in hidden}
    value = _printed((*kind.program, urlsplit(web).netloc.rpartition("@")[2]), environ)
    return Token(value, f"`{' '.join(kind.program[:3])}`") if value else None


def _from_keyring(name: str) -> Token | None:
    """Asks the package keyring, if it is installed, in a process of its own: a keyring may wait for a person to unlock
    it."""
    if importlib.util.find_spec("keyring") is None:
        return None
    value = _printed((sys.executable, "-m", "keyring", "get", "podium", name))
    return Token(value, "the system's keyring") if value else None


def _printed(command: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
    """Returns the token that a program prints; empty if it prints none in time."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
            env=_environ.get() if environ is None else environ,
        )
    except OSError:
        return ""
    with process:
        try:
            out, _ = process.communicate(timeout=PROGRAM_TIMEOUT)
        except BaseException as error:
            # What it has started holds its output open, and goes with it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return ""
            raise
    value = out[:MAX_TOKEN_BYTES].decode("utf-8", "replace").strip()
    return value if process.returncode == 0 and _is_token(value) else ""


def read_secret(path: str, home: Path) -> str:
    """Returns the content of a file with a secret; `path` is relative to the project. Refused if others may read it,
    if it belongs to somebody else, or if it is a link to another directory; UsageError if it cannot be read."""
    file = home / Path(path).expanduser()
    real = file.resolve()
    if file.is_symlink() and real.parent != file.parent.resolve():
        raise Refused(f"{path} is a link to another directory", hint="name the file itself in podium.yaml")
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            check_private(os.fstat(opened.fileno()), path)
            content = opened.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="write the secret into it, or correct git.host"
        ) from None
    return _checked(content.decode("utf-8", "replace").strip(), path, lines=True)


def _checked(value: str, where: str, *, lines: bool = False) -> str:
    """Returns the secret, if it can be one: a key has several lines, a token has not."""
    if value.startswith("-----BEGIN ") and lines:
        return value
    if not _is_token(value):
        raise UsageError(f"{where} holds no token", hint="it is one word of letters, digits and signs")
    return value


def _is_token(value: str) -> bool:
    return 0 < len(value) < MAX_TOKEN_BYTES and value.isascii() and value.isprintable() and " " not in value
