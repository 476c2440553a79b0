"""The command palette's entries: the actions of the registry, and the places one can go to. Few, because Textual
matches them one by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.screen import ModalScreen

from .actions import ACTIONS

if TYPE_CHECKING:
    from .protocol import CockpitApp, CockpitScreen

MAX_ENTRIES = 100
_NAMED = 1000  # added to the score of an action whose name has what was typed


class ActionProvider(Provider):
    def _screen(self) -> CockpitScreen | None:
        """The screen that the palette was opened on; None on a dialog."""
        return None if isinstance(self.screen, ModalScreen) else cast("CockpitScreen", self.screen)

    def _choices(self) -> list[tuple[str, str, str]]:
        """(words, help, action's id); what cannot be done now says why and stands last."""
        screen = self._screen()
        if screen is None:
            return []
        context, keymap = screen.context(), cast("CockpitApp", self.app).keymap
        possible: list[tuple[str, str, str]] = []
        refused: list[tuple[str, str, str]] = []
        for action in ACTIONS:
            if action.group == "Move" or action.id == "palette":
                continue
            reason = action.refusal(context)
            keys = keymap.all_shown(action)
            words = action.label_on(context.screen) + (f"   {keys}" if keys else "")
            (refused if reason else possible).append(
                (words, (reason and f"not now: {reason}") or action.help_on(context.screen), action.id)
            )
        return [*possible, *refused][:MAX_ENTRIES]

    def _perform(self, action_id: str) -> None:
        screen = self._screen()
        if screen is not None:
            screen.action_perform(action_id)

    async def discover(self) -> Hits:
        for words, note, action_id in self._choices():
            yield DiscoveryHit(Content(words), partial(self._perform, action_id), text=words, help=note)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for words, note, action_id in self._choices():
            score = matcher.match(f"{words} {note}")
            if query.strip().lower() in words.lower():  # who types `start` means start, not the stop that mentions it
                score += _NAMED
            if score > 0:
                yield Hit(score, Content(words), partial(self._perform, action_id), text=words, help=note)
