"""Breaks a lock whose holder is on a machine that is gone, which nothing else may do: nobody can look from here whether
its process lives."""

from __future__ import annotations

from .domain.plans import Change, Plan
from .errors import NotFound, Refused
from .identity.account import whoami
from .identity.machine import ProcessLocation, here
from .journal import Journal


def plan(journal: Journal, name: str) -> Plan:
    """Returns the plan that takes a lock from its holder. Raises NotFound if nothing of that name is locked."""
    held = journal.locks.holder(name)
    if held is None:
        locked = ", ".join(each.name for each in journal.locks.all())
        raise NotFound(
            f"nothing holds a lock named {name}", hint=f"locked now: {locked}" if locked else "nothing is locked"
        )
    mine = held.machine.seen_from(here()) is ProcessLocation.HERE
    return Plan(
        target=name,
        verb="unlock",
        title=f"Break the lock of {name}",
        action="Break",
        command=f"podium unlock '{name}'",
        changes=(Change("held by", str(held), "nobody"),),
        warnings=()
        if not held.alive
        else (
            f"nobody can tell from here whether process {held.pid} on {held.host} still runs: if it does, two"
            " operations change the same thing at once",
        ),
        refusal=f"process {held.pid} runs on this machine and holds it" if held.alive and mine else "",
        hint=f"wait for it, or end it: kill {held.pid}; the lock goes with it" if held.alive and mine else "",
        kept_in="audit",
        rests_on={"holder": held.token},
    )


def unlock(journal: Journal, agreed: Plan, why: str) -> None:
    """Applies a plan that somebody agreed to. Raises Refused if somebody else holds the lock by now."""
    with journal.transaction():
        now = plan(journal, agreed.target)
        if now.rests_on != agreed.rests_on:
            raise Refused(f"{agreed.target} is locked by another process by now", hint=f"look again: {agreed.command}")
        journal.locks.break_open(agreed.target, whoami(), why or "a person broke it")
