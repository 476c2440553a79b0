"""Rows of the journal's tables that are no runs, and what is sealed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..journal.aging.segments import AUDIT, LEDGER
from .scene import Item, Scene, too_old


def reports(scene: Scene) -> Iterator[Item]:
    """Yields old reports of gates, but for the newest five of each gate and version, and old requests to canaries."""
    age = scene.evidence_age(scene.project.retain.reports)
    rows, before = scene.journal.rows, scene.now - age
    yield from _batch("reports", rows.old_reports(before), age, lambda: rows.remove_reports(before))
    yield from _batch("requests to canaries", rows.old_requests(before), age, lambda: rows.remove_requests(before))


def messages(scene: Scene) -> Iterator[Item]:
    """Yields messages that were sent, or given up, long ago."""
    age = scene.project.retain.messages
    rows, before = scene.journal.rows, scene.now - age
    yield from _batch("messages", rows.old_messages(before), age, lambda: rows.remove_messages(before))


def ci_runs(scene: Scene) -> Iterator[Item]:
    """Yields CI runs of Git hosts that did not change for long."""
    age = scene.project.retain.ci
    rows, before = scene.journal.rows, scene.now - age
    yield from _batch("CI runs", rows.old_host_runs(before), age, lambda: rows.remove_host_runs(before))


def measurements(scene: Scene) -> Iterator[Item]:
    """Yields what monitors measured long ago."""
    age = scene.project.retain.measurements
    rows, before = scene.journal.rows, scene.now - age
    yield from _batch("measurements", rows.old_measurements(before), age, lambda: rows.remove_measurements(before))


def audit(scene: Scene) -> Iterator[Item]:
    """Yields the old entries that are sealed."""
    return _sealed(scene, AUDIT, scene.project.retain.audit)


def ledger(scene: Scene) -> Iterator[Item]:
    """Yields the old deployments that are sealed."""
    return _sealed(scene, LEDGER, scene.project.retain.ledger)


def _sealed(scene: Scene, kind: str, age: float) -> Iterator[Item]:
    before = scene.now - age

    def seal() -> int:
        number = 0
        while (made := scene.journal.segments.seal(kind, before)) is not None:
            number += made.rows
        return number

    yield from _batch("entries", scene.journal.segments.count_old(kind, before), age, seal, "sealed, ")


def _batch(name: str, number: int, age: float, remove: Callable[[], int], how: str = "") -> Iterator[Item]:
    if number:
        yield Item(name, 0, f"{how}{too_old(age)}", remove, entries=number)
