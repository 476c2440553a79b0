"""Monitors, alerts, and who is told, as podium.yaml describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ..frozen import Frozen
from ..monitoring import MonitorKind


class ReferenceSpec(Frozen):
    """The rows that a monitor compares with; exactly one of the fields is set."""

    file: str = ""
    """A table of the project, such as the training data."""
    gate: str = ""
    """The gate whose data it is."""
    first: int = 0
    """So many of the first requests to the version that serves."""
    same: str = ""
    """`weekday`: requests at the same time of earlier weeks; `month`: those of the same month of earlier years."""


class MonitorSpec(Frozen):
    """What is measured of an environment."""

    name: str
    kind: MonitorKind
    environment: str
    """The environment that it watches."""
    measure: str = ""
    """What is measured: a signal, a distance, a violation, a metric, `model` or `data`, `share` or `delay`."""
    every: float = 3600.0
    """The seconds from one evaluation to the next."""
    rows: int | None = None
    """How many of the latest requests are looked at, None where `window` says it."""
    window: float | None = None
    """The seconds that are looked at, None where `rows` says it."""
    at_least: int = 1
    """Of fewer rows nothing is measured."""
    of: str = "inputs"
    """What a drift is of: `inputs` or `predictions`."""
    reference: ReferenceSpec = ReferenceSpec()
    """For drift, data and estimate: what requests are compared with."""
    columns: tuple[str, ...] = ()
    """For drift and data: the columns that are compared, empty for all."""
    gate: str = ""
    """For quality and estimate: the gate that says what truth and answers mean."""
    path: str = ""
    """For the age of data: the file, or the directory with the files."""
    column: str = ""
    """For the age of data: the column whose latest time counts; empty for the file's own time."""
    line: int = 0


class Hold(Frozen):
    """How long a value has to be beyond its threshold before an alert fires: so many measurements in a row, and so many
    seconds."""

    measurements: int = 1
    seconds: float = 0.0


class AlertRule(Frozen):
    """When an alert fires; exactly one of `above`, `below` and `false_alarms` is set."""

    name: str
    monitor: str
    above: float | None = None
    band: str = ""
    """The name that podium.yaml gives `above` (`PSI_BANDS`); empty for a number."""
    below: float | None = None
    false_alarms: float | None = None
    """How often it may fire without any change, in times a day: then the monitor says what is too much."""
    for_: Hold = field(default=Hold(), metadata={"key": "for"})
    keep_firing_for: float = 0.0
    """The seconds that the value has to be back before it is over."""
    cooldown: float = 3600.0
    """The seconds from one firing to the next, at least."""
    severity: str = "warning"
    """`critical`, `warning` or `info`."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """Texts for people (`summary`, `description`, `runbook_url`), with `${{ alert.… }}`."""
    notify: tuple[str, ...] = ()
    """The sinks that are told; empty for all."""
    line: int = 0


class Sink(Frozen):
    """Who is told of alerts, and how."""

    name: str
    kind: str
    """`apprise`, `webhook`, `alertmanager`, `command` or `terminal`."""
    address: str = field(default="", repr=False)
    """Of a webhook, an Alertmanager, or what apprise takes for one."""
    key: str = field(default="", repr=False)
    """What a webhook is signed with; empty for unsigned."""
    token: str = field(default="", repr=False)
    """What an Alertmanager is asked with; empty for none."""
    command: tuple[str, ...] = ()
    """A program and its arguments."""
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables of the command."""
    rings: str = ""
    """How an open cockpit's terminal tells it: `bell` or `osc9`."""
    timeout: float = 20.0
    """The seconds that one message may take."""
    resolved: bool = True
    """Whether it is told that an alert is over."""
    line: int = 0


class Notify(Frozen):
    """Who is told of alerts. Those of one environment that change within `wait` seconds are one message."""

    wait: float = 10.0
    sinks: Mapping[str, Sink] = field(default_factory=dict[str, Sink], metadata={"sections": Sink})


class Metrics(Frozen):
    """What the agent shows an existing Prometheus: where, and to whom."""

    listen: str = ""
    """`PORT` of this machine, or `ADDRESS:PORT`; empty for nowhere."""
    token: str = field(default="", repr=False)
    """The bearer token that is asked for; empty for none."""
