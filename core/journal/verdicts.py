"""Reads what versions met on their way from the rows of gates, deployments and quarantine: there is no table of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..domain.rollout import RolloutState
from ..domain.verdicts import CANARY_ABORTED, CANARY_ENDS, Source, Verdict, VersionVerdict, in_order
from .sqlite.database import Database, Row
from .sqlite.rows import names_damage

# How many of the newest deployments, of all environments, are looked at.
MAX_DEPLOYMENTS = 500
# The name of a replay's report begins with this; no gate can have such a name.
REPLAY_PREFIX = "replay:"

# ?1 model, ?2 and ?3 the first and the last version. Of each gate the last report counts. A version is quarantined too
# where another one of its commit is.
_GATES = """
SELECT 'gate', version, at, json_extract(report, '$.verdict'), gate, '', '', '', json_extract(report, '$.run_id'),
  json_extract(report, '$.champion'), '', '' FROM gates WHERE id IN
  (SELECT max(id) FROM gates WHERE model = ?1 AND version BETWEEN ?2 AND ?3 GROUP BY version, gate)
"""
_DEPLOYMENTS = f"""
SELECT 'deployment', to_version, coalesce(ended, at), state, how, environment, who, message, run_id, from_version,
  strategy, CASE WHEN strategy = 'canary' THEN data ELSE why END
  FROM deployments WHERE model = ?1 AND state IN ('succeeded', 'failed')
  AND id > (SELECT coalesce(max(id), 0) - {MAX_DEPLOYMENTS} FROM deployments)
  AND (to_version BETWEEN ?2 AND ?3 OR from_version BETWEEN ?2 AND ?3)
"""  # noqa: S608 - a constant number
_QUARANTINE = """
SELECT 'quarantine', version, at, 'fail', '', '', who, why, NULL, NULL, '', ''
  FROM quarantine WHERE model = ?1 AND version BETWEEN ?2 AND ?3
UNION ALL
SELECT 'quarantine', v.version, q.at, 'fail', '', '', q.who,
  'version ' || q.version || ' of the same commit: ' || q.why, NULL, NULL, '', ''
  FROM quarantine q JOIN versions v ON v.model = q.model AND v."commit" = q."commit" AND v.version <> q.version
  WHERE q.model = ?1 AND q."commit" <> '' AND v.version BETWEEN ?2 AND ?3
  AND NOT EXISTS (SELECT 1 FROM quarantine own WHERE own.model = q.model AND own.version = v.version)
"""
_ALL = " UNION ALL ".join((_GATES, _DEPLOYMENTS, _QUARANTINE))
_MAX_VERSION = (1 << 63) - 1


class Verdicts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, model: str, version: int) -> tuple[VersionVerdict, ...]:
        """Returns the verdicts about one version, the last word first."""
        return self.between(model, version, version).get(version, ())

    def between(self, model: str, first: int = 0, last: int = _MAX_VERSION) -> Mapping[int, tuple[VersionVerdict, ...]]:
        """Returns version -> its verdicts, the last word first, in one query; a version without any is left out."""
        found: dict[int, list[VersionVerdict]] = defaultdict(list)
        for row in self._database.all(_ALL, (model, first, last)):
            for each in _read(row):
                if first <= each.version <= last:
                    found[each.version].append(each)
        return {version: in_order(verdicts) for version, verdicts in found.items()}


@names_damage("a verdict on version", key=1, numbers=(1, 2))
def _read(row: Row) -> tuple[VersionVerdict, ...]:
    return tuple(_each(row))


def _each(row: Row) -> Iterator[VersionVerdict]:
    kind, version, at, verdict, name, environment, who, words, run_id, other = row[:10]
    if kind == "deployment":
        yield from _of_deployment(row)
        return
    source, environment = Source(kind), environment
    if name.startswith(REPLAY_PREFIX):
        source, environment, name = Source.REPLAY, name.removeprefix(REPLAY_PREFIX), ""
    yield VersionVerdict(version, source, Verdict(verdict), at, environment, name, other, who, words, run_id)


def _of_deployment(row: Row) -> Iterator[VersionVerdict]:
    """Yields what a finished deployment says of the version that it brought, and a rollback of the one that it left."""
    _, version, at, state, how, environment, who, message, run_id, left, strategy, data = row

    def said(number: int, source: Source, verdict: Verdict, words: str = "") -> VersionVerdict:
        return VersionVerdict(number, source, verdict, at, environment, who=who, words=words, run_id=run_id)

    if state == "failed":
        if message.startswith(CANARY_ENDS):
            verdict = Verdict.ERROR if message.startswith(f"{CANARY_ENDS} {Verdict.ERROR} ") else Verdict.FAIL
            yield said(version, Source.CANARY, verdict, message)
        elif strategy == "canary" and message.startswith(CANARY_ABORTED):
            yield said(version, Source.CANARY, Verdict.FAIL, message)
        else:
            yield said(version, Source.ROLLOUT, Verdict.ERROR, message)
        return
    watched = strategy == "canary" and _compared(data)
    yield said(version, Source.CANARY if watched else Source.ROLLOUT, Verdict.PASS)
    if left is not None and not isinstance(left, int):
        raise ValueError(f"{left!r:.60} is not a version")
    if how == "rollback" and left not in (None, version):
        yield said(left, Source.ROLLBACK, Verdict.FAIL, data)


def _compared(data: str) -> bool:
    """Tells whether something else had traffic before a canary: without that, all of it moved at once, unwatched."""
    return bool(data) and any(RolloutState.from_json(json.loads(data)).weights_before.values())
