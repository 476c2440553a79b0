"""The board: is it what podium.yaml declares, does it run, and is the model well? One row for each environment and each
infrastructure, three answers each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from ..delivery import Condition, EnvironmentStatus
from ..frozen import Frozen
from ..monitoring import AlertState, AlertStatus
from ..text import format as fmt
from ..verdicts import Source, VersionVerdict
from .declared import Declared, DeclaredState
from .plan import InfraStatus


class Mark(StrEnum):
    """An answer in one word. Commands print the names, so names are only ever added."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    """Nobody has looked, there is no data, or it is just being changed."""
    NONE = "none"
    """The question does not arise."""


class Answer(Frozen):
    """One answer."""

    mark: Mark
    words: str


class BoardRow(Frozen):
    """How one environment or infrastructure is."""

    kind: str
    """`environment` or `infra`."""
    name: str
    declared: Answer
    """Whether it is what podium.yaml declares."""
    real: Answer
    """Whether what should run does; of infrastructure, whether it is still as it was applied."""
    model: Answer
    """Whether the version that serves is well, by alerts and verdicts."""
    protected: bool = False

    @property
    def answers(self) -> tuple[Answer, Answer, Answer]:
        return self.declared, self.real, self.model

    @property
    def mark(self) -> Mark:
        """Returns the worst of its answers."""
        marks = [answer.mark for answer in self.answers]
        return next((mark for mark in (Mark.BAD, Mark.UNKNOWN, Mark.GOOD) if mark in marks), Mark.NONE)


_DECLARED = {
    DeclaredState.AS_DECLARED: Mark.GOOD,
    DeclaredState.DIFFERS: Mark.BAD,
    DeclaredState.STOPPED: Mark.NONE,
    DeclaredState.EMPTY: Mark.UNKNOWN,
}
_REAL = {
    Condition.HEALTHY: Mark.GOOD,
    Condition.DIFFERS: Mark.BAD,
    Condition.DOWN: Mark.BAD,
    Condition.UNREACHABLE: Mark.UNKNOWN,
    Condition.EMPTY: Mark.NONE,
    Condition.STOPPED: Mark.NONE,
}
_NEVER_LOOKED = "nobody has looked whether it is still so"


def of_environment(
    declared: Declared,
    status: EnvironmentStatus,
    alerts: Iterable[AlertStatus],
    verdicts: Sequence[VersionVerdict],
    now: float,
) -> BoardRow:
    """Returns the row of an environment. `verdicts` are those of the version that serves, the last word first."""
    mine = [alert for alert in alerts if alert.environment == status.name]
    return BoardRow(
        "environment",
        status.name,
        Answer(_DECLARED[declared.state], declared.words),
        _real(status),
        _model(status, mine, verdicts, now),
        status.protected,
    )


def of_infra(declared: Declared, status: InfraStatus, now: float) -> BoardRow:
    """Returns the row of an infrastructure, by what is known of it without asking its tool."""
    state = status.state()
    mark = Mark.BAD if declared.differs else Mark.UNKNOWN if state in ("unknown", "applying") else Mark.GOOD
    return BoardRow(
        "infra", status.name, Answer(mark, declared.words), _drift(status, now), Answer(Mark.NONE, "has no model")
    )


def _drift(status: InfraStatus, now: float) -> Answer:
    if status.drifted is None or status.drift_at is None:
        return Answer(Mark.UNKNOWN, _NEVER_LOOKED)
    looked = f"looked at {fmt.ago(status.drift_at, now)}"
    if not status.drifted:
        return Answer(Mark.GOOD, f"as it was applied, {looked}")
    return Answer(Mark.BAD, f"{fmt.count(len(status.drifted), 'resource')} drifted, {looked}")


def _real(status: EnvironmentStatus) -> Answer:
    health = status.health
    if health.condition is Condition.STOPPED and status.stopped is None:
        return Answer(Mark.BAD, "nothing runs, and nobody has said that it should not")
    words = status.differences[0].words if health.condition is Condition.DIFFERS else health.words
    more = len(status.differences) - 1 if health.condition is Condition.DIFFERS else 0
    return Answer(_REAL.get(health.condition, Mark.UNKNOWN), f"{words}, and {more} more" if more else words)


def _model(
    status: EnvironmentStatus, alerts: Sequence[AlertStatus], verdicts: Sequence[VersionVerdict], now: float
) -> Answer:
    if status.serving is None or status.stopped is not None:
        return Answer(Mark.NONE, "nothing serves")
    version = f"v{status.serving}"
    firing = [alert for alert in alerts if alert.firing]
    if firing:
        more = f", and {len(firing) - 1} more" if len(firing) > 1 else ""
        return Answer(Mark.BAD, f"{version}: {firing[0].name} fires, {firing[0].words(now)}{more}")
    if verdicts and verdicts[0].source in (Source.QUARANTINE, Source.ROLLBACK):
        return Answer(Mark.BAD, f"{version} is {verdicts[0].word}")
    if not alerts:
        return Answer(Mark.UNKNOWN, f"{version}: no alert of podium.yaml watches it")
    dark = [alert for alert in alerts if alert.absent or alert.state is AlertState.NO_DATA]
    pending = [alert for alert in alerts if alert.state is AlertState.PENDING]
    if pending or dark:
        why = f"{pending[0].name} is pending" if pending else f"{dark[0].name} has no data"
        return Answer(Mark.UNKNOWN, f"{version}: {why}")
    return Answer(Mark.GOOD, f"{version}, {fmt.count(len(alerts), 'alert')} quiet")
