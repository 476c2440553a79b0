"""What training has logged, while it goes on too: the MLflow runs of a run of Podium's, and the history of a metric.

A SQLite store is read by itself, without MLflow: a screen asks every few seconds. A server is asked over REST.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..domain.models import TAG_KEY, TAG_RUN, MetricPoint
from ..domain.project import Mlflow
from ..errors import NotFound, Unreachable
from .store import TrackedRun, sqlite_file

if TYPE_CHECKING:
    from .rest import RestRegistry

T = TypeVar("T")

MOST_POINTS = 2_000
"""Points that are kept of a history: more than the columns of any terminal."""
MOST_RUNS = 100
_BUSY_TIMEOUT = 1.0
_CHUNK = 10_000
_RUNS = (
    "SELECT run_uuid, experiment_id, status, start_time, end_time, artifact_uri FROM runs WHERE lifecycle_stage ="
    " 'active' AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?) ORDER BY start_time LIMIT ?"
)
_ONE = (
    "SELECT run_uuid, experiment_id, status, start_time, end_time, artifact_uri FROM runs WHERE lifecycle_stage ="
    " 'active' AND run_uuid = ?"
)
_VALUES: Mapping[str, str] = {
    "params": "SELECT key, value FROM params WHERE run_uuid = ?",
    "tags": "SELECT key, value FROM tags WHERE run_uuid = ?",
}
_LATEST = "SELECT key, CASE WHEN is_nan THEN NULL ELSE value END FROM latest_metrics WHERE run_uuid = ?"
_HISTORY = (
    "SELECT step, timestamp, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics WHERE run_uuid = ? AND key = ?"
    " ORDER BY step, timestamp"
)


def runs_of(mlflow: Mlflow, state: Path, steps: Mapping[str, int]) -> list[TrackedRun]:
    """Returns the MLflow runs that steps started, the oldest first, finished or not; at most MOST_RUNS. `steps` has a
    step's key -> the run that executed it: numbers of runs alone are other projects' too, on a server. Raises
    Unreachable if the store does not answer, or is neither SQLite nor a server."""
    numbers = sorted(set(steps.values()))
    path = sqlite_file(mlflow.tracking_uri)
    if path is not None:
        found = [each for number in numbers for each in _runs_in(path, number)] if path.exists() else []
    else:
        with server(mlflow, state) as registry:
            found = [each for number in numbers for each in registry.runs_of(mlflow.experiment, number, set(steps))]
    ours = [each for each in found if str(steps.get(each.tags.get(TAG_KEY, ""))) == each.tags.get(TAG_RUN)]
    return sorted(ours, key=lambda run: run.started)[:MOST_RUNS]


def run(mlflow: Mlflow, state: Path, mlflow_run: str) -> TrackedRun:
    """Returns one MLflow run. Raises NotFound if it is gone, and what `runs_of` does."""
    path = sqlite_file(mlflow.tracking_uri)
    if path is not None:
        found = _run_in(path, mlflow_run) if path.exists() else None
        if found is None:
            raise NotFound(f"the MLflow run {mlflow_run} is gone", hint="it was deleted from the tracking store")
        return found
    with server(mlflow, state) as registry:
        return registry.run(mlflow_run)


def history(mlflow: Mlflow, state: Path, mlflow_run: str, metric: str) -> list[MetricPoint]:
    """Returns what a run has logged of a metric, by step and then by time, thinned to MOST_POINTS."""
    path = sqlite_file(mlflow.tracking_uri)
    if path is not None:
        return _history_in(path, mlflow_run, metric) if path.exists() else []
    with server(mlflow, state) as registry:
        return thinned(registry.metric_history(mlflow_run, metric))


def thinned(points: Sequence[MetricPoint], most: int = MOST_POINTS) -> list[MetricPoint]:
    """Returns at most `most` points: of each stretch the least and the greatest, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    middle = points[1:-1]
    stretches = max(1, most // 2 - 1)
    found: list[MetricPoint] = [points[0]]
    for number in range(stretches):
        part = middle[number * len(middle) // stretches : (number + 1) * len(middle) // stretches]
        measured = [point for point in part if point.value == point.value] or list(part[:1])
        ends = {id(each): each for each in (min(measured, key=_value), max(measured, key=_value))}
        found += sorted(ends.values(), key=lambda point: (point.step, point.at))
    return [*found[: most - 1], points[-1]]


def _value(point: MetricPoint) -> float:
    return point.value if point.value == point.value else -math.inf


@contextmanager
def server(mlflow: Mlflow, state: Path) -> Generator[RestRegistry]:
    """Opens the tracking server. Raises Unreachable for a store without one."""
    if mlflow.embedded:
        raise Unreachable(
            "what training logs is read from SQLite stores and from MLflow servers, not from this store",
            hint="set mlflow.tracking_uri to sqlite:///… or to a server",
        )
    from .naming import require_server
    from .rest import RestRegistry

    require_server(mlflow, state)
    with closing(RestRegistry(mlflow, state)) as registry:
        yield registry


# SQLite


def _runs_in(path: Path, run_id: int) -> list[TrackedRun]:
    def read(connection: sqlite3.Connection) -> list[TrackedRun]:
        rows = connection.execute(_RUNS, (TAG_RUN, str(run_id), MOST_RUNS)).fetchall()
        return [_run(connection, row) for row in rows]

    return _asked(path, read)


def _run_in(path: Path, mlflow_run: str) -> TrackedRun | None:
    def read(connection: sqlite3.Connection) -> TrackedRun | None:
        row = connection.execute(_ONE, (mlflow_run,)).fetchone()
        return None if row is None else _run(connection, row)

    return _asked(path, read)


def _run(connection: sqlite3.Connection, row: Sequence[Any]) -> TrackedRun:
    number, experiment, status, started, ended, artifacts = row
    tables = {name: dict(connection.execute(query, (number,))) for name, query in _VALUES.items()}
    metrics = {str(key): _real(value) for key, value in connection.execute(_LATEST, (number,))}
    return TrackedRun(
        str(number),
        str(experiment),
        str(status or ""),
        (started or 0) / 1000,
        ended / 1000 if ended else None,
        metrics,
        {str(key): str(value) for key, value in tables["params"].items()},
        {str(key): str(value) for key, value in tables["tags"].items()},
        str(artifacts or ""),
    )


def _history_in(path: Path, mlflow_run: str, metric: str) -> list[MetricPoint]:
    def read(connection: sqlite3.Connection) -> list[MetricPoint]:
        rows = connection.execute(_HISTORY, (mlflow_run, metric))
        points: list[MetricPoint] = []
        while chunk := rows.fetchmany(_CHUNK):  # in parts: a screen waits for its keys meanwhile
            points += _points(chunk)
        return points

    return thinned(_asked(path, read))


def _points(rows: Iterable[Sequence[Any]]) -> list[MetricPoint]:
    return [MetricPoint(int(step or 0), (at or 0) / 1000, _real(value)) for step, at, value in rows]


def _real(value: Any) -> float:
    return math.nan if value is None else float(value)


def _asked(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT)) as connection:
            return read(connection)
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise Unreachable(
            f"the MLflow store {path} cannot be read: {error}", hint="`podium doctor` says how the store is"
        ) from error
