"""Keys as people write them, and which of them do what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .actions import ACTIONS, Action

_SHOWN = {
    "slash": "/",
    "question_mark": "?",
    "plus": "+",
    "colon": ":",
    "escape": "esc",
    "space": "space",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "f1": "F1",
    "full_stop": ".",
    "comma": ",",
    "minus": "-",
    "down": "down",
    "up": "up",
}


def shown_key(key: str) -> str:
    """A key as people write it."""
    return _SHOWN.get(key, key)


class Keymap:
    """Which keys do what: the registry's own, or as a person has changed them (`tui/keymap.py` checks those)."""

    def __init__(self, overrides: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._overrides = dict(overrides or {})

    def keys(self, action: Action) -> tuple[str, ...]:
        return self._overrides.get(action.id, action.keys)

    def shown(self, action: Action) -> str:
        keys = self.keys(action)
        return shown_key(keys[0]) if keys else ""

    def all_shown(self, action: Action) -> str:
        return " ".join(shown_key(key) for key in self.keys(action))

    def bindings(self) -> Iterable[tuple[str, str]]:
        """(key, action's id) of everything. Every action is bound on every screen, so that a key which does not
        apply can say why."""
        for action in ACTIONS:
            for key in self.keys(action):
                yield key, action.id
