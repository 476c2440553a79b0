"""Monitors of age: how long ago the version that serves was made, or the data was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..domain.monitoring import Measurement
from ..domain.text.format import moment as written
from .moment import Moment, NoData

# A directory with more files than this is looked at in part.
MAX_FILES = 20_000


def measure(moment: Moment) -> Measurement:
    """Returns the age of the model, or of data by the time of its newest file, in seconds. Raises NoData where there
    is none."""
    return _model(moment) if moment.monitor.measure == "model" else _data(moment)


def _model(moment: Moment) -> Measurement:
    moment.require_service()
    assert moment.version is not None
    version = moment.journal.versions.get(moment.model, moment.version)
    if version is None or not version.created:
        raise NoData(f"when version {moment.version} was made is not known: the registry was not read yet")
    return aged(moment, version.created)


def _data(moment: Moment) -> Measurement:
    path = moment.project.root / moment.monitor.path
    times: list[float] = []
    for at in _changes(path):
        times.append(at)
        if len(times) == MAX_FILES:
            break
    if not times:
        raise NoData(f"{moment.monitor.path} is not there" if not path.exists() else f"{moment.monitor.path} is empty")
    warnings = (f"only {MAX_FILES:,} of its files were looked at",) if len(times) == MAX_FILES else ()
    return aged(moment, max(times), warnings)


def aged(moment: Moment, at: float, warnings: tuple[str, ...] = ()) -> Measurement:
    """Returns the measurement of something that was made at `at` (seconds since the epoch)."""
    if at > moment.now:
        warnings = (*warnings, f"its time lies ahead: {written(at)}")
    return moment.measured(max(0.0, moment.now - at), end=at, warnings=warnings)


def _changes(path: Path) -> Iterator[float]:
    """Yields when each file was written, of one file or of those in a directory; links are not followed."""
    if not path.is_dir():
        if path.exists():
            yield path.stat().st_mtime
        return
    for top, _, names in os.walk(path, onerror=_unread):
        for name in names:
            try:
                yield (Path(top) / name).lstat().st_mtime
            except FileNotFoundError:
                continue  # removed meanwhile


def _unread(error: OSError) -> None:
    """Raises what keeps a directory from being read, unless it was removed meanwhile: its files may be the newest."""
    if not isinstance(error, FileNotFoundError):
        raise error
