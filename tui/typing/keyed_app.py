"""An app whose keys come one after the other, each when what it is meant for is there."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.screen import ModalScreen

from ..keys import Keymap
from ..shutdown import EndingApp
from .typed_ahead import Passed, TypedAhead


class KeyedApp(EndingApp):
    def __init__(self) -> None:
        super().__init__()
        self.keymap = Keymap()
        self.typed = TypedAhead(self)
        self.awaited = ""
        self._asked = 0

    @property
    def podium_screen(self) -> Any:
        """The screen under any dialog: a `CockpitScreen`, None at the very end."""
        return next((screen for screen in reversed(self.screen_stack) if not isinstance(screen, ModalScreen)), None)

    def say(self, text: str, role: str = "accent") -> None:
        raise NotImplementedError

    # What is awaited

    def await_answer(self, what: str) -> int:
        """Notes that a person has asked for something that is being made: what is typed meanwhile is meant for it.
        Returns a number for `came`."""
        self.awaited = what
        self._asked += 1
        return self._asked

    def came(self, number: int) -> bool:
        """Notes that it came, or could not be made; tells whether it is still wanted."""
        if number != self._asked or not self.awaited:
            return False
        self.awaited = ""
        return True

    def abandon(self) -> None:
        """Forgets what is awaited; it is not shown when it comes."""
        self.say(f"{self.awaited}: left")
        self.awaited = ""

    # Keys

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            event = self._as_meant(event)
            if self.typed.take(event):
                await self.pass_key(event)
        else:
            await super().on_event(event)

    def _as_meant(self, event: events.Key) -> events.Key:
        """A terminal that is not in raw mode yet, as before the first paint, turns enter into a line feed."""
        if event.key != "ctrl+j" or self.keymap.action_of(event.key):
            return event
        enter = events.Key("enter", "\r")
        enter.set_sender(self)
        return enter

    async def pass_key(self, event: events.Key) -> None:
        """Hands a key to what has the focus."""
        if not self.screen_stack:
            return
        target = self.focused or self.screen
        await super().on_event(event)
        self.typed.sent(target)

    async def on_passed(self, message: Passed) -> None:
        message.stop()
        await self.typed.passed(message)

    def asks_for_text(self, key: str) -> bool:
        """Tells whether a key has a line asked for, so that what is typed behind it are letters of that."""
        action = self.keymap.action_of(key)
        return action is not None and action.asks

    def look_later(self, seconds: float) -> None:
        self.set_timer(seconds, self.typed.drain)

    def holds(self, key: str) -> bool:
        """Tells whether what a key would act on has not come yet."""
        if not self.screen_stack:
            return True
        top = self.screen
        if not top.is_mounted or not top.is_attached:
            return True
        if isinstance(top, ModalScreen):
            return bool(getattr(top, "awaits_answer", False))
        screen = self.podium_screen
        return bool(self.awaited) or (screen is not None and screen.awaits(key))
