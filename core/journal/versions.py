"""A snapshot of the registry, so that screens and commands need neither MLflow nor its server to show it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..domain.models import MetricPoint, Model, Version
from ..domain.verdicts import Verdict
from . import telling
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

_COLUMNS = (
    'model, version, created, status, aliases, mlflow_run, source, "commit", run_id, digest, verdict, metrics, params,'
    " tags, description"
)
# Metric histories are a cache of what MLflow holds: the ones read longest ago go first.
_MAX_HISTORIES = 5000
# How much of a commit's hash names it.
MIN_COMMIT_LENGTH = 7
# What fits into SQLite's integers.
_MAX_NUMBER = 1 << 63


@names_damage("version", key=1, numbers=(1, 2))
def _version(row: Row) -> Version:
    fields = list(row)
    fields[4], fields[10] = _aliases((row[1], row[4])), Verdict(row[10]) if row[10] else None
    fields[11:14] = (json.loads(column) for column in row[11:14])
    return Version(*fields)


@names_damage("the history of a metric:")
def _points(row: Row) -> list[MetricPoint]:
    return [MetricPoint(int(step), float(at), float(value)) for step, at, value in json.loads(row[0])]


@names_damage("version")
def _aliases(row: Row) -> tuple[str, ...]:
    """Returns the aliases of (number, column)."""
    return tuple(json.loads(row[1]))


def _row(one: Version) -> Row:
    return (
        one.model,
        one.version,
        one.created,
        one.status,
        json.dumps(list(one.aliases)),
        one.mlflow_run,
        one.source,
        one.commit,
        one.run_id,
        one.digest,
        str(one.verdict) if one.verdict else None,
        json.dumps(dict(one.metrics)),
        json.dumps(dict(one.params)),
        json.dumps(dict(one.tags)),
        one.description,
    )


class Versions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, model: str, versions: Sequence[Version], fingerprint: str) -> None:
        """The whole truth about a model, as of the registry's state that `fingerprint` stands for."""
        with self._database.transaction():
            self._tell_of_new(versions)
            self._database.run("DELETE FROM versions WHERE model = ?", (model,))
            self._insert(versions)
            self._database.run("INSERT OR REPLACE INTO models VALUES (?,?,?)", (model, fingerprint, time.time()))

    def update(self, version: Version) -> None:
        """One version as it is now. An alias that it carries is taken from the versions that had it: an alias names
        one version only."""
        with self._database.transaction():
            self._tell_of_new([version])
            self._database.run("INSERT OR IGNORE INTO models VALUES (?,'',?)", (version.model, time.time()))
            for other in self._with_aliases(version.model) if version.aliases else ():
                kept = tuple(alias for alias in other.aliases if alias not in version.aliases)
                if other.version != version.version and kept != other.aliases:
                    self._insert([replace(other, aliases=kept)])
            self._insert([version])

    def _tell_of_new(self, versions: Sequence[Version]) -> None:
        """Notes for the Git host that there is a version which was not here before."""
        newest = max(versions, key=lambda each: each.version, default=None)
        if newest is not None and self.get(newest.model, newest.version) is None:
            telling.about_versions(self._database)

    def seen(self, model: str, fingerprint: str) -> None:
        """The snapshot of a model also shows this state of the registry."""
        self._database.run("UPDATE models SET fingerprint = ? WHERE name = ?", (fingerprint, model))

    def remove(self, model: str) -> None:
        """Forgets a model that the registry does not have any more."""
        with self._database.transaction():
            self._database.run("DELETE FROM versions WHERE model = ?", (model,))
            self._database.run("DELETE FROM models WHERE name = ?", (model,))

    def of(self, model: str) -> list[Version]:
        """All versions of a model, newest first."""
        sql = f"SELECT {_COLUMNS} FROM versions WHERE model = ? ORDER BY version DESC"  # noqa: S608 - constant columns
        return [_version(row) for row in self._database.all(sql, (model,))]

    def get(self, model: str, version: int) -> Version | None:
        """Returns one version, None when the registry has none of that number."""
        if not 0 <= version < _MAX_NUMBER:
            return None
        row = self._database.one(f"SELECT {_COLUMNS} FROM versions WHERE model = ? AND version = ?", (model, version))  # noqa: S608
        return _version(row) if row else None

    def aliases(self, model: str) -> dict[str, int]:
        """Returns alias -> version number."""
        rows = self._database.all(
            "SELECT version, aliases FROM versions WHERE model = ? AND aliases <> '[]' ORDER BY version DESC", (model,)
        )
        return {alias: version for version, written in rows for alias in _aliases((version, written))}

    def count(self, model: str) -> int:
        """Returns how many versions of the model the registry has."""
        row = self._database.one("SELECT count(*) FROM versions WHERE model = ?", (model,))
        return int(row[0]) if row else 0

    def any(self, model: str) -> bool:
        """Returns whether the registry has any version of the model."""
        return self._database.one("SELECT 1 FROM versions WHERE model = ? LIMIT 1", (model,)) is not None

    def named(self, model: str, text: str) -> Version | None:
        """Returns the newest version that has the alias `text`, or was made from a commit that begins with it (seven
        characters or more)."""
        row = self._database.one(
            'SELECT max(version) FROM versions WHERE model = ?1 AND length(?2) >= ?3 AND substr("commit", 1,'
            " length(?2)) = ?2",
            (model, text, MIN_COMMIT_LENGTH),
        )
        found = [number for number in (row[0] if row else None, self.aliases(model).get(text)) if number is not None]
        return self.get(model, max(found)) if found else None

    def matching(self, model: str, text: str) -> list[Version]:
        """Returns the versions that have the alias `text`, or were made from a commit that begins with it (seven
        characters or more), newest first."""
        rows = self._database.all(
            'SELECT version FROM versions WHERE model = ?1 AND length(?2) >= ?3 AND substr("commit", 1, length(?2))'
            " = ?2",
            (model, text, MIN_COMMIT_LENGTH),
        )
        numbers = {int(row[0]) for row in rows}
        carrier = self.aliases(model).get(text)
        return self.some(model, numbers if carrier is None else numbers | {carrier})

    def made_from(self, model: str, commits: Iterable[str]) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
        """Returns commit -> the versions that were made from it, newest first, each with its aliases."""
        rows = self._database.all(
            'SELECT "commit", version, aliases FROM versions WHERE model = ? AND "commit" IN (SELECT value FROM'
            " json_each(?)) ORDER BY version DESC",
            (model, json.dumps(list(commits))),
        )
        found: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
        for commit, version, aliases in rows:
            found.setdefault(commit, []).append((version, _aliases((version, aliases))))
        return found

    def some(self, model: str, numbers: Iterable[int]) -> list[Version]:
        """Returns the versions of these numbers that the registry has, newest first."""
        found = (self.get(model, number) for number in sorted(numbers, reverse=True))
        return [version for version in found if version is not None]

    def made_by(self, model: str, run_id: int) -> list[Version]:
        """Returns the versions that a run made, newest first."""
        sql = f"SELECT {_COLUMNS} FROM versions WHERE model = ? AND run_id = ? ORDER BY version DESC"  # noqa: S608
        return [_version(row) for row in self._database.all(sql, (model, run_id))]

    def models(self) -> list[Model]:
        """Every model, by name; one without versions too."""
        aliases: dict[str, dict[str, int]] = {}
        for name, version, written in self._database.all(
            "SELECT model, version, aliases FROM versions WHERE aliases <> '[]'"
        ):
            for alias in _aliases((version, written)):
                aliases.setdefault(name, {})[alias] = version
        rows = self._database.all(
            "SELECT name, count(version), max(version), models.updated FROM models LEFT JOIN versions ON model = name"
            " GROUP BY name ORDER BY name"
        )
        return [Model(name, number, latest, aliases.get(name, {}), updated) for name, number, latest, updated in rows]

    def fingerprint(self, model: str) -> str | None:
        """The registry's state that the snapshot shows; None when there is no whole snapshot."""
        row = self._database.one("SELECT fingerprint FROM models WHERE name = ?", (model,))
        return (str(row[0]) or None) if row else None

    def put_history(self, mlflow_run: str, metric: str, points: Iterable[MetricPoint]) -> None:
        written = json.dumps([(point.step, point.at, point.value) for point in points])
        with self._database.transaction():
            self._database.run(
                "INSERT OR REPLACE INTO histories VALUES (?,?,?,?)", (mlflow_run, metric, time.time(), written)
            )
            self._database.run(
                "DELETE FROM histories WHERE rowid IN (SELECT rowid FROM histories ORDER BY stored DESC LIMIT -1"
                " OFFSET ?)",
                (_MAX_HISTORIES,),
            )

    def history(self, mlflow_run: str, metric: str) -> list[MetricPoint]:
        row = self._database.one(
            "SELECT points FROM histories WHERE mlflow_run = ? AND metric = ?", (mlflow_run, metric)
        )
        return _points(row) if row else []

    def _with_aliases(self, model: str) -> list[Version]:
        sql = f"SELECT {_COLUMNS} FROM versions WHERE model = ? AND aliases <> '[]'"  # noqa: S608
        return [_version(row) for row in self._database.all(sql, (model,))]

    def _insert(self, versions: Sequence[Version]) -> None:
        self._database.many(
            f"INSERT OR REPLACE INTO versions ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
            [_row(one) for one in versions],
        )
