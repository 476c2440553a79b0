"""What became of a version in traffic: images, deployments, canaries, alerts, retrainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf
from typing import Any

from ...delivery.environment.served_at import stops
from ...domain.delivery import Deployment, DeploymentState
from ...domain.evidence.story import Cell, Section, Table
from ...domain.rollout import RolloutState
from ...domain.text.format import moment
from ..subject import Subject

_MOST_EVENTS = 20_000
_Span = tuple[str, float, float | None]
"""An environment, since when, and until when the version served there; None for until now."""


def images(subject: Subject) -> Section:
    """Returns the images of the version on every engine."""
    found = subject.journal.images.of(subject.model, subject.number)
    if not found:
        return Section("images", "Images", (("images", "none is known: it served as processes, or not at all"),))
    columns = (
        "engine",
        "image",
        "registry's digest",
        "base",
        "layer of the model",
        "bytes",
        "built",
        "run",
        "bill of materials",
    )
    rows = tuple(
        (
            each.engine,
            each.image_id,
            each.reference if each.digest else None,
            each.base or None,
            each.model_layer or None,
            each.size,
            moment(each.built),
            each.run_id,
            each.sbom or None,
        )
        for each in found
    )
    missing = [f"the image on {each.engine} has no bill of materials" for each in found if not each.sbom]
    return Section("images", "Images", tables=(Table("images", "Images", columns, rows),), missing=tuple(missing))


def traffic(subject: Subject) -> Section:
    """Returns when the version served where, and every deployment that brought it or took it away."""
    rows = subject.journal.ledger.about(subject.model, subject.number)
    columns = (
        "deployment",
        "environment",
        "how",
        "state",
        "from",
        "to",
        "who",
        "why",
        "forced",
        "strategy",
        "began",
        "ended",
        "run",
        "words",
    )
    deployments = Table("deployments", "Deployments", columns, tuple(_deployment(row) for row in rows))
    served = Table(
        "served",
        "When it served",
        ("environment", "from", "to"),
        tuple((name, moment(start), moment(end)) for name, start, end in spans(subject)),
    )
    canaries = Table(
        "canaries",
        "Canaries",
        ("deployment", "share in percent", "from", "to", "verdict", "requests", "analysis", "how it went on"),
        tuple(_canaries(rows)),
    )
    missing = [] if rows else ["it was deployed nowhere, or its rows were sealed (`retain.ledger`)"]
    if subject.journal.segments.all("ledger"):
        missing.append("older rows of the ledger are sealed in .podium/sealed/ and not repeated here")
    tables = tuple(each for each in (served, deployments, canaries) if each.rows)
    return Section("traffic", "Traffic", tables=tables, missing=tuple(missing))


def _deployment(row: Deployment) -> tuple[Cell, ...]:
    return (
        row.id,
        row.environment,
        row.how.value,
        row.state.value,
        None if row.from_version is None else f"v{row.from_version}",
        f"v{row.to_version}",
        row.who,
        row.why or None,
        "forced" if row.forced else None,
        row.strategy or None,
        moment(row.at),
        moment(row.ended),
        row.run_id,
        row.message or None,
    )


def _canaries(rows: list[Deployment]) -> Iterator[tuple[Cell, ...]]:
    """Yields each stage that is over, and the one that a canary is at."""
    for row in rows:
        state = RolloutState.from_json(row.data)
        for stage in state.stages:
            yield (row.id, *_stage(stage), _text(stage.get("outcome")))
        if state.canary is not None:
            yield (row.id, *_stage(state.canary), "it is at this stage now")
        elif row.strategy == "canary" and state.share is not None and not state.stages:
            yield (row.id, state.share, None, None, None, None, "not recorded", None)


def _stage(stage: Mapping[str, Any]) -> tuple[Cell, ...]:
    found: list[dict[str, Any]] = stage.get("results") or []
    words = "; ".join(str(each.get("message") or each.get("name")) for each in found)
    number = stage.get("requests")
    return (
        stage.get("share"),
        moment(stage.get("since")),
        moment(stage.get("until")),
        _text(stage.get("verdict")),
        number if isinstance(number, int) else None,
        words or "nothing was analysed",
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def spans(subject: Subject) -> tuple[_Span, ...]:
    """Returns where and when the version served, in order: from the end of the deployment that brought it to that of
    the next one in the same environment, or until it was stopped."""
    found: list[_Span] = []
    for name in {row.environment for row in subject.journal.ledger.about(subject.model, subject.number)}:
        # A clock that was ahead has rows from a time that has not come yet.
        rows = subject.journal.ledger.between(name, -inf, inf, limit=100_000)
        rows = [row for row in rows if row.state is DeploymentState.SUCCEEDED]
        ends = sorted(entry.at for entry in stops(subject.journal, name))
        for row, after in pairwise([*rows, None]):
            if row is not None and row.to_version == subject.number and row.model == subject.model:
                began, left = row.ended or row.at, None if after is None else after.ended or after.at
                stop = next((at for at in ends if at >= began and (left is None or at < left)), left)
                found.append((name, began, stop))
    return tuple(sorted(found, key=lambda span: (span[1], span[0])))


def alerts(subject: Subject) -> Section:
    """Returns the changes of alerts while the version served."""
    during = spans(subject)
    known = subject.journal.alerts.recent(_MOST_EVENTS)
    events = [each for each in known if _within(during, each.environment, each.at)]
    columns = ("alert", "environment", "monitor", "state", "time", "value", "shown", "threshold", "words")
    rows = tuple(
        (
            *(e.name, e.environment, e.monitor, e.state, moment(e.at)),
            *(e.value, e.shown or None, e.threshold or None, e.message or None),
        )
        for e in reversed(events)
    )
    tables = (Table("alerts", "Changes of alerts while it served", columns, rows),) if rows else ()
    missing = _cut("changes of alerts", [each.at for each in known], during)
    return Section("alerts", "Alerts", (("changes while it served", len(rows)),), tables, missing=missing)


def _cut(what: str, times: Sequence[float], during: tuple[_Span, ...]) -> tuple[str, ...]:
    """Returns what to say where only the newest of many were read, and the version served before those."""
    if len(times) < _MOST_EVENTS or not during or during[0][1] >= times[-1]:
        return ()
    return (f"only the newest {_MOST_EVENTS} {what} of the project were looked through: since {moment(times[-1])}",)


def feedback(subject: Subject) -> Section:
    """Returns what the feedback loop did while the version served, and the entry that brought it."""
    during = spans(subject)
    known = subject.journal.loops.recent(_MOST_EVENTS)
    found = [each for each in known if each.version == subject.number or _within(during, each.environment, each.at)]
    columns = ("alert", "environment", "pipeline", "mode", "state", "time", "run", "delivered", "words")
    rows = tuple(
        (
            e.alert,
            e.environment,
            e.pipeline,
            e.mode or None,
            e.state.value,
            moment(e.at),
            e.run,
            None if e.version is None else f"v{e.version}",
            e.why or None,
        )
        for e in reversed(found)
    )
    tables = (Table("loop", "Retrainings that alerts have started", columns, rows),) if rows else ()
    missing = _cut("entries of the loop", [each.at for each in known], during)
    return Section("feedback", "Retrainings", (("started by alerts", len(rows)),), tables, missing=missing)


def _within(during: tuple[_Span, ...], environment: str, at: float) -> bool:
    return any(name == environment and start <= at <= (end or at) for name, start, end in during)
