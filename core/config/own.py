"""The environment of one project among several that one agent watches: what is the machine's, and what the project's
own file says. A variable of the shell that started the agent, or of another project's file, is not in it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import UsageError
from ..identity.private import check_private
from .variables import looks_secret

ENVIRONMENT_FILE = "agent.env"
"""In the project's state directory, mode 600, a line NAME=VALUE for each: systemd reads it too (EnvironmentFile)."""
MAX_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# What programs need to find each other, their files, and the machine's servers. Credentials are in none of them.
_MACHINE = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND"),
        *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GH_CONFIG_DIR", "GLAB_CONFIG_DIR"),
        *("DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    }
)
_MACHINE_PREFIXES = ("LC_", "XDG_", "PODIUM_", "PYTHON")
_PROXIES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})


def own_environment(home: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the environment of the project at `home`: of `base` (default: this process's) what is the machine's, and
    the variables of its own file. Raises what `own_variables` does."""
    base = os.environ if base is None else base
    return {**{name: value for name, value in base.items() if _of_the_machine(name)}, **own_variables(home)}


def own_variables(home: Path) -> dict[str, str]:
    """Returns the variables of the project's own file, none if there is none. Raises Refused for a file that others
    may read, and UsageError for a line that is no NAME=VALUE; neither shows what is in it."""
    path = home / ".podium" / ENVIRONMENT_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="it is a file of mode 600") from None
    with os.fdopen(descriptor, "rb") as file:
        check_private(os.fstat(file.fileno()), str(path))
        text = file.read(MAX_BYTES).decode("utf-8", "surrogateescape")
    return dict(_pair(line, f"{path}, line {number}") for number, line in _lines(text))


def _of_the_machine(name: str) -> bool:
    if name in _MACHINE or name.lower() in _PROXIES:
        return True
    return name.startswith(_MACHINE_PREFIXES) and not looks_secret(name)


def _lines(text: str) -> list[tuple[int, str]]:
    """Returns the lines that say something, with their numbers. `#` and `;` begin a comment, as systemd has it."""
    found = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in found if line and line[0] not in "#;"]


def _pair(line: str, where: str) -> tuple[str, str]:
    name, equals, value = line.partition("=")
    name, value = name.strip(), value.strip()
    words = [value]
    if value[:1] in ("'", '"'):
        try:
            words = shlex.split(value)
        except ValueError:
            words = []
    if not equals or not _NAME.fullmatch(name) or len(words) != 1 or "\0" in value:
        raise UsageError(f"{where}: not of the form NAME=VALUE", hint="quote a value that begins with a quote")
    return name, words[0]
