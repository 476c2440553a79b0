"""Monitors and alerts: what was measured of what serves, what is made of it, and who was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from .frozen import Frozen
from .text import format as fmt


class MonitorKind(StrEnum):
    """What a monitor measures; the key of podium.yaml that makes it one."""

    SIGNAL = "signal"
    """A live signal: requests, errors, latency, CPU, memory, restarts."""
    DRIFT = "drift"
    """The distance of inputs or predictions from a reference."""
    DATA = "data"
    """The share of requests whose inputs violate what the reference holds: missing, unseen, out of range, of another
    type."""
    QUALITY = "quality"
    """A gate's metric on labelled requests."""
    ESTIMATE = "estimate"
    """A metric estimated without labels."""
    FRESHNESS = "freshness"
    """The age of the model or of its data, in seconds."""
    LABELS = "labels"
    """The share of requests that have a label, or the time that labels take."""
    INFRA = "infra"
    """How many resources of infrastructure differ from what was applied."""


class Histogram(Frozen):
    """Two distributions of one column over the same bins. `edges` has one entry more than the shares of a number's
    column; `names` has one entry per share of a column of categories."""

    reference: tuple[float, ...]
    """Shares, which sum to 1."""
    current: tuple[float, ...]
    """Shares, which sum to 1."""
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


class ColumnMeasurement(Frozen):
    """One column of a measurement of drift or data."""

    column: str
    value: float | None
    """None where the column could not be measured; then `message` says why."""
    critical: float | None = None
    """The value that no more than the stated rate of windows of the reference exceed, after Holm's correction."""
    p_value: float | None = None
    """Of the column by itself, before the correction; 0..1."""
    histogram: Histogram | None = None
    message: str = ""

    @property
    def beyond(self) -> bool:
        """Whether the value is beyond its critical value, where it has one."""
        return self.value is not None and self.critical is not None and self.value > self.critical


class Measurement(Frozen):
    """One evaluation of a monitor. Without enough data there is a measurement too, without a value."""

    monitor: str
    environment: str
    kind: MonitorKind
    at: float
    """When it was evaluated, in seconds since the epoch."""
    value: float | None
    """None for no data; then `message` says why."""
    start: float | None = None
    """The time of the first request of the window, in seconds since the epoch; also `end`, of the last."""
    end: float | None = None
    rows: int = 0
    """How many requests were measured."""
    low: float | None = None
    """Lower bound of the 95 % interval of `value`, where it has one; also `high`."""
    high: float | None = None
    critical: float | None = None
    """What `value` is compared with where the alert states a rate of false alarms; None for fixed bands."""
    p_value: float | None = None
    """The chance of a value like this without any change, 0..1, corrected for the number of columns."""
    baseline: float | None = None
    """The value when the version was promoted, where there is one."""
    version: int | None = None
    """The version that served; None where the window has several."""
    columns: tuple[ColumnMeasurement, ...] = ()
    warnings: tuple[str, ...] = ()
    """Why the value may not hold, in words."""
    message: str = ""

    @property
    def beyond(self) -> bool:
        """Whether the value is beyond its critical value, where it has one."""
        return self.value is not None and self.critical is not None and self.value > self.critical


class MonitorStatus(Frozen):
    """How a monitor is: its last measurement and when the next one comes."""

    name: str
    environment: str
    kind: MonitorKind
    what: str
    """What it measures, in words: `psi of inputs`, `roc_auc on labelled requests`."""
    last: Measurement | None = None
    next: float | None = None
    """Seconds since the epoch; None while no agent runs."""
    thresholds: tuple[str, ...] = ()
    """What its alerts compare it with, in words, one for each alert."""
    alerts: tuple[str, ...] = ()
    """Names of its alerts."""
    state: AlertState | None = None
    """The worst state of its alerts; None without alerts."""
    measure: str = ""
    """What it measures, as podium.yaml calls it: `psi`, `error_rate`, `model`."""


# The folk bands of the population stability index (Siddiqi, Credit Risk Scorecards, 2006): from 0.1 on a distribution
# has shifted a little, beyond 0.25 a lot. They say nothing about how often they are exceeded by chance.
PSI_BANDS: Mapping[str, float] = {"moderate": 0.1, "significant": 0.25}
SEVERITIES = ("critical", "warning", "info")
# Labels that say which alert it is: a rule cannot have labels of these names.
OWN_LABELS = ("alertname", "environment", "monitor", "severity", "project")
# What `${{ alert.… }}` may name, in the annotations of a rule and in a pipeline that the alert starts.
ALERT_VALUES = (
    "name",
    "environment",
    "monitor",
    "severity",
    "value",
    "shown",
    "threshold",
    "version",
    "rows",
    "start",
    "end",
    "at",
)


class AlertState(StrEnum):
    """The state of an alert, as Prometheus names them, and one for the absence of data."""

    INACTIVE = "inactive"
    PENDING = "pending"
    """The value is beyond its threshold, not yet for long enough."""
    FIRING = "firing"
    NO_DATA = "no data"
    """There is nothing to judge by. Only an inactive alert becomes this: one that fires goes on firing, and one that is
    pending goes on waiting, because no data says nothing."""


# The order in which alerts are shown, and in which the state of several is one.
WORST_FIRST = (AlertState.FIRING, AlertState.PENDING, AlertState.NO_DATA, AlertState.INACTIVE)


class AlertStatus(Frozen):
    """An alert as it stands."""

    name: str
    environment: str
    monitor: str
    state: AlertState
    since: float
    """When the state began, in seconds since the epoch."""
    severity: str = "warning"
    value: float | None = None
    shown: str = ""
    """The value in its monitor's unit: `5.2 %`."""
    limit: float | None = None
    """What the value is compared with; None where the measurement has no critical value."""
    threshold: str = ""
    """The same in words and in its unit: `above 5 %`."""
    measured: float | None = None
    """When it was last measured, in seconds since the epoch; None for never."""
    absent: bool = False
    """There is no data at present, whatever the state."""
    episode: int = 0
    """The id of the event that made it fire; 0 while it does not fire."""
    acknowledged: str = ""
    """Who knows of it, and why; empty if nobody said so."""
    silenced: str = ""
    """Who silenced it, why and until when; empty if it is not silenced."""
    muted_until: float | None = None
    """The end of the cooldown, during which it does not fire again; None outside it."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    message: str = ""

    @property
    def firing(self) -> bool:
        return self.state is AlertState.FIRING

    def words(self, now: float) -> str:
        """Returns what is the matter: `0.31 is above 0.2 for 3h, on production`, or the summary that podium.yaml gives
        it."""
        since = fmt.age(self.since, now)
        lasts = f" for {since}" if since not in ("", "now") else ""
        found = self.annotations.get("summary") or (
            f"{self.shown} is {self.threshold}" if self.value is not None else f"{self.state} ({self.threshold})"
        )
        return f"{found}{lasts}, on {self.environment}{'; no data now' if self.absent else ''}"


class Standing(Frozen):
    """What is kept of an alert between two measurements."""

    status: AlertStatus
    count: int = 0
    """Measurements in a row that were beyond the threshold."""
    back: float | None = None
    """Since when the value has been back while the alert goes on firing, in seconds since the epoch."""
    seen: int = 0
    """The id of the last measurement."""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """What `${{ alert.… }}` named when the episode began (`ALERT_VALUES`)."""
    untold: bool = False
    """Nobody was told of this episode, because the alert was silenced."""


class AlertEvent(Frozen):
    """A change of an alert."""

    id: int
    name: str
    environment: str
    monitor: str
    state: str
    """`pending`, `firing`, `resolved`, `inactive` or `no data`."""
    at: float
    value: float | None = None
    message: str = ""
    severity: str = ""
    threshold: str = ""
    """What the value is compared with, in words and in its unit; also `shown`, the value, and `limit`, the number."""
    episode: int = 0
    """The event that made it fire: its own id for that one, 0 for an alert that does not fire."""
    started: float | None = None
    """When the episode began, in seconds since the epoch."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    shown: str = ""
    limit: float | None = None


class Silence(Frozen):
    """Nobody is told of an alert, or of all alerts of an environment, for a while. The alert's state goes on."""

    id: int
    subject: str
    """The name of an alert, or `environment:NAME`."""
    who: str
    why: str
    at: float
    until: float
    ended: float | None = None
    """When somebody ended it before its time, in seconds since the epoch."""


class SinkStatus(Frozen):
    """How one that is told of alerts is."""

    name: str
    kind: str
    """`apprise`, `webhook`, `alertmanager`, `command` or `terminal`."""
    waiting: int = 0
    """Messages that wait to be sent."""
    failed: int = 0
    """Messages that were given up."""
    oldest: float | None = None
    """When the first that waits was added, in seconds since the epoch."""
    attempts: int = 0
    """How often the first that waits was tried."""
    error: str = ""
    """Why that failed, or why the last one was given up."""
    last: float | None = None
    """When a message was sent last, in seconds since the epoch."""


class Ring(Frozen):
    """What a terminal is told: `how` is `bell` or `osc9`."""

    how: str
    text: str


# What an alert may do with a pipeline that it starts.
LOOP_MODES = ("propose", "run", "deliver")


class LoopState(StrEnum):
    """How far the feedback loop is with one firing alert and one pipeline."""

    REFUSED = "refused"
    """A brake held it; `why` says which."""
    PROPOSED = "proposed"
    """It waits for a person."""
    RUNNING = "running"
    ENDED = "ended"
    """Its run ended without a delivery, or failed."""
    DELIVERED = "delivered"
    """A new version serves; what became of the alarm is not known yet."""
    HELPED = "helped"
    """The alarm ended, or quality rose."""
    DID_NOT_HELP = "did not help"


class LoopEntry(Frozen):
    """What the feedback loop did about one firing of an alert, for one pipeline."""

    id: int
    alert: str
    environment: str
    pipeline: str
    episode: int
    """The event that made the alert fire."""
    at: float
    state: LoopState
    mode: str = ""
    """`propose`, `run` or `deliver`."""
    run: int | None = None
    version: int | None = None
    """The version that was delivered."""
    why: str = ""
    """Why it was refused, or what the look back found, in words."""
    ended: float | None = None


class LabelCounts(Frozen):
    """Labels of an environment's requests."""

    requests: int
    """Requests that are kept."""
    matched: int
    """Of them, those that have a label."""
    late: int
    """Labels that came after their request was forgotten."""
    repeated: int
    """Labels that said again what was known."""
    contradictory: int
    """Labels that said something else than an earlier one; the first one counts."""
    unknown: int
    """Labels that found no request for as long as they waited."""
    refused: int
    """Labels that were not taken: of a client that sent too many, or not of the table's form."""
    delay: float | None = None
    """The median time from a request to its label, in seconds."""
    waiting: int = 0
    """Labels that have no request so far, and wait for one."""
