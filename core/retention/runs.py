"""Runs: their rows, their files, their worktrees."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from ..beneath import Directory
from ..engine.paths import checked_out_marker
from ..errors import PodiumError
from .scene import GONE, Item, Scene, newest_change, remove_at, size_of, too_old

RUNS, WORKTREES = "runs", "worktrees"
# What restored files stood in the way of: a person's own work, which no limit of size removes.
_ASIDE = "aside"


def _numbered(top: Directory) -> Iterator[int]:
    """Yields the numbers of the runs that have a directory here, the oldest first."""
    return iter(sorted(int(name) for name in top.names() if name.isascii() and name.isdecimal() and len(name) < 19))


def _ended(scene: Scene, run: int) -> bool:
    return scene.journal.rows.finished(run)


def logs(scene: Scene) -> Iterator[Item]:
    """Yields the directories of ended runs that are too old, then the oldest that are too many. What `podium resume`
    is expected to continue stays as long as the run's row; what an auditor needs stays its time."""
    top = scene.opened(RUNS)
    if top is None:
        return
    retain, known = scene.project.retain, scene.journal.rows.known_runs()
    with top:
        kept: list[tuple[int, int]] = []
        for number in _numbered(top):
            run, name = scene.runs.get(number), str(number)
            if run is None and number in known:
                continue  # it is running
            ended = newest_change(top, name) if run is None else run.ended
            age = retain.logs if run is None or not run.interrupted else max(retain.logs, retain.runs)
            evidence = run is not None and run.evidence
            size = size_of(top, name)
            remove = partial(remove_at, scene, RUNS, name, partial(_ended, scene, number))
            if scene.old(ended, scene.evidence_age(age) if evidence else age):
                yield Item(f"run {number}", size, too_old(age), remove)
            else:
                movable = not evidence and not (run is not None and run.interrupted) and not _has_aside(top, name)
                kept.append((size, number if movable else 0))
        yield from _too_many(scene, kept)


def _has_aside(top: Directory, name: str) -> bool:
    if not stat.S_ISDIR(top.status(name).st_mode):
        return False
    with top.below(name, links=False) as inner:
        return inner.exists(_ASIDE)


def _too_many(scene: Scene, kept: list[tuple[int, int]]) -> Iterator[Item]:
    """Yields the oldest of what stays until the rest is small enough; `kept` has (size, run), run 0 for what must
    stay."""
    limit = scene.project.retain.logs_size
    total = sum(size for size, _ in kept)
    for size, number in kept:
        if total <= limit:
            return
        if number:
            total -= size
            remove = partial(remove_at, scene, RUNS, str(number), partial(_ended, scene, number))
            yield Item(f"run {number}", size, "more than logs_size allows", remove)


def worktrees(scene: Scene) -> Iterator[Item]:
    """Yields the worktrees of ended runs that are too old. A resumed run checks its commit out again, and does again
    what it had made there; one that was interrupted keeps it as long as its row."""
    top = scene.opened(WORKTREES)
    if top is None:
        return
    retain, known = scene.project.retain, scene.journal.rows.known_runs()
    with top:
        for number in _numbered(top):
            run = scene.runs.get(number)
            if run is None and number in known:
                continue
            ended = newest_change(top, str(number)) if run is None else run.ended
            age = max(retain.worktrees, retain.runs) if run is not None and run.interrupted else retain.worktrees
            if scene.old(ended, age):
                yield Item(
                    f"worktree of run {number}",
                    size_of(top, str(number)),
                    too_old(age),
                    partial(_remove_worktree, scene, number),
                )


def _remove_worktree(scene: Scene, number: int) -> int:
    """Removes a worktree, after the note that it is whole: a run that is resumed meanwhile makes another one."""

    def allowed() -> bool:
        if not _ended(scene, number):
            return False
        checked_out_marker(scene.state, number).unlink(missing_ok=True)
        return True

    removed = remove_at(scene, WORKTREES, str(number), allowed)
    if removed:
        from ..scm import Repository

        with suppress(PodiumError):  # git forgets what is not there any more
            Repository.open(scene.project.home).worktree_remove(scene.state / WORKTREES / str(number))
    return removed


def rows(scene: Scene) -> Iterator[Item]:
    """Yields ended runs that are too old and that nothing stands on: no version, image, deployment, or step of a run
    that stays. Their files go first."""
    age = max(scene.project.retain.runs, scene.project.retain.logs)  # no files of a run that is not known
    needed = scene.journal.rows.needed_runs(scene.now - age)
    for run in scene.runs.values():
        keep = scene.evidence_age(age) if run.evidence else age
        if run.id not in needed and scene.old(run.ended, keep):
            yield Item(f"run {run.id}", 0, too_old(keep), partial(_remove_row, scene, run.id))


def _remove_row(scene: Scene, number: int) -> int:
    for directory in (RUNS, WORKTREES):
        top = scene.opened(directory)
        if top is not None:
            with top:
                there = top.exists(str(number))
            if there:
                return 0  # what it stands for is still there: a directory that could not be removed
    return int(scene.journal.rows.remove_run(number))


def half_removed(scene: Scene, directory: str) -> Iterator[Item]:
    """Yields what an earlier removal that was cut short left."""
    top = scene.opened(directory)
    if top is None:
        return
    with top:
        for name in sorted(top.names()):
            if name.startswith(GONE):
                yield Item(name, size_of(top, name), "half removed", partial(remove_at, scene, directory, name))
