"""Keys that are typed faster than the screen follows. They wait for what they are meant for: one after the other, and
not before the screen, the plan or the rows that they act on have come. None is lost, and none acts on something else.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from textual import events
from textual.message import Message

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

# A key's own messages (a prompt's answer, a cursor that moved) come after it; so often is its way gone once more before
# the next key.
_ROUNDS = 3
_LOOK_INTERVAL = 0.01
# Whatever became of a key, after so many seconds the next one follows.
_GIVE_UP_SECONDS = 2.0
_SAY_SECONDS = 0.4
# After so many seconds of waiting a key that leaves the screen does so, and what waits is dropped.
_PATIENCE_SECONDS = 1.0
_MAX_KEYS = 500
_ALWAYS = frozenset({"ctrl+q", "ctrl+c"})
_LEAVING = frozenset({"q", *"1234567890"})


class Passed(Message, bubble=True):
    """Goes the way of a key, behind it: where it arrives, the key has been dealt with."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Keyed(Protocol):
    """The app, as far as keys that wait need it."""

    @property
    def awaited(self) -> str:
        """What a person has asked for and is being made, such as a plan; empty for nothing."""
        ...

    def holds(self, key: str) -> bool:
        """Tells whether what a key would act on has not come yet."""
        ...

    def asks_for_text(self, key: str) -> bool:
        """Tells whether a key has a line asked for, so that what is typed behind it are letters of that."""
        ...

    def abandon(self) -> None:
        """Forgets what is awaited."""
        ...

    def say(self, text: str, role: str = ...) -> None: ...
    def look_later(self, seconds: float) -> None:
        """Calls `drain` after so many seconds."""
        ...

    async def pass_key(self, event: events.Key) -> None:
        """Hands a key to what has the focus."""
        ...


class TypedAhead:
    """The keys of one app that wait, in the order in which they were typed."""

    def __init__(self, app: Keyed) -> None:
        self._app = app
        self._waiting: deque[events.Key] = deque()
        self._since = 0.0
        self._said = False
        self._number = 0
        self._rounds = 0
        self._target: MessagePump | None = None
        self._sent = 0.0
        self._looking = False

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, event: events.Key) -> bool:
        """Tells whether the key goes on at once; else it waits, or it ended the waiting."""
        key = event.key
        if key in _ALWAYS:
            self._waiting.clear()
            return True
        if self._in_flight():
            return self._wait(event)
        if key == "escape" and self._app.awaited:
            self.drop()
            self._app.abandon()
            return False
        if self._waiting and self._ends(key):
            self.drop()
            return key != "escape"
        if self._waiting or self._app.holds(key):
            return self._wait(event)
        return True

    def sent(self, target: MessagePump) -> None:
        """Notes that a key is on its way to a widget."""
        self._number += 1
        self._rounds = 0
        self._target, self._sent = target, time.monotonic()
        self._follow()

    async def passed(self, message: Passed) -> None:
        """Notes that the way of a key was gone."""
        if message.number != self._number or self._target is None:
            return
        self._rounds += 1
        if self._rounds < _ROUNDS:
            self._follow()
        else:
            self._target = None
            await self.drain()

    async def drain(self) -> None:
        """Lets the next key go if what it is meant for is there."""
        self._looking = False
        if self._app.awaited and any(each.key == "escape" for each in self._waiting):
            while self._waiting.popleft().key != "escape":
                pass
            self._app.abandon()
        if self._waiting and not self._in_flight() and not self._app.holds(self._waiting[0].key):
            event = self._waiting.popleft()
            if self._said:
                self._app.say("")
            self._since, self._said = time.monotonic(), False
            await self._app.pass_key(event)
        if self._waiting:
            self._say()
            self._look_later()

    def drop(self) -> int:
        """Forgets what was typed; returns how many keys that were."""
        dropped = len(self._waiting)
        self._waiting.clear()
        return dropped

    def _wait(self, event: events.Key) -> bool:
        if not self._waiting:
            self._since, self._said = time.monotonic(), False
        if len(self._waiting) < _MAX_KEYS:
            self._waiting.append(event)
        self._look_later()
        return False

    def _follow(self) -> None:
        if self._target is not None and not self._target.post_message(Passed(self._number)):
            self._target = None  # it is gone: the key has closed what it went to

    def _in_flight(self) -> bool:
        """Tells whether the key before has not been dealt with."""
        target = self._target
        if target is not None and (not target.is_running or time.monotonic() - self._sent > _GIVE_UP_SECONDS):
            self._target = None
        return self._target is not None

    def _ends(self, key: str) -> bool:
        """Tells whether a key is for leaving what others wait for, and not for what comes."""
        waited = time.monotonic() - self._since
        if key == "escape":
            return waited > _SAY_SECONDS
        typing = any(self._app.asks_for_text(each.key) for each in self._waiting)
        return waited > _PATIENCE_SECONDS and key in _LEAVING and not typing and not self._app.awaited

    def _say(self) -> None:
        if not self._said and time.monotonic() - self._since > _SAY_SECONDS:
            self._said = True
            what = self._app.awaited or "what is being read"
            keys = "1 key waits" if len(self._waiting) == 1 else f"{len(self._waiting)} keys wait"
            self._app.say(f"{keys} for {what}; esc drops them")

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            self._app.look_later(_LOOK_INTERVAL)
