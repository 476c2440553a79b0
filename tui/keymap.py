"""A person's own keys: `$XDG_CONFIG_HOME/podium/keys.yaml`, a mapping of action -> key or list of keys.

Checked as a whole and fatally. Textual would let a key that is mapped twice silently take the other action away, and
a rollback key that does something else is worse than a cockpit that does not start.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.keys import _character_to_key

from ..core.errors import ConfigError, Problem
from .actions import ACTIONS, BY_ID
from .keys import Keymap, shown_key
from .personal.settings import nearest, pairs_of, parse_yaml, place, problem_at, read_yaml

if TYPE_CHECKING:
    from yaml import Node

FILE = "keys.yaml"

_NAMED = frozenset(
    [
        "up",
        "down",
        "left",
        "right",
        "home",
        "end",
        "pageup",
        "pagedown",
        "enter",
        "space",
        "tab",
        "escape",
        "backspace",
        "delete",
        "insert",
    ]
    + [f"f{n}" for n in range(1, 13)]
)
# tmux and plain SSH terminals never send these, so that a key which cannot work is an error rather than a riddle.
_UNSENT = ("ctrl+shift+", "super+", "hyper+", "meta+")


def load(file: Path | None = None) -> Keymap:
    """The registry's keys with the person's changes. ConfigError with every problem found."""
    file = file or place(FILE)
    root = read_yaml(file) if file is not None else None
    return Keymap() if root is None else _parsed(root, str(file))


def parse(text: str, file: str = FILE) -> Keymap:
    """Reads a person's changes of the keys. Raises ConfigError with every problem found."""
    root = parse_yaml(text, file)
    return Keymap() if root is None else _parsed(root, file)


def _parsed(root: Node, file: str) -> Keymap:
    pairs = pairs_of(root)
    if pairs is None:
        raise ConfigError((Problem(file, 1, 1, "", "must be a mapping of actions to keys, as in `promote: ctrl+t`"),))
    problems: list[Problem] = []
    overrides: dict[str, tuple[str, ...]] = {}
    marks: dict[str, Any] = {}
    for name_node, value_node in pairs:
        name = str(name_node.value)
        if name not in BY_ID:
            hint = nearest(name, BY_ID, "`?` in the cockpit lists them")
            problems.append(problem_at(file, name_node.start_mark, name, "is no action", hint))
        elif name in overrides:
            problems.append(problem_at(file, name_node.start_mark, name, "is given twice"))
        else:
            marks[name] = name_node.start_mark
            overrides[name], wrong = _keys(name, value_node, file)
            problems += wrong
    problems += _clashes(overrides, marks, file)
    if problems:
        raise ConfigError(tuple(problems))
    return Keymap(overrides)


def _keys(name: str, node: Node, file: str) -> tuple[tuple[str, ...], list[Problem]]:
    """Returns the keys of an action, one or a list, and what is wrong with them."""
    keys: list[str] = []
    problems: list[Problem] = []
    for value in node.value if isinstance(node.value, list) else [node]:
        try:
            keys.append(key_named(str(value.value)))
        except ValueError as error:
            problems.append(problem_at(file, value.start_mark, name, str(error)))
    return tuple(keys), problems


def key_named(text: str) -> str:
    """Textual's name of a key. ValueError when no terminal sends it."""
    if len(text) == 1 and text.isprintable():
        return _character_to_key(text)
    lower = text.lower()
    if lower.startswith(_UNSENT):
        raise ValueError(
            f"{text!r} is not sent by every terminal (tmux has no such keys); use ctrl+letter, a letter or a"
            " function key"
        )
    base = lower.removeprefix("ctrl+").removeprefix("alt+").removeprefix("shift+")
    named = base in _NAMED or (base != lower and len(base) == 1 and base.isascii() and base.isalnum())
    if not named:
        known = {shown_key(key): key for action in ACTIONS for key in action.keys}
        if text in known or text in known.values():
            return known.get(text, text)
        raise ValueError(f"{text!r} is no key; use a character, ctrl+letter, f1…f12 or a name such as space")
    return lower


def _clashes(overrides: Mapping[str, tuple[str, ...]], marks: Mapping[str, Any], file: str) -> list[Problem]:
    """Returns which keys would do two things; each is at the line of the action that took a key."""
    taken: dict[str, str] = {}
    problems: list[Problem] = []
    ordered = sorted(ACTIONS, key=lambda action: action.id in overrides)
    for action in ordered:
        for key in overrides.get(action.id, action.keys):
            other = taken.setdefault(key, action.id)
            if other != action.id:
                words = f"{shown_key(key)!r} is already the key of {other} ({BY_ID[other].help})"
                hint = f"give {other} another key in the same file first"
                problems.append(problem_at(file, marks.get(action.id), action.id, words, hint))
    return problems
