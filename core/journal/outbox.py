"""Messages to others, kept until they were told: at least once, and in order for each receiver.

A message is added in the transaction of the change that it tells of, so that neither exists without the other. A
crash between sending and noting that it was sent has it sent again, with the same key. One that cannot be sent is
tried again after ever longer pauses, and keeps back what comes after it for the same receiver, and for nobody else;
in the end it is given up, visibly. Only what is at the head of a receiver's queue is ever sent, and by one process
at a time.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ..domain.outbox import Backlog, Message, MessageState
from ..errors import Interrupted, NotFound, PodiumError, UsageError
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

# Seconds between attempts: the first pause, doubled each time up to the longest; half of each is drawn by lot, so that
# several do not come back at once.
FIRST_RETRY_INTERVAL = 2.0
MAX_RETRY_INTERVAL = 900.0
# With these pauses the last attempt is made after about a day.
MAX_ATTEMPTS = 100
# Seconds that a process has for one message. A sender's own time-outs have to be shorter.
LEASE_SECONDS = 120.0
MAX_WAITING = 1_000
"""Of one receiver. One more, and the oldest is given up: the newest says how things stand."""
MAX_ENDED = 1_000
"""Messages that were sent or given up and stay to be looked at, of all receivers."""
MAX_BODY_BYTES = 256 << 10
_MAX_ERROR = 500
_COLUMNS = 'id, receiver, kind, "key", body, added, attempts, due, state, error, ended'
_ROW = f"SELECT {_COLUMNS} FROM outbox"  # noqa: S608 - constant columns

Clock = Callable[[], float]


class Undeliverable(PodiumError):
    """Raised by a sender when the receiver will never take this message: trying again is no use."""


class Outbox:
    """`clock` and `lot` (a number from 0 to 1) are replaced in tests."""

    def __init__(
        self, database: Database, *, clock: Clock = time.time, lot: Callable[[], float] = random.random
    ) -> None:
        self._database = database
        self._clock = clock
        self._lot = lot

    # -- adding ----------------------------------------------------------------------------------------------------

    def add(self, receiver: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> Message:
        """Adds a message. One that has this key already is returned instead: the same thing is told once. UsageError
        for a body that is too large."""
        text = json.dumps(dict(body))
        if len(text) > MAX_BODY_BYTES:
            raise UsageError(
                f"a message of {len(text)} bytes is too large for the outbox", hint=f"the limit is {MAX_BODY_BYTES}"
            )
        now = self._clock()
        with self._database.transaction():
            known = self._one('"key" = ?', key) if key else None
            if known is not None:
                return known
            number = self._database.insert(
                'INSERT INTO outbox (receiver, kind, "key", body, added, due) VALUES (?,?,?,?,?,?)',
                (receiver, kind, key or uuid.uuid4().hex, text, now, now),
            )
            self._give_up_the_oldest(receiver)
            self._forget_ended()
            return self.get(number)

    def _give_up_the_oldest(self, receiver: str) -> None:
        row = self._database.one(
            "SELECT id FROM outbox WHERE receiver = ? AND state = 'waiting' ORDER BY id DESC LIMIT 1 OFFSET ?",
            (receiver, MAX_WAITING),
        )
        if row is not None:
            self._end(int(row[0]), MessageState.FAILED, f"more than {MAX_WAITING} messages waited for {receiver}")

    def _forget_ended(self) -> None:
        self._database.run(
            "DELETE FROM outbox WHERE state <> 'waiting' AND id <="
            " (SELECT id FROM outbox WHERE state <> 'waiting' ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (MAX_ENDED,),
        )

    # -- sending ---------------------------------------------------------------------------------------------------

    def claim(self, *, leave: frozenset[str] = frozenset(), prefix: str = "") -> Message | None:
        """Takes up the message that is to be sent next, and keeps it from every other process for LEASE_SECONDS;
        None when nothing is due. `leave` are receivers that are left alone, as are those whose names do not begin
        with `prefix`."""
        if self._next(leave, prefix) is None:  # most of the time; no lock for that
            return None
        with self._database.transaction():
            number = self._next(leave, prefix)
            if number is None:
                return None
            leased = self._clock() + LEASE_SECONDS
            self._database.run("UPDATE outbox SET attempts = attempts + 1, leased = ? WHERE id = ?", (leased, number))
            return self.get(number)

    def _next(self, leave: frozenset[str], prefix: str) -> int | None:
        now = self._clock()
        mine = (head for head in self._heads() if head[1].startswith(prefix) and head[1] not in leave)
        heads = (head for head in mine if self._is_due(head[2], head[3], now))
        return next((int(head[0]) for head in heads), None)

    def _heads(self) -> list[Row]:
        """Returns (id, receiver, due, leased) of the first message of each receiver, the longest due first."""
        return self._database.all(
            "SELECT id, receiver, due, leased FROM outbox WHERE id IN"
            " (SELECT min(id) FROM outbox WHERE state = 'waiting' GROUP BY receiver) ORDER BY due, id"
        )

    def _is_due(self, due: float, leased: float | None, now: float) -> bool:
        """Times further ahead than we ever set them were set by a clock that has been put right since: they do not
        hold."""
        waits = now < due <= now + MAX_RETRY_INTERVAL
        held = leased is not None and now < leased <= now + LEASE_SECONDS
        return not waits and not held

    def release(self, prefix: str) -> None:
        """Lets what another process took up for receivers whose names begin with `prefix` be taken up at once: for the
        one process that sends to them, when it starts, because the one before it is gone."""
        self._database.run(
            "UPDATE outbox SET leased = NULL"
            " WHERE state = 'waiting' AND leased IS NOT NULL AND substr(receiver, 1, ?) = ?",
            (len(prefix), prefix),
        )

    def sent(self, message: Message) -> None:
        """Notes that the receiver has it."""
        self._end(message.id, MessageState.SENT, "")

    def failed(self, message: Message, error: str, *, final: bool = False) -> None:
        """Notes that an attempt failed: it is tried again after a pause, or is given up when it is `final` or was tried
        MAX_ATTEMPTS times. Nothing is noted when another process has taken the message up since."""
        error = error.encode("utf-8", "replace").decode()[:_MAX_ERROR]
        if final or message.attempts >= MAX_ATTEMPTS:
            if self.get(message.id).attempts == message.attempts:
                self._end(message.id, MessageState.FAILED, error)
            return
        due = self._clock() + self._pause(message.attempts)
        self._database.run(
            "UPDATE outbox SET due = ?, leased = NULL, error = ? WHERE id = ? AND attempts = ? AND state = 'waiting'",
            (due, error, message.id, message.attempts),
        )

    def _pause(self, attempts: int) -> float:
        pause = min(FIRST_RETRY_INTERVAL * 2.0 ** min(max(attempts - 1, 0), 30), MAX_RETRY_INTERVAL)
        return pause * (0.5 + self._lot() / 2)

    def _end(self, number: int, state: MessageState, error: str) -> None:
        self._database.run(
            "UPDATE outbox SET state = ?, error = ?, ended = ?, leased = NULL WHERE id = ? AND state = 'waiting'",
            (str(state), error, self._clock(), number),
        )

    def waits(self, prefix: str) -> bool:
        """Tells whether anything waits for receivers whose names begin with `prefix`."""
        sql = "SELECT 1 FROM outbox WHERE state = 'waiting' AND substr(receiver, 1, ?) = ? LIMIT 1"
        return self._database.one(sql, (len(prefix), prefix)) is not None

    def next_due(self) -> float | None:
        """Returns in how many seconds something may be sent; None when nothing waits."""
        now = self._clock()
        waits = [
            0.0 if self._is_due(due, leased, now) else max(due, leased or 0.0) - now
            for _, _, due, leased in self._heads()
        ]
        return min(waits, default=None)

    # -- looking ---------------------------------------------------------------------------------------------------

    def get(self, number: int) -> Message:
        found = self._one("id = ?", number)
        if found is None:
            raise NotFound(f"there is no message {number} in the outbox")
        return found

    def list(self, state: MessageState | None = None, *, receiver: str = "", limit: int = 100) -> list[Message]:
        """Returns messages, the newest first."""
        rows = self._database.all(
            f"{_ROW} WHERE (? = '' OR state = ?) AND (? = '' OR receiver = ?) ORDER BY id DESC LIMIT ?",
            (str(state or ""), str(state or ""), receiver, receiver, limit),
        )
        return [_message(row) for row in rows]

    def backlogs(self) -> list[Backlog]:
        """Returns what each receiver has not been told; receivers that were told everything are left out."""
        counts = self._database.all(
            "SELECT receiver, sum(state = 'waiting'), sum(state = 'failed'), min(iif(state = 'waiting', id, NULL)),"
            " max(iif(state = 'failed', id, NULL)) FROM outbox WHERE state <> 'sent' GROUP BY receiver ORDER BY"
            " receiver"
        )
        return [self._backlog(*row) for row in counts]

    def _backlog(self, receiver: str, waiting: int, failed: int, first: int | None, last: int | None) -> Backlog:
        given_up = self.get(last).error if last is not None else ""
        if first is None:
            return Backlog(receiver, waiting, failed, given_up=given_up)
        head = self.get(first)
        return Backlog(receiver, waiting, failed, head.added, head.attempts, head.error, given_up)

    def retry(self, number: int) -> Message:
        """Has a message that was given up, or that waits for its next attempt, sent now. Its turn among those of its
        receiver is what it was."""
        self.get(number)
        self._database.run(
            "UPDATE outbox SET state = 'waiting', attempts = 0, due = ?, leased = NULL, ended = NULL"
            " WHERE id = ? AND state <> 'sent'",
            (self._clock(), number),
        )
        return self.get(number)

    def drop(self, number: int, why: str) -> None:
        """Gives a message up that waits."""
        self.get(number)
        self._end(number, MessageState.FAILED, why)

    def _one(self, where: str, value: object) -> Message | None:
        row = self._database.one(f"{_ROW} WHERE {where}", (value,))
        return _message(row) if row else None


def deliver(
    outbox: Outbox, send: Callable[[Message], None], *, stop: Callable[[], bool] = lambda: False, prefix: str = ""
) -> int:
    """Sends what is due to receivers whose names begin with `prefix`, each receiver's in order, until nothing more is;
    how many were sent. `send` raises Undeliverable for a message that its receiver will never take, and anything else
    for one that is worth another attempt. A receiver whose message failed is left alone for this time; the others do
    not wait for it."""
    count = 0
    failing: set[str] = set()
    while not stop():
        message = outbox.claim(leave=frozenset(failing), prefix=prefix)
        if message is None:
            break
        try:
            send(message)
        except Interrupted:
            raise
        except Undeliverable as error:
            outbox.failed(message, error.message, final=True)
        except Exception as error:
            outbox.failed(message, str(error) or type(error).__name__)
            failing.add(message.receiver)
        else:
            outbox.sent(message)
            count += 1
    return count


@names_damage("message")
def _message(row: Row) -> Message:
    fields = [*row]
    fields[4], fields[8] = json.loads(row[4]), MessageState(row[8])
    return Message(*fields)
