"""A project with monitors and alerts, and measurements that a monitor might have made."""

from __future__ import annotations

from pathlib import Path

from podium.core.config import load
from podium.core.domain.monitoring import Measurement, MonitorKind
from podium.core.domain.project import Project

NOW = 1_790_000_000.0
MONITORS = """\
project: shop
environments:
  production: {port: 5100, protected: true}
  staging: {port: 5101}
monitors:
  errors: {environment: production, signal: error_rate}
  latency: {environment: staging, signal: latency_p95}
"""
RULE = "  errors-high: {monitor: errors, above: 0.1, cooldown: 0}\n"


def project(home: Path, alerts: str = RULE, more: str = "") -> Project:
    """Writes podium.yaml with these alerts, and reads it."""
    home.mkdir(exist_ok=True, parents=True)
    (home / "podium.yaml").write_text(MONITORS + (f"alerts:\n{alerts}" if alerts else "") + more)
    (home / ".podium").mkdir(mode=0o700, exist_ok=True)
    return load(home)


def measured(
    value: float | None, at: float = 0.0, *, monitor: str = "errors", critical: float | None = None
) -> Measurement:
    """Returns a measurement that was made `at` seconds after NOW."""
    environment = "production" if monitor == "errors" else "staging"
    return Measurement(
        monitor, environment, MonitorKind.SIGNAL, NOW + at, value, rows=200, critical=critical, version=3
    )
