"""Keys as people write them, and which of them do what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .actions import ACTIONS, Action, Danger

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
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "equals_sign": "=",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "at": "@",
    "tilde": "~",
    "vertical_line": "|",
    "exclamation_mark": "!",
    "down": "down",
    "up": "up",
}
# What writes a file where the cockpit runs.
_WRITING = ("export",)


def shown_key(key: str) -> str:
    """A key as people write it."""
    return _SHOWN.get(key, key)


class Keymap:
    """Which keys do what: the registry's own, or as a person has changed them (`tui/keymap.py` checks those)."""

    def __init__(
        self,
        overrides: Mapping[str, tuple[str, ...]] | None = None,
        own: Sequence[Action] = (),
        registry: Sequence[Action] = ACTIONS,
    ) -> None:
        """`own` are actions of a person's own, beside those of the registry."""
        self._overrides = dict(overrides or {})
        self._own, self._registry = own, registry
        self.actions = (*registry, *own)
        self._by_id = {action.id: action for action in self.actions}
        self._by_key = dict(self.bindings())

    def with_own(self, own: Sequence[Action]) -> Keymap:
        """Returns these keys with a person's own actions."""
        return Keymap(self._overrides, own, self._registry)

    def only_looking(self) -> Keymap:
        """Returns these keys for a cockpit that is shown elsewhere: what would write a file here, or run a command of
        a person's own, is a change as well, and refused where there are to be none."""

        def change(action: Action) -> Action:
            return action if action.danger else replace(action, danger=Danger.CHANGE)

        registry = [change(each) if each.id in _WRITING else each for each in self._registry]
        return Keymap(self._overrides, [change(each) for each in self._own], registry)

    def find(self, id: str) -> Action | None:
        """Returns the action of an id."""
        return self._by_id.get(id)

    def keys(self, action: Action) -> tuple[str, ...]:
        return self._overrides.get(action.id, action.keys)

    def action_of(self, key: str) -> Action | None:
        """Returns the action that a key does; None for a key that does nothing."""
        return self.find(self._by_key.get(key, ""))

    def shown(self, action: Action) -> str:
        keys = self.keys(action)
        return shown_key(keys[0]) if keys else ""

    def all_shown(self, action: Action) -> str:
        return " ".join(shown_key(key) for key in self.keys(action))

    def bindings(self) -> Iterable[tuple[str, str]]:
        """(key, action's id) of everything. Every action is bound on every screen, so that a key which does not
        apply can say why."""
        for action in self.actions:
            for key in self.keys(action):
                yield key, action.id
