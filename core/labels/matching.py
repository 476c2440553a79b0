"""Labels find their requests, each row its first one; what becomes of every label is counted for who sent it.

A label whose request is not there yet waits for it: the files of several replicas are not read at one moment, and what
a query finds may be faster than what a replica writes. After WAIT_SECONDS it counts as unknown. A label by key waits
for as long as requests are kept, and is also that of requests with the key that come later (truths.py).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..domain.frozen import Frozen
from ..domain.labels import AddedLabels, NewLabel
from ..journal.sqlite.database import Database
from . import truths
from .records import MAX_ID_CHARACTERS, plain, same, written
from .truths import MAX_KEYED, Arrived, Truth

WAIT_SECONDS = 3600.0
MAX_WAITING = 20_000
MAX_DISPUTES = 10_000
MAX_CLIENTS = 1000
MAX_KEY_CHARACTERS = 512
OTHERS = "(others)"
"""Who sends labels when there are more than MAX_CLIENTS."""

_MATCHED, _REPEATED, _CONTRADICTORY = "matched", "repeated", "contradictory"
_LATE, _UNKNOWN, _REFUSED, _WAITING = "late", "unknown", "refused", "waiting"
_OUTCOMES = (_MATCHED, _REPEATED, _CONTRADICTORY, _LATE, _UNKNOWN, _REFUSED)
_COUNT = """
INSERT INTO clients (name, matched, repeated, contradictory, late, unknown, refused, last)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET matched = matched + excluded.matched, repeated = repeated + excluded.repeated,
  contradictory = contradictory + excluded.contradictory, late = late + excluded.late,
  unknown = unknown + excluded.unknown, refused = refused + excluded.refused, last = max(last, excluded.last)
"""


class Sent(Frozen):
    """A label with who sent it, and when that was (seconds since the epoch)."""

    label: NewLabel
    client: str
    received: float


class _Row(Frozen):
    """One row of a request; `rows` is how many the request has."""

    request: int
    row: int | None
    rows: int


def add(database: Database, labels: Iterable[Sent]) -> AddedLabels:
    """Adds labels, in the caller's transaction; returns what became of them."""
    counts = Matching(database)
    for each in labels:
        counts.add(each)
    return counts.written()


class Matching:
    """Adds labels one by one and counts. Everything is in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: dict[str, Counter[str]] = {}
        self._last: dict[str, float] = {}

    def add(self, sent: Sent) -> None:
        self._count(sent, self._outcomes(sent, waits=True))

    def refuse(self, client: str, received: float, number: int) -> None:
        """Counts labels that a replica did not take."""
        self._add(client, received, _REFUSED, number)

    def written(self) -> AddedLabels:
        """Writes the counts of each client; returns their sum."""
        total: Counter[str] = Counter()
        for name, counts in self._counts.items():
            total += counts
            self._database.run(
                _COUNT,
                (self._counted(name), *(counts[each] for each in _OUTCOMES), self._last[name]),
            )
        return AddedLabels(**{name: total[name] for name in (*_OUTCOMES, _WAITING)})

    def _counted(self, name: str) -> str:
        """Returns the name that a client is counted under: names have no bound, the table has."""
        known = self._database.one("SELECT 1 FROM clients WHERE name = ?", (name,))
        number = self._database.one("SELECT count(*) FROM clients")
        return name if known or not number or number[0] < MAX_CLIENTS else OTHERS

    def _count(self, sent: Sent, outcomes: Iterable[str]) -> None:
        for outcome in outcomes:
            self._add(sent.client, sent.received, outcome, 1)

    def _add(self, client: str, received: float, outcome: str, number: int) -> None:
        self._counts.setdefault(client, Counter())[outcome] += number
        self._last[client] = max(received, self._last.get(client, received))

    # -- one label -------------------------------------------------------------------------------------------------

    def _outcomes(self, sent: Sent, *, waits: bool) -> Iterator[str]:
        label = sent.label
        name, key = label.id, label.key
        if written(label.value) is None or not _named(name, key):
            yield _REFUSED
            return
        found = self._by_id(label) if name is not None else self._by_key(label)
        if found:
            for row in found:
                yield from self._to(row, sent)
            if name is None and not truths.of_key(self._database, key):
                self._keep(sent, found=True)
        elif name is None:
            yield self._await(sent)
        elif self._forgotten(name):
            yield _LATE
        elif waits:
            yield self._wait(sent)
        else:
            yield _WAITING

    def _by_id(self, label: NewLabel) -> list[_Row]:
        """Returns the first request of that id that was answered well: an id may come again."""
        row = self._database.one(
            "SELECT number, rows FROM requests WHERE id = ? AND status = 200 ORDER BY at, number LIMIT 1", (label.id,)
        )
        return [_Row(row[0], label.row, row[1])] if row else []

    def _by_key(self, label: NewLabel) -> list[_Row]:
        """Returns every row with that key: what the key names was asked for so often, and has one truth."""
        rows = self._database.all(
            "SELECT request, row, rows FROM keys JOIN requests ON number = request WHERE key = ? ORDER BY at, request",
            (label.key,),
        )
        return [_Row(*row) for row in rows]

    def _to(self, row: _Row, sent: Sent) -> Iterator[str]:
        values = _for_rows(sent.label.value, row, by_key=sent.label.key is not None)
        if values is None:
            yield _REFUSED
            return
        for number, value in values:
            text = written(value)
            if text is not None:
                yield self._put(row.request, number, text, sent)

    def _put(self, request: int, row: int, value: str, sent: Sent) -> str:
        known = self._database.one("SELECT value FROM labels WHERE request = ? AND row = ?", (request, row))
        if known is None:
            at = sent.label.at if sent.label.at is not None else sent.received
            self._database.run(
                "INSERT INTO labels (request, row, value, at, received, client) VALUES (?, ?, ?, ?, ?, ?)",
                (request, row, value, at, sent.received, sent.client),
            )
            return _MATCHED
        if same(known[0], value):
            return _REPEATED
        number = self._database.insert(
            "INSERT INTO disputes (request, row, value, received, client) VALUES (?, ?, ?, ?, ?)",
            (request, row, value, sent.received, sent.client),
        )
        self._database.run("DELETE FROM disputes WHERE number <= ?", (number - MAX_DISPUTES,))
        return _CONTRADICTORY

    def _forgotten(self, name: str) -> bool:
        return self._database.one("SELECT 1 FROM forgotten WHERE id = ?", (short(name),)) is not None

    # -- labels that wait ------------------------------------------------------------------------------------------

    def _wait(self, sent: Sent) -> str:
        label = sent.label
        number = self._database.insert(
            "INSERT INTO waiting (id, row, value, at, received, client) VALUES (?, ?, ?, ?, ?, ?)",
            (label.id, label.row, json.dumps(label.value), label.at, sent.received, sent.client),
        )
        self._give_up("number <= ?", number - MAX_WAITING)
        return _WAITING

    def settle(self, now: float) -> None:
        """Lets labels that wait find their requests, those that came first before the others, and gives up those that
        have waited for long. Time in seconds since the epoch."""
        arrived = truths.take_arrivals(self._database)
        found = self._database.all(
            "SELECT number, id, row, value, at, received, client FROM waiting WHERE"
            " EXISTS (SELECT 1 FROM requests WHERE requests.id = waiting.id AND status = 200) ORDER BY received, number"
        )
        later = 0
        for number, name, row, value, at, received, client in found:
            while later < len(arrived) and arrived[later].truth.received < received:
                self._arrive(arrived[later])
                later += 1
            sent = Sent(NewLabel(json.loads(value), name, None, row, at), client, received)
            self._database.run("DELETE FROM waiting WHERE number = ?", (number,))
            self._count(sent, self._outcomes(sent, waits=False))
        for each in arrived[later:]:
            self._arrive(each)
        self._give_up("received < ?", now - WAIT_SECONDS)

    def _arrive(self, arrived: Arrived) -> None:
        truth = arrived.truth
        label = NewLabel(json.loads(truth.value), key=truth.key, at=truth.at)
        sent = Sent(label, truth.client, truth.received)
        self._count(sent, self._to(_Row(arrived.request, arrived.row, arrived.rows), sent))

    def _await(self, sent: Sent) -> str:
        """Keeps a label by key of which there is no request so far, unless the same was said of it."""
        known = truths.of_key(self._database, sent.label.key)
        if any(same(each.value, written(sent.label.value) or "") for each in known):
            return _REPEATED
        self._keep(sent, found=False)
        return _WAITING

    def _keep(self, sent: Sent, *, found: bool) -> None:
        label = sent.label
        truth = Truth(0, label.key or "", written(label.value) or "", label.at, sent.received, sent.client)
        self.forget_keys("number <= ?", truths.keep(self._database, truth, found=found) - MAX_KEYED)

    def forget_keys(self, which: str, bound: float) -> None:
        """Removes what was said of keys, and counts what no request had as unknown. `which` is a condition of ours."""
        if not self._database.one(f"SELECT 1 FROM truths WHERE {which} LIMIT 1", (bound,)):  # noqa: S608
            return
        for client, number, last in truths.waiting(self._database, which, (bound,)):
            self._add(client, last, _UNKNOWN, number)
        self._database.run(f"DELETE FROM truths WHERE {which}", (bound,))  # noqa: S608

    def _give_up(self, which: str, bound: float) -> None:
        """Counts labels as unknown. `which` is a condition of ours."""
        for client, number, last in self._database.all(
            f"SELECT client, count(*), max(received) FROM waiting WHERE {which} GROUP BY client",  # noqa: S608
            (bound,),
        ):
            self._add(client, last, _UNKNOWN, number)
        self._database.run(f"DELETE FROM waiting WHERE {which}", (bound,))  # noqa: S608


def _named(name: str | None, key: str | None) -> bool:
    if name is not None:
        return 0 < len(name) <= MAX_ID_CHARACTERS and plain(name) == name
    return key is not None and 0 < len(key) <= MAX_KEY_CHARACTERS and plain(key) == key


def _for_rows(value: Any, row: _Row, *, by_key: bool) -> list[tuple[int, Any]] | None:
    """Returns (row, value) for each row that a label speaks of; None if it does not fit the request."""
    if not row.rows:
        return None  # its answer was too long to be kept
    if row.row is not None:
        return [(row.row, value)] if by_key or 0 <= row.row < row.rows else None
    if isinstance(value, list) and len(cast("list[Any]", value)) == row.rows:
        return list(enumerate(cast("list[Any]", value)))
    return [(0, value)] if row.rows == 1 else None


def short(name: str) -> int:
    """Returns a number of 63 bits for an id: what is remembered of a request that was forgotten."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) >> 1
