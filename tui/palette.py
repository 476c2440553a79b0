"""What the palette offers: everything that has a name in the project (`cockpit.finder`), the screens, and the actions
of the registry. Things come before what is done; nothing that suspends, changes or ends is hit by a name it does not
have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from ..core.cockpit.questions.finder import candidate as candidate_of
from ..core.domain.find.found import Found
from ..core.domain.find.matching import Candidate, ranked
from ..core.domain.frozen import Frozen
from .actions import Action
from .context import Context
from .keys import Keymap

MAX_ROWS = 50
MAX_RECENT = 6
# They end, leave or put away what a person looks at.
_LEAVING = frozenset({"suspend", "quit", "back", "escape"})
_UNLISTED = frozenset({"palette"})
_AFTER_THINGS = 100


COMPARE = re.compile(r"compare\s+(\S+(?:\s+\S+)+)", re.IGNORECASE)
SERVED = re.compile(r"(?:served|at)\s+(.+)", re.IGNORECASE)
_ROLE_OF_QUESTION = "question"


class Entry(Frozen):
    """A row of the palette. Either `found` is a thing to go to, or `action` the id of what is done."""

    name: str
    kind: str
    words: str = ""
    keys: str = ""
    found: Found | None = None
    action: str = ""
    does: Action | None = field(default=None, compare=False)
    """The action itself."""
    refused: bool = False
    project: str = ""
    """The directory of a project to go to."""
    compare: tuple[str, ...] = ()
    """The versions and runs to put side by side."""
    at: str = ""
    """The moment of which is asked what served, as it was typed."""

    @property
    def strict(self) -> bool:
        """Tells whether it is hit by its own name alone."""
        return self.does is not None and (self.does.danger > 0 or self.action in _LEAVING)


def projects(labels: Mapping[Path, str]) -> list[Entry]:
    """Returns the entries of projects, by what names each."""
    return [Entry(name, "project", str(home), project=str(home)) for home, name in labels.items()]


def things(found: Sequence[Found]) -> list[Entry]:
    """Returns the entries of what was found."""
    return [Entry(each.name, str(each.kind), each.words, found=each) for each in found]


def actions(context: Context, keymap: Keymap) -> list[Entry]:
    """Returns the entries of screens and actions; what cannot be done now says why and stands last."""
    possible: list[Entry] = []
    refused: list[Entry] = []
    for action in keymap.actions:
        if action.group == "Move" or action.id in _UNLISTED:
            continue
        reason = action.refusal(context)
        words = f"not now: {reason}" if reason else action.help_on(context.screen)
        entry = Entry(
            action.label_on(context.screen),
            "screen" if action.goes_to else "yours" if action.own is not None else "action",
            words,
            keymap.all_shown(action),
            action=action.id,
            does=action,
            refused=bool(reason),
        )
        (refused if reason else possible).append(entry)
    return [*possible, *refused]


def best(text: str, entries: Sequence[Entry]) -> list[Entry]:
    """Returns the entries that fit what was typed, best first; what was asked in words comes before them."""
    return [*_asked(text.strip()), *ranked(text, entries, _candidate, MAX_ROWS)]


def _asked(text: str) -> list[Entry]:
    """Returns what a person asks in words: `compare 1 2 3`, `served yesterday 14:05`."""
    if match := COMPARE.fullmatch(text):
        names = tuple(match[1].split())
        return [Entry(text, _ROLE_OF_QUESTION, "versions and runs (run:41) side by side", compare=names)]
    if match := SERVED.fullmatch(text):
        return [Entry(text, _ROLE_OF_QUESTION, "what each environment served then", at=match[1])]
    return []


def recent(names: Sequence[str], entries: Sequence[Entry]) -> list[Entry]:
    """Returns the entries of names that were gone to before, without those that change something."""
    by_name = {entry.name: entry for entry in reversed(entries) if not entry.strict and not entry.refused}
    return [by_name[name] for name in names if name in by_name][:MAX_RECENT]


def _candidate(entry: Entry) -> Candidate:
    if entry.found is not None:
        return candidate_of(entry.found)
    if entry.project:
        return Candidate((entry.name, f"project {entry.name}", Path(entry.project).name), order=_AFTER_THINGS - 1)
    action = entry.does
    assert action is not None
    verb = not action.goes_to
    return Candidate(_names(entry, action), verb=verb, strict=entry.strict, order=_AFTER_THINGS + entry.refused)


def _names(entry: Entry, action: Action) -> tuple[str, ...]:
    """An action is known by its label and its id, which keymaps use."""
    return tuple(dict.fromkeys((entry.name, action.id.removeprefix("goto_").replace("_", " "))))
