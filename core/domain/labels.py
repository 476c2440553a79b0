"""Requests that replicas have answered, and the labels that tell what would have been the right answer."""

from __future__ import annotations

from typing import Any

from .frozen import Frozen
from .monitoring import LabelCounts


class KeptRequest(Frozen):
    """One request. It has as many predictions as it had rows, and as many labels."""

    number: int
    """Its number in the store: whatever was collected later has a greater one."""
    id: str
    at: float
    """When it was answered, in seconds since the epoch."""
    version: int | None
    """The version that answered it; None if the replica had no number."""
    status: int
    """HTTP status of the answer."""
    predictions: tuple[Any, ...] = ()
    """One for each row; empty for a refused request, and for an answer that was too long to be kept."""
    labels: tuple[Any, ...] = ()
    """One for each row, None where it is not known."""
    columns: tuple[str, ...] = ()
    """Names of the inputs; empty where the request was not captured."""
    inputs: tuple[tuple[Any, ...], ...] = ()
    """The values of `columns` for each row."""

    @property
    def labelled(self) -> bool:
        return any(label is not None for label in self.labels)


class NewLabel(Frozen):
    """One label as it arrives. It has an id, or a key; one of the two is None."""

    value: Any
    """JSON; for a request of several rows a list with one value each, unless `row` says which row is meant."""
    id: str | None = None
    """The id of the request."""
    key: str | None = None
    """The value of the environment's `key` column."""
    row: int | None = None
    """The row of the request, from 0."""
    at: float | None = None
    """When the truth was known, in seconds since the epoch; None for when it was received."""


class AddedLabels(Frozen):
    """What became of labels: numbers that sum to what arrived. A label of a request of several rows counts for
    each."""

    matched: int = 0
    """Found their request, and are its first."""
    repeated: int = 0
    """Said again what was known."""
    contradictory: int = 0
    """Said something else than an earlier one, which stays."""
    late: int = 0
    """Came after their request was forgotten."""
    unknown: int = 0
    """Found no request for as long as they waited."""
    refused: int = 0
    """Are no labels: without a value, too large, or not one for each row."""
    skipped: int = 0
    """Rows of a table without a label, which say nothing; of clients there are none."""
    waiting: int = 0
    """Have no request so far, and wait for one."""

    def plus(self, other: AddedLabels) -> AddedLabels:
        return AddedLabels(
            self.matched + other.matched,
            self.repeated + other.repeated,
            self.contradictory + other.contradictory,
            self.late + other.late,
            self.unknown + other.unknown,
            self.refused + other.refused,
            self.skipped + other.skipped,
            self.waiting + other.waiting,
        )


class LabelClient(Frozen):
    """Who sends labels, and what became of them."""

    name: str
    """Empty for one that has not proved who it is."""
    added: AddedLabels
    last: float
    """When it sent the last one, in seconds since the epoch."""


class Dispute(Frozen):
    """A label that said something else than an earlier one of the same row."""

    request_id: str
    row: int
    kept: Any
    """The label that counts."""
    kept_from: str
    said: Any
    said_by: str
    at: float
    """When the second one was received, in seconds since the epoch."""


class LabelTable(Frozen):
    """Where a table of labels has what. Exactly one of `id` and `key` is set."""

    label: str
    """The column of labels."""
    id: str = ""
    """The column of request ids."""
    key: str = ""
    """The column whose values are those of the environment's `key`."""
    at: str = ""
    """The column with the time at which the truth was known; empty for none."""
    row: str = ""
    """The column with the row of the request, from 0; empty for none."""


class LabelStatus(Frozen):
    """The labels of an environment."""

    environment: str
    counts: LabelCounts
    clients: tuple[LabelClient, ...]
    proved: bool
    """Whether clients have to prove who they are."""
    taken: bool
    """Whether its replicas take labels: not from everybody where others can reach them."""
