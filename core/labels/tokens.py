"""The clients that may send labels, from podium.yaml and a file; of each only the digest of its token goes on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..domain.access.clients import is_loopback
from ..domain.project import LEAST_TOKEN, Environment, Feedback
from ..errors import UsageError
from ..identity.account import expanded
from ..identity.private import check_private
from ..serving.senders import digest_of

_MAX_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


def digests(feedback: Feedback, home: Path) -> dict[str, str]:
    """Returns name -> digest of each client. Refused if others may read the file; UsageError if it cannot be read, if a
    line is not `NAME TOKEN`, or if two clients have one token or two lines one name. No message has a token in it."""
    found: dict[str, str] = {}
    for name, token in _read(feedback.token_file, home) if feedback.token_file else ():
        if name in found:
            raise UsageError(f"{feedback.token_file} names {name} twice", hint="leave one of the two lines out")
        found[name] = digest_of(token)
    found |= {name: digest_of(token) for name, token in feedback.tokens.items()}
    owners: dict[str, str] = {}
    for name, digest in found.items():
        if owners.setdefault(digest, name) != name:
            words = f"{owners[digest]} and {name} have the same token, so nobody knows whose labels are whose"
            raise UsageError(words, hint="give each a token of its own: openssl rand -hex 32")
    return found


def taken(environment: Environment) -> bool:
    """Tells whether an environment's replicas take labels: from everybody only where this machine alone reaches them,
    and nobody has to prove anything to predict."""
    return environment.feedback.proved or (is_loopback(environment.bind) and environment.auth is None)


def _read(path: str, home: Path) -> Iterator[tuple[str, str]]:
    try:
        descriptor = os.open(home / expanded(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            check_private(os.fstat(file.fileno()), path)
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="write a name and a token on each line, mode 600"
        ) from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{path} is longer than {_MAX_BYTES >> 10} KiB", hint="a line for each client, and no more")
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, token = line.strip().partition(" ")
            if not _NAME.fullmatch(name) or len(token.strip()) < LEAST_TOKEN:
                raise UsageError(
                    f"line {number} of {path} is not a name and a token of at least {LEAST_TOKEN} characters",
                    hint="make one: openssl rand -hex 32",
                )
            yield name, token.strip()
