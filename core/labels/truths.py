"""What was said of keys: a label by key is of every request with the key, also of those that come after it.

The first label of a key stays, for as long as requests do (`retain`), and is given to each request with the key that is
collected meanwhile. Others of the same key wait until there is such a request, and are then judged beside the first.
"""

from __future__ import annotations

from typing import Any

from ..domain.frozen import Frozen
from ..journal.sqlite.database import Database

MAX_KEYED = 1_000_000
"""Labels by key that are kept at most, whatever `retain` says: the oldest go."""
_COLUMNS = "truths.number, truths.key, value, truths.at, received, client"


class Truth(Frozen):
    """A label by key as it is kept."""

    number: int
    key: str
    value: str
    """JSON."""
    at: float | None
    """When the truth was known, in seconds since the epoch; None for when it was received."""
    received: float
    client: str


class Arrived(Frozen):
    """A row that came after a label of its key."""

    truth: Truth
    request: int
    row: int
    rows: int
    """How many rows the request has."""
    first: bool
    """Whether the label is the first one of its key."""


def of_key(database: Database, key: str | None) -> list[Truth]:
    """Returns what was said of a key, in the order in which it was said."""
    return [
        Truth(*row)
        for row in database.all(f"SELECT {_COLUMNS} FROM truths WHERE key = ? ORDER BY number", (key,))  # noqa: S608
    ]


def keep(database: Database, truth: Truth, *, found: bool) -> int:
    """Keeps what was said of a key, with whether any request has it; returns its number."""
    return database.insert(
        "INSERT INTO truths (key, value, at, received, client, found) VALUES (?, ?, ?, ?, ?, ?)",
        (truth.key, truth.value, truth.at, truth.received, truth.client, found),
    )


def note_arrival(database: Database, key: str, request: int, row: int) -> None:
    """Notes a row whose key was spoken of before it came."""
    database.run(
        "INSERT INTO arrived (key, request, row) SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM truths WHERE key = ?)",
        (key, request, row, key),
    )


def take_arrivals(database: Database) -> list[Arrived]:
    """Returns each row that came since, with each label of its key. From now on these are of a known request; of a key
    the first one stays."""
    first = "truths.number = (SELECT min(number) FROM truths AS others WHERE others.key = truths.key)"
    rows: list[tuple[Any, ...]] = database.all(
        f"SELECT {_COLUMNS}, request, row, rows, {first} FROM arrived JOIN truths ON truths.key = arrived.key"  # noqa: S608
        " JOIN requests ON requests.number = request ORDER BY truths.number, requests.at, request, row"
    )
    if database.one("SELECT 1 FROM arrived LIMIT 1"):
        database.run("DELETE FROM arrived")
    found = [Arrived(Truth(*row[:6]), *row[6:9], first=bool(row[9])) for row in rows]
    for number, stays in {each.truth.number: each.first for each in found}.items():
        statement = "UPDATE truths SET found = 1 WHERE number = ?" if stays else "DELETE FROM truths WHERE number = ?"
        database.run(statement, (number,))
    return found


def waiting(database: Database, condition: str = "1", values: tuple[Any, ...] = ()) -> list[tuple[str, int, float]]:
    """Returns who has sent labels of keys that no request has so far, how many, and when the last one came.
    `condition` is one of ours."""
    return database.all(
        f"SELECT client, count(*), max(received) FROM truths WHERE found = 0 AND {condition} GROUP BY client",  # noqa: S608
        values,
    )
