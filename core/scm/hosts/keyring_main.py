"""Prints what the system's keyring has for a service and a name: `python -m podium.core.scm.hosts.keyring_main SERVICE
NAME`. It never has a person asked: an agent would ask every few minutes, with nobody there or in the middle of
something else. A keyring that is locked is an error that says so; one that has nothing is none."""

from __future__ import annotations

import importlib
import sys
from contextlib import closing
from typing import Any, Final

from ...child import run_main
from ...errors import PodiumError, Refused

NAME: Final = "the system's keyring"
_LOCKED: Final = f"{NAME} is locked"
_SERVICE: Final = "keyring.backends.SecretService"


def main(service: str, name: str) -> None:
    """Writes the password to standard output, nothing if there is none. Raises Refused if it cannot be read without
    asking somebody, or not at all."""
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        sys.stdout.write(_password(keyring.get_keyring(), service, name))
    except PodiumError:
        raise
    except errors.NoKeyringError:
        raise Refused(f"{NAME} does not answer here: there is none, or no session bus leads to it") from None
    except errors.KeyringLocked:
        raise Refused(_LOCKED) from None
    except Exception as error:  # whatever a keyring of another package raises
        raise Refused(f"{NAME} failed: {type(error).__name__}: {error}") from None


def _password(found: Any, service: str, name: str) -> str:
    # Several of them are asked one after the other, as a chain of them does.
    for each in getattr(found, "backends", None) or (found,):
        if type(each).__module__ == _SERVICE and not _is_there(each):
            continue
        if value := each.get_password(service, name):
            return value
    return ""


def _is_there(found: Any) -> bool:
    """Tells whether a Secret Service has a keyring, which reading from it would make otherwise. Raises Refused if it is
    locked: reading from it would open a dialog."""
    storage = importlib.import_module("secretstorage")
    collections = importlib.import_module("secretstorage.collection")
    missing = importlib.import_module("secretstorage.exceptions").ItemNotFoundException
    with closing(storage.dbus_init()) as bus:
        try:
            chosen = getattr(found, "preferred_collection", "")
            one: Any = (
                storage.Collection(bus, chosen) if chosen else collections.get_collection_by_alias(bus, "default")
            )
            locked: bool = one.is_locked()
        except missing:
            return False
    if locked:
        raise Refused(_LOCKED)
    return True


if __name__ == "__main__":
    sys.exit(run_main(lambda: main(sys.argv[1], sys.argv[2])))
