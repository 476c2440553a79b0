"""Moves an alias. MLflow has no compare-and-set for aliases and keeps no history of them, so Podium locks, re-reads,
writes, verifies, and records the move in the audit log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ..domain.project import Project
from ..errors import NotFound, Refused, Unreachable

if TYPE_CHECKING:
    from ..journal import Journal
    from .store import Registry


def move_alias(
    project: Project,
    journal: Journal,
    registry: Registry,
    model: str,
    alias: str,
    to: int | None,
    *,
    expected: int | Literal["any"] | None = "any",
    who: str = "",
    why: str = "",
) -> int | None:
    """Sets `alias` to version `to` (None removes it) and returns the version that had it.

    `expected` is the version that must have it now (None: no version), as in the caller's plan. Raises Refused if
    that changed, or if another process is moving an alias of this model; NotFound if `to` does not exist;
    Unreachable if MLflow does not return what was written.
    """
    if not who:
        from ..identity.account import whoami

        who = whoami()
    with journal.locks.take(f"alias {model}", who, why or f"{alias} to {_words(to)}"):
        before = _current(registry, model, alias)
        if expected != "any" and before != expected:
            raise Refused(
                f"{alias} of {model} is on {_words(before)}, not on {_words(expected)} as planned",
                hint="the alias was moved in the meantime; run `podium versions`, then plan again",
            )
        if before != to:
            _write(registry, model, alias, to)
            after = _current(registry, model, alias)
            if after != to:
                raise Unreachable(
                    f"{alias} of {model} is on {_words(after)} after moving it to {_words(to)}",
                    hint="try again, and read MLflow's log",
                )
            journal.audit.add(who, "alias", f"{model} {alias}: {_words(before)} → {_words(to)}", why)
        _remember(journal, registry, model, alias, before, to)
    return before


def _current(registry: Registry, model: str, alias: str) -> int | None:
    try:
        return registry.aliases(model).get(alias)
    except NotFound:
        return None


def _write(registry: Registry, model: str, alias: str, to: int | None) -> None:
    if to is None:
        registry.delete_alias(model, alias)
        return
    status = registry.version(model, to).status  # NotFound here beats an alias on a version that is gone
    if status != "READY":
        raise Refused(
            f"version {to} of {model} is {status}, not READY", hint="wait until MLflow has it, or register it again"
        )
    registry.set_alias(model, alias, to)


def _remember(journal: Journal, registry: Registry, model: str, alias: str, before: int | None, to: int | None) -> None:
    """Updates the journal's snapshot, so that screens need not wait for the next read of MLflow."""
    if to is not None:
        journal.versions.update(registry.version(model, to))
    elif before is not None:
        version = journal.versions.get(model, before)
        if version is not None:
            journal.versions.update(replace(version, aliases=tuple(name for name in version.aliases if name != alias)))


def _words(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"
