"""A person's own keys: `$XDG_CONFIG_HOME/podium/keys.yaml`, a mapping of action -> key or list of keys.

Checked as a whole and fatally. Textual would let a key that is mapped twice silently take the other action away, and
a rollback key that does something else is worse than a cockpit that does not start.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.keys import _character_to_key

from ..core.errors import ConfigError, Problem
from .actions import ACTIONS, BY_ID
from .keys import Keymap, shown_key
from .screens import RESERVED

if TYPE_CHECKING:
    from yaml import MappingNode, Node

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


def path() -> Path | None:
    """Returns where the file is; None for an account that has no home directory."""
    try:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    except RuntimeError:
        return None
    return Path(base) / "podium" / "keys.yaml"


def load(file: Path | None = None) -> Keymap:
    """The registry's keys with the person's changes. ConfigError with every problem found."""
    file = file or path()
    if file is None:
        return Keymap()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Keymap()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((Problem(str(file), 0, 0, "", f"cannot be read: {error}"),)) from error
    return parse(text, str(file))


def parse(text: str, file: str = "keys.yaml") -> Keymap:
    """Reads a person's changes of the keys. Raises ConfigError with every problem found."""
    root = _mapping(text, file)
    if root is None:
        return Keymap()
    problems: list[Problem] = []
    overrides: dict[str, tuple[str, ...]] = {}
    for name_node, value_node in root.value:
        name = str(name_node.value)
        if name not in BY_ID:
            near = difflib.get_close_matches(name, BY_ID, 1)
            hint = f"did you mean {near[0]}?" if near else "`?` in the cockpit lists them"
            problems.append(_problem(file, name_node.start_mark, name, "is no action", hint))
        elif name in overrides:
            problems.append(_problem(file, name_node.start_mark, name, "is given twice"))
        else:
            overrides[name], wrong = _keys(name, value_node, file)
            problems += wrong
    problems += _clashes(overrides, file)
    if problems:
        raise ConfigError(tuple(problems))
    return Keymap(overrides)


def _mapping(text: str, file: str) -> MappingNode | None:
    """Returns the file's one mapping; None for an empty file."""
    import yaml  # only for those who have such a file

    try:
        node = yaml.compose(text[:65_536], Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError((_problem(file, mark, "", f"is not YAML: {error}"),)) from error
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise ConfigError((Problem(file, 1, 1, "", "must be a mapping of actions to keys, as in `promote: ctrl+t`"),))
    return node


def _keys(name: str, node: Node, file: str) -> tuple[tuple[str, ...], list[Problem]]:
    """Returns the keys of an action, one or a list, and what is wrong with them."""
    keys: list[str] = []
    problems: list[Problem] = []
    for value in node.value if isinstance(node.value, list) else [node]:
        try:
            keys.append(_key(str(value.value)))
        except ValueError as error:
            problems.append(_problem(file, value.start_mark, name, str(error)))
    return tuple(keys), problems


def _problem(file: str, mark: Any, key: str, words: str, hint: str = "") -> Problem:
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return Problem(file, line, column, key, words, hint)


def _key(text: str) -> str:
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


def _clashes(overrides: dict[str, tuple[str, ...]], file: str) -> list[Problem]:
    taken: dict[str, str] = {}
    problems: list[Problem] = []
    ordered = sorted(ACTIONS, key=lambda action: action.id in overrides)
    for action in ordered:
        for key in overrides.get(action.id, action.keys):
            if key in RESERVED:
                words = f"{shown_key(key)!r} is kept for the {RESERVED[key]} screen, which is to come"
                problems.append(Problem(file, 0, 0, action.id, words, "use another key"))
            other = taken.setdefault(key, action.id)
            if other != action.id:
                hint = f"give {other} another key in the same file first"
                problems.append(
                    Problem(
                        file,
                        0,
                        0,
                        action.id,
                        f"{shown_key(key)!r} is already the key of {other} ({BY_ID[other].help})",
                        hint,
                    )
                )
    return problems
