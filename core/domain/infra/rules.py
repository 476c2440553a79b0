"""Which changes of infrastructure may be applied by themselves, which need a person, and which are never made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from fnmatch import fnmatchcase

from ..frozen import Frozen


class ChangeKind(StrEnum):
    """What becomes of one resource, the worst first."""

    DELETE = "delete"
    REPLACE = "replace"
    FORGET = "forget"
    """It goes out of the state and stays as it is."""
    UPDATE = "update"
    CREATE = "create"

    @property
    def rank(self) -> int:
        """Returns its place when the worst comes first, from 0."""
        return tuple(ChangeKind).index(self)

    @property
    def destroys(self) -> bool:
        """Tells whether something that is there ends."""
        return self in (ChangeKind.DELETE, ChangeKind.REPLACE)


class Decision(StrEnum):
    """What the rules say of a change, the strictest last."""

    AUTO = "auto"
    ASK = "ask"
    NEVER = "never"


# Kinds of change, each with the resources that a rule is about: patterns of types or addresses, none for all.
Rule = Mapping[ChangeKind, tuple[str, ...]]


def _nothing() -> Rule:
    return {}


class Rules(Frozen):
    """The rules of one infrastructure. What none of them is about needs a person."""

    auto: Rule = field(default_factory=_nothing)
    ask: Rule = field(default_factory=_nothing)
    never: Rule = field(default_factory=_nothing)

    def decide(self, kind: ChangeKind, resource_type: str, address: str) -> Decision:
        """Returns what holds for one change: `never` before `ask` before `auto`."""
        if _about(self.never, kind, resource_type, address):
            return Decision.NEVER
        asked = _about(self.ask, kind, resource_type, address)
        return Decision.AUTO if not asked and _about(self.auto, kind, resource_type, address) else Decision.ASK

    def as_strict_as(self, other: Rules) -> bool:
        """Tells whether nothing that the other rules hold back goes on by these; compared by what is written, so that
        the answer may be no where it could be yes."""
        return (
            _within(self.auto, other.auto)
            and _within(other.never, self.never)
            and (not self.auto or _within(other.ask, self.ask))
        )


def joined(one: Rule, other: Rule) -> Rule:
    """Returns a rule that is about all that either is about."""
    found = dict(one)
    for kind, patterns in other.items():
        mine = found.get(kind)
        whole = not patterns or mine == ()
        found[kind] = () if whole else tuple(dict.fromkeys((*(mine or ()), *patterns)))
    return found


def _about(rule: Rule, kind: ChangeKind, resource_type: str, address: str) -> bool:
    if kind not in rule:
        return False
    patterns = rule[kind]
    return not patterns or any(_matches(resource_type, each) or _matches(address, each) for each in patterns)


def _matches(text: str, pattern: str) -> bool:
    """Tells whether a text is what the pattern says. Only `*` is anything: `a.b[0]` is an address."""
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))


def _within(rule: Rule, other: Rule) -> bool:
    """Tells whether the other rule is about all that this one is about."""
    return all(
        kind in other and (not other[kind] or (bool(patterns) and set(patterns) <= set(other[kind])))
        for kind, patterns in rule.items()
    )
