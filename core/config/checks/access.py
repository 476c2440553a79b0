"""What can be wrong with how clients reach an environment although each of its keys is right."""

from __future__ import annotations

from ...domain.access.clients import is_loopback
from ...domain.project import Environment
from ..reader import Reader, Record
from ..sections import join

_FILES = ("certificate", "key", "host")


def check(record: Record, environment: Environment, reader: Reader) -> None:
    """Notes the problems of one environment: what is half said, and what is open to others without saying so."""
    _tls(record, reader)
    _auth(record, environment, reader)
    _who(record, reader)
    if not is_loopback(environment.bind) and not environment.open:
        _open(record, environment, reader)


def _tls(record: Record, reader: Reader) -> None:
    written = record.get("tls")
    if not isinstance(written, Record):
        return
    missing = [key for key in _FILES if not written.has(key)]
    if len(missing) < len(_FILES):
        for key in missing:
            reader.problem(
                written.node, join(written.path, key), "is needed, too", "a certificate, its key and its host"
            )
    elif not written.has("engine"):
        reader.problem(written.node, written.path, "is empty", "it has certificate, key and host")


def _auth(record: Record, environment: Environment, reader: Reader) -> None:
    if environment.auth is not None and environment.auth.client_ca and environment.https is None:
        where = join(join(record.path, "auth"), "client_ca")
        reader.problem(record.at("auth"), where, "client certificates need TLS", "add tls: {certificate, key, host}")


def _who(record: Record, reader: Reader) -> None:
    written = record.get("who")
    if not isinstance(written, Record):
        return
    for role, each in written.values.items():
        if not each or (isinstance(each, Record) and not any(each.values.values())):
            hint = "name accounts or groups, or leave it out for everybody"
            reader.problem(written.at(role), join(written.path, role), "names nobody", hint)


def _open(record: Record, environment: Environment, reader: Reader) -> None:
    """Notes that others than this machine reach it, without encryption or without having to prove who they are."""
    lacks = [word for word, has in (("tls", environment.https), ("auth", environment.auth)) if has is None]
    broken = any(record.has(key) and key not in record.values for key in ("tls", "auth"))
    if not lacks or broken:
        return
    missing = " and ".join(f"`{word}`" for word in lacks)
    reader.problem(
        record.at("bind"),
        join(record.path, "bind"),
        f"`{environment.bind}` is reached from other machines, and there is no {missing}",
        f"add {missing}, or `open: true` if that is meant; docs/security.md says how",
    )
