"""Knows which servers a person has named, so that a podium.yaml that came from elsewhere gets no credential by naming
a server of its own.

A server is named by the environment (MLflow's own MLFLOW_TRACKING_URI, PODIUM_HOSTS), by a variable that gives the
whole host in podium.yaml, or by a line of the user's file `hosts`: an address, and after a space the directory of the
one project that it is for. This machine needs no name. Over plain http no credential goes anywhere else.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .errors import NotNamed, Refused, UsageError
from .http_client import Origin, origin_of
from .replacing import replace_file

VARIABLE = "PODIUM_HOSTS"
_MLFLOW_ADDRESS = "MLFLOW_TRACKING_URI"
_WHOLE = re.compile(r"(?:https?://)?\$\{([A-Za-z_]\w*)(?::-[^}]*)?\}(?=$|[/?#]|:[0-9]+(?:$|[/?#]))", re.ASCII)
_HEAD = "# Servers that may get credentials: an address, and after a space the directory of the one project.\n"


def file(environ: Mapping[str, str] | None = None) -> Path | None:
    """Returns where the user's list is (`podium/hosts` below XDG_CONFIG_HOME); None without a home directory."""
    environ = os.environ if environ is None else environ
    named = environ.get("XDG_CONFIG_HOME", "")
    if Path(named).is_absolute():
        return Path(named) / "podium" / "hosts"
    with suppress(RuntimeError):
        return Path(environ.get("HOME") or Path.home()) / ".config" / "podium" / "hosts"
    return None


def by_variable(written: str, address: str, environ: Mapping[str, str]) -> bool:
    """Tells whether a variable that is set gave the whole host of an address in podium.yaml, as it is written there."""
    match = _WHOLE.match(written)
    host = origin_of(address).host
    return match is not None and bool(host) and host in environ.get(match[1], "").lower()


def require_named(
    home: Path, address: str, credentials: Iterable[str], environ: Mapping[str, str], *, secret: bool = True
) -> None:
    """Raises NotNamed if the server at `address` may not get `credentials` (in words) from the project in `home`, and
    Refused if they are secret and it would get them over plain http."""
    origin = origin_of(address)
    if origin.own or not origin.host:
        return
    shown, what = str(origin), " and ".join(credentials)
    if secret:
        require_encrypted(address, what)
    if is_named(home, origin, environ):
        return
    raise NotNamed(
        f"{what} would go to {shown}, which podium.yaml names and nobody on this machine has",
        hint=f"if that is your server, run `podium trust {shown}` in this project, or set {VARIABLE}={shown}",
        home=home,
        address=shown,
    )


def require_encrypted(address: str, what: str) -> None:
    """Raises Refused if the secret (`what`, in words) would go over plain http to another machine than this one."""
    origin = origin_of(address)
    if origin.scheme == "http" and not origin.own:
        raise Refused(
            f"{what} is not sent to {origin}: over plain http everybody on the way reads it",
            hint="use its https:// address, or a tunnel that ends on 127.0.0.1",
        )


def is_named(home: Path, origin: Origin, environ: Mapping[str, str]) -> bool:
    """Tells whether a person has named the server for this project."""
    given = [environ.get(_MLFLOW_ADDRESS, ""), *environ.get(VARIABLE, "").replace(",", " ").split()]
    if any(origin_of(each) == origin for each in given if each):
        return True
    return any(origin_of(address) == origin and _for(where, home) for address, where in _listed(environ))


def name(home: Path, address: str, environ: Mapping[str, str] | None = None) -> str:
    """Notes in the user's list that the server may get credentials from the project in `home`; returns it as it is
    noted. UsageError if that is no address, or there is no home directory that can be written."""
    environ = os.environ if environ is None else environ
    origin, place = origin_of(address), file(environ)
    if not origin.scheme or not origin.host:
        raise UsageError(f"{address!r} is no address of a server", hint="for example https://mlflow.example.com")
    if place is None:
        raise UsageError("there is no home directory to note it in", hint=f"set {VARIABLE}={origin}")
    if not is_named(home, origin, {**environ, _MLFLOW_ADDRESS: "", VARIABLE: ""}):
        before = _text(place) or _HEAD
        lines = before if before.endswith("\n") else before + "\n"
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(place, f"{lines}{origin} {json.dumps(str(home.resolve()))}\n")
        except OSError as error:
            raise UsageError(
                f"it cannot be noted in {place}: {error.strerror or error}", hint=f"set {VARIABLE}={origin}"
            ) from error
    return str(origin)


def _listed(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    place = file(environ)
    for line in _text(place).splitlines() if place is not None else ():
        address, _, where = line.strip().partition(" ")
        if address and not address.startswith("#"):
            yield address, where.strip()


def _text(place: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return place.read_text(encoding="utf-8")
    return ""


def _for(where: str, home: Path) -> bool:
    """Tells whether a line is for this project: all are meant where it names no directory."""
    if not where:
        return True
    with suppress(ValueError):
        where = str(json.loads(where)) if where.startswith('"') else where
    return where == str(home.resolve())
