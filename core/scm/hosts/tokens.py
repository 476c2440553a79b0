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
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit

from ...domain.frozen import Frozen
from ...domain.project import Host, Project
from ...errors import Refused, UsageError
from ...http_client import Credentials, origin_of
from ...identity.account import expanded
from ...identity.private import check_private
from ...named_hosts import require_encrypted, require_named
from .programs import MAX_TOKEN_BYTES, is_token, remembered

_KEYRING = "the system's keyring"
_environ: ContextVar[Mapping[str, str] | None] = ContextVar("environ", default=None)


class Token(Frozen):
    value: str = field(repr=False)
    source: str
    """Where it is from, in words."""


class Sought(Frozen):
    """What was found."""

    token: Token | None = None
    unanswered: tuple[str, ...] = ()
    """Why those who might have had one did not say, such as a keyring that is locked. Empty where one was found."""


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


class TokenProof:
    """Is the token that is found, and looks for it again where there was none, or the host does not accept it: somebody
    may have logged in, unlocked the keyring or written a new one into its file. Looks for it with the variables that
    it was made with (`reading`)."""

    def __init__(self, host: Host, web: str, home: Path, made: Callable[[str], Credentials]) -> None:
        """`made` makes of a token what is sent."""
        self._host, self._web, self._home, self._made = host, web, home, made
        self._environ = dict(_variables())
        self._sought = self._seek()
        self.mark = 0

    @property
    def source(self) -> str:
        return self._sought.token.source if self._sought.token is not None else ""

    @property
    def unanswered(self) -> str:
        return "; ".join(self._sought.unanswered)

    def credentials(self) -> Credentials | None:
        if self._sought.token is None:
            self._take(self._seek())
        token = self._sought.token
        return None if token is None else self._made(token.value)

    def refused(self, skew: float | None) -> bool:
        before = self._sought.token
        if before is None:
            return False
        remembered.refused(before.value)
        found = self._seek()
        if found.token is None or found.token.value == before.value:
            return False
        self._take(found)
        return True

    def _seek(self) -> Sought:
        return seek(self._host, self._web, self._home, self._environ)

    def _take(self, found: Sought) -> None:
        self.mark += found.token != self._sought.token
        self._sought = found


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
    """Returns the token for the host at `web`; None where there is none. Raises what `seek` does."""
    return seek(host, web, home, environ).token


def seek(host: Host, web: str, home: Path, environ: Mapping[str, str] | None = None) -> Sought:
    """Looks for the token for the host at `web`, which may start programs: what these say is remembered for a while.
    Raises Refused for a file that others may read and for a token that would go over plain http to another machine,
    UsageError for something that is no token."""
    found = _sought(host, web, home, environ if environ is not None else _variables())
    if found.token is not None:
        require_encrypted(web, f"the token from {found.token.source}")
    return found


def _sought(host: Host, web: str, home: Path, environ: Mapping[str, str]) -> Sought:
    if host.variables and not host.named:
        _require(host, web, home, environ)
    if host.token:
        return Sought(Token(_checked(host.token, "git.host.token"), "git.host.token of podium.yaml"))
    if host.token_file:
        return Sought(Token(read_secret(host.token_file, home), f"the file {host.token_file}"))
    kind = _KINDS.get(host.kind)
    if kind is None or not _address(web):
        return Sought()
    token = _from_environment(kind, web, environ)
    return Sought(token) if token is not None else _from_programs(kind, web, environ)


def _require(host: Host, web: str, home: Path, environ: Mapping[str, str]) -> None:
    """Raises NotNamed if podium.yaml would send what is in a variable to a host that nobody on this machine named."""
    kind = _KINDS.get(host.kind)
    if kind is not None and _meant(kind, web, environ):
        return
    require_named(home, web, [f"the variable {name}" for name in host.variables], environ)


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
    """Tells whether a host that is named by its address or its name, with a port or without, is the one at `web`. An
    address is meant with its scheme; a name alone means https, and on this machine http too."""
    try:
        wanted, there = urlsplit(named if "://" in named else f"{_scheme_of_names(web)}://{named}"), urlsplit(web)
        ports = (wanted.port, there.port or {"http": 80, "https": 443}.get(there.scheme))
    except ValueError:
        return False
    if not wanted.hostname or (wanted.scheme, wanted.hostname) != (there.scheme, there.hostname):
        return False
    return ports[0] is None or ports[0] == ports[1]


def _scheme_of_names(web: str) -> str:
    """Returns how a host is spoken to that is given as a name, where `web` is the address that podium.yaml says."""
    origin = origin_of(web)
    return origin.scheme if origin.own else "https"


def _address(web: str) -> str:
    """Returns the host's name as programs know it: in lower case, with a port that is not the usual one. Empty for
    something that is no address."""
    try:
        parts = urlsplit(web)
        name, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return ""
    name = f"[{name}]" if ":" in name else name
    return name if not name or port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f"{name}:{port}"


def _from_programs(kind: _Kind, web: str, environ: Mapping[str, str]) -> Sought:
    """Asks the host's own program, and then the package keyring, if they are installed. The program does not get the
    variables that it would print for any host. The keyring is asked in a process of its own: it may not answer."""
    hidden = {*kind.variables, *kind.own, *kind.hidden}
    given = {name: value for name, value in environ.items() if name not in hidden}
    unanswered: list[str] = []
    for name, command in _programs(kind, web, given):
        said = remembered.ask(command, name, given)
        if said.value:
            return Sought(Token(said.value, name))
        if said.why:
            unanswered.append(said.why)
    return Sought(unanswered=tuple(unanswered))


def _programs(kind: _Kind, web: str, environ: Mapping[str, str]) -> Generator[tuple[str, tuple[str, ...]]]:
    if kind.program and (found := shutil.which(kind.program[0], path=environ.get("PATH"))):
        yield f"`{' '.join(kind.program[:3])}`", (found, *kind.program[1:], _address(web))
    if importlib.util.find_spec("keyring") is not None:
        ours = ("-m", "podium.core.scm.hosts.keyring_main", "podium", (urlsplit(web).hostname or "").lower())
        yield _KEYRING, (sys.executable, "-P", *ours)


def read_secret(path: str, home: Path) -> str:
    """Returns the content of a file with a secret; `path` is relative to the project. Refused if others may read it,
    if it belongs to somebody else, or if it is a link to another directory; UsageError if it cannot be read."""
    file = home / expanded(path)
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
    if not is_token(value):
        raise UsageError(f"{where} holds no token", hint="it is one word of letters, digits and signs")
    return value
