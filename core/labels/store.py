"""Requests of one environment and their labels: collected, added, counted, read, forgotten."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self

from ..closing import Closing
from ..domain.labels import AddedLabels, Dispute, KeptRequest, LabelClient, NewLabel
from ..domain.monitoring import LabelCounts
from ..journal.sqlite.database import Database, Row
from ..serving.forms import rows_of
from . import collecting, forgetting, truths
from .collecting import Collected
from .database import connect, place
from .matching import Sent, add

_ADDED = "matched, repeated, contradictory, late, unknown, refused"
# The median of the delay is taken over so many of the newest labels.
_DELAYS = 10_000
_BATCH_LABELS = 2000
_COLUMNS = "requests.number, id, requests.at, version, status, rows, predictions"
_NAMES = "number, id, at, version, status, rows, predictions"
_ALWAYS = 1e12


class LabelStore(Closing):
    """The store of one environment, for one thread. Every method raises JournalError if its file cannot be read or
    written. Times are in seconds since the epoch."""

    def __init__(self, database: Database, directories: tuple[Path, ...]) -> None:
        self._database = database
        self._directories = directories

    @classmethod
    def open(cls, state: Path, environment: str) -> Self:
        """Opens the store of an environment, made where it is missing; `state` is the project's `.podium`."""
        below = state / "environments" / environment
        # `captured` has the files of replicas on another machine, as they were copied last.
        return cls(connect(place(state, environment)), (below / "capture", below / "captured"))

    def close(self) -> None:
        self._database.close()

    # -- writing ---------------------------------------------------------------------------------------------------

    def collect(self, now: float | None = None) -> Collected:
        """Reads what replicas have written since, exactly once, whoever else does."""
        return collecting.collect(self._database, self._directories, now)

    def add(self, labels: Iterable[NewLabel], source: str, received: float | None = None) -> AddedLabels:
        """Adds labels that `source` has sent; returns what became of them."""
        total, rest = AddedLabels(), iter(labels)
        at = time.time() if received is None else received
        while batch := list(islice(rest, _BATCH_LABELS)):
            with self._database.transaction():
                total = total.plus(add(self._database, [Sent(label, source, at) for label in batch]))
        return total

    def forget(self, before: float, most: int) -> int:
        """Removes requests of before `before`, and those beyond the newest `most`, with their labels and inputs;
        and what was said of keys before it; returns how many requests went."""
        return forgetting.forget(self._database, before, most)

    def old(self, before: float, most: int) -> int:
        """Returns how many requests and labels by key `forget` would remove."""
        return forgetting.old(self._database, before, most)

    # -- reading ---------------------------------------------------------------------------------------------------

    def requests(
        self,
        after: float | None = None,
        until: float | None = None,
        limit: int | None = None,
        version: int | None = None,
        *,
        labelled: bool = False,
    ) -> list[KeptRequest]:
        """Returns requests answered in (after, until], the newest `limit`, oldest first; of all versions, or of one.
        With `labelled` only those of which at least one row has a label."""
        return list(self.each(after, until, limit, version, labelled=labelled))

    def each(
        self,
        after: float | None = None,
        until: float | None = None,
        limit: int | None = None,
        version: int | None = None,
        *,
        labelled: bool = False,
        captured: bool = False,
        rows: int | None = None,
    ) -> Iterator[KeptRequest]:
        """Yields the same one by one; with `captured` only requests whose inputs are kept, with `rows` no more of the
        newest than have so many rows (with a label, for `labelled`)."""
        conditions = ["requests.at > ?", "requests.at <= ?"]
        values: list[Any] = [0.0 if after is None else after, _ALWAYS if until is None else until]
        if version is not None:
            conditions.append("version = ?")
            values.append(version)
        if labelled:
            conditions.append("EXISTS (SELECT 1 FROM labels WHERE request = requests.number)")
        if captured:
            conditions.append("EXISTS (SELECT 1 FROM inputs WHERE request = requests.number)")
        # Newest first, to find the newest; then in their order.
        chosen = (
            f"SELECT {_COLUMNS} FROM requests WHERE {' AND '.join(conditions)}"  # noqa: S608 - words of ours
            f" ORDER BY requests.at DESC, requests.number DESC LIMIT {-1 if limit is None else int(limit)}"
        )
        if rows is not None:
            counted = "(SELECT COUNT(*) FROM labels WHERE request = asked.number)" if labelled else "asked.rows"
            sizes = f"SELECT asked.*, {counted} * (status = 200) AS size FROM ({chosen}) AS asked"  # noqa: S608
            newer = f"SELECT *, SUM(size) OVER (ORDER BY at DESC, number DESC) - size AS newer FROM ({sizes})"  # noqa: S608
            chosen = f"SELECT {_NAMES} FROM ({newer}) WHERE newer < {int(rows)}"  # noqa: S608
        for row in self._database.each(f"SELECT * FROM ({chosen}) ORDER BY at, number", values):  # noqa: S608
            yield self._request(row)

    def forgot(self, before: float) -> bool:
        """Tells whether requests that were answered before `before` were removed, as far as that is known: some were,
        and none of before it is left."""
        ((first, oldest),) = self._database.all("SELECT min(number), min(at) FROM requests")
        return first is not None and first > 1 and oldest >= before

    def of_ids(self, ids: Iterable[str]) -> dict[str, KeptRequest]:
        """Returns id -> the first request of that id that was answered well."""
        found: dict[str, KeptRequest] = {}
        for name in ids:
            row = self._database.one(
                f"SELECT {_COLUMNS} FROM requests WHERE id = ? AND status = 200 ORDER BY at, number LIMIT 1",  # noqa: S608
                (name,),
            )
            if row is not None:
                found[name] = self._request(row)
        return found

    def keys(self, numbers: Iterable[int]) -> dict[tuple[int, int], str]:
        """Returns (number of the request, row) -> its key, of those that have one."""
        found: dict[tuple[int, int], str] = {}
        for number in dict.fromkeys(numbers):
            for row, key in self._database.all("SELECT row, key FROM keys WHERE request = ?", (number,)):
                found[number, row] = key
        return found

    def _request(self, row: Row) -> KeptRequest:
        number, name, at, version, status, rows, predictions = row
        labels: list[Any] = [None] * rows
        for place_of, value in self._database.all("SELECT row, value FROM labels WHERE request = ?", (number,)):
            if place_of < rows:
                labels[place_of] = json.loads(value)
        kept = self._database.one("SELECT content_type, body FROM inputs WHERE request = ?", (number,))
        table = rows_of(kept[1], kept[0]) if kept else None
        fits = table is not None and len(table.rows) == rows
        return KeptRequest(
            number,
            name,
            at,
            version,
            status,
            tuple(json.loads(predictions)) if predictions else (),
            tuple(labels),
            table.columns if table and fits else (),
            table.rows if table and fits else (),
        )

    def counts(self, after: float | None = None, until: float | None = None) -> LabelCounts:
        """Returns how many requests were answered well in (after, until], and of these how many have a label and after
        what time; and what became of all labels that ever came."""
        window = (0.0 if after is None else after, _ALWAYS if until is None else until)
        ((requests, matched),) = self._database.all(
            "SELECT count(*), count(EXISTS (SELECT 1 FROM labels WHERE request = requests.number) OR NULL)"
            " FROM requests WHERE at > ? AND at <= ? AND status = 200",
            window,
        )
        delays = self._database.all(
            "SELECT max(labels.received - requests.at, 0) FROM labels JOIN requests ON requests.number = request"
            " WHERE requests.at > ? AND requests.at <= ? ORDER BY labels.number DESC LIMIT ?",
            (*window, _DELAYS),
        )
        total = AddedLabels()
        for client in self.clients():
            total = total.plus(client.added)
        return LabelCounts(
            requests,
            matched,
            total.late,
            total.repeated,
            total.contradictory,
            total.unknown,
            total.refused,
            statistics.median(delay for (delay,) in delays) if delays else None,
            total.waiting,
        )

    def clients(self) -> list[LabelClient]:
        """Returns who has sent labels, who sent the last one first."""
        rows = self._database.all(f"SELECT name, last, {_ADDED} FROM clients")  # noqa: S608
        found = {name: LabelClient(name, AddedLabels(*numbers), last) for name, last, *numbers in rows}
        waiting = self._database.all("SELECT client, count(*), max(received) FROM waiting GROUP BY client")
        for name, number, last in (*waiting, *truths.waiting(self._database)):
            known = found.get(name, LabelClient(name, AddedLabels(), last))
            found[name] = LabelClient(name, known.added.plus(AddedLabels(waiting=number)), max(known.last, last))
        return sorted(found.values(), key=lambda client: (-client.last, client.name))

    def disputes(self, limit: int = 100) -> list[Dispute]:
        """Returns the newest labels that said something else than an earlier one, newest first."""
        rows = self._database.all(
            "SELECT id, disputes.row, labels.value, labels.client, disputes.value, disputes.client, disputes.received"
            " FROM disputes JOIN requests ON requests.number = disputes.request JOIN labels"
            " ON labels.request = disputes.request AND labels.row = disputes.row"
            " ORDER BY disputes.number DESC LIMIT ?",
            (limit,),
        )
        return [
            Dispute(name, row, json.loads(kept), kept_from, json.loads(said), said_by, at)
            for name, row, kept, kept_from, said, said_by, at in rows
        ]
