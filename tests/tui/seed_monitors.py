"""Monitors that measured for a day, and the alerts over them, for the screen of monitors."""

from __future__ import annotations

from dataclasses import replace

from podium.core.alerts.evaluate import evaluate
from podium.core.domain.monitoring import ColumnMeasurement, Histogram, LoopEntry, LoopState, Measurement, MonitorKind

from .seed import NOW, SeededCockpit

CONFIG = """
monitors:
  input-drift: {environment: production, drift: psi, reference: data/train.parquet, window: 1000, every: 1h}
  errors: {environment: production, signal: error_rate, every: 1m}
  age: {environment: production, freshness: model}
  quality: {environment: production, quality: roc_auc, gate: quality, every: 6h}
alerts:
  input-drift: {monitor: input-drift, false_alarms: 1/month, severity: critical}
  errors: {monitor: errors, above: 0.05}
  age: {monitor: age, above: 90}
"""
HOUR = 3600.0
HOSTILE = "dep\x1b[2J\u202ehour"


def seed_monitors(cockpit: SeededCockpit) -> None:
    config = cockpit.home / "podium.yaml"
    config.write_text(config.read_text() + CONFIG)
    cockpit.changed()
    journal = cockpit.journal
    for hour in range(24, 0, -1):
        at = NOW - hour * HOUR
        drift = 0.02 if hour > 4 else 0.02 + 0.1 * (5 - hour)
        journal.measurements.add(_drift(at, drift))
        journal.measurements.add(_errors(at, 0.002))
        evaluate(cockpit.project.config, journal, at)
    for at in range(40, -1, -1):
        journal.measurements.add(_quality(NOW - at * 6 * HOUR, 0.74 - 0.002 * (40 - at) if at > 6 else 0.75))
    journal.measurements.add(replace(_errors(NOW - 60, 0.0), value=None, message="no request came in 60s"))
    evaluate(cockpit.project.config, journal, NOW - 60)


def _drift(at: float, value: float) -> Measurement:
    histogram = Histogram((0.1, 0.4, 0.3, 0.2), (0.02, 0.18, 0.35, 0.45), edges=(0.0, 6.0, 12.0, 18.0, 24.0))
    words = Histogram((0.7, 0.3), (0.68, 0.32), names=("AA", "UA"))
    columns = (
        ColumnMeasurement("carrier", value / 8, 0.04, 0.4, words),
        ColumnMeasurement(HOSTILE, value, 0.05, 0.0004, histogram),
        ColumnMeasurement("origin", None, message="every value is missing"),
    )
    return Measurement(
        "input-drift", "production", MonitorKind.DRIFT, at, value, at - HOUR, at, 1000,
        critical=0.05, p_value=0.0012, version=3, columns=columns,
        warnings=("the reference has 900 rows, fewer than the window",),
    )  # fmt: skip


def _quality(at: float, value: float) -> Measurement:
    return Measurement(
        "quality", "production", MonitorKind.QUALITY, at, value, at - HOUR, at, 800,
        low=value - 0.03, high=value + 0.03, baseline=0.74, version=3,
    )  # fmt: skip


def _errors(at: float, value: float) -> Measurement:
    return Measurement("errors", "production", MonitorKind.SIGNAL, at, value, at - 60, at, 1200)


def seed_loop(cockpit: SeededCockpit) -> None:
    """One that helped, and one that waits for a person."""
    journal = cockpit.journal
    for pipeline, state, run, why in (
        ("release", LoopState.HELPED, 12, "the alarm ended 3h after version 3 was delivered"),
        ("nightly", LoopState.PROPOSED, None, "production is protected"),
    ):
        journal.loops.put(
            LoopEntry(0, "input-drift", "production", pipeline, 4, NOW - HOUR, state, "propose", run, None, why)
        )
