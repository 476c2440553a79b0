"""Curves of metrics over steps or time, and the files that a run has logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ..frozen import Frozen
from ..models import MetricPoint


class Trained(Frozen):
    """One MLflow run, as far as training has come."""

    label: str
    """What it is called beside others: `v3`, `train[depth=8]`."""
    mlflow_run: str
    running: bool = False
    started: float = 0.0
    """Seconds since the epoch."""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """The last value of each."""
    artifact_uri: str = ""


class Curve(Frozen):
    """What one run has logged of a metric."""

    label: str
    points: tuple[MetricPoint, ...]
    running: bool = False


class Artifact(Frozen):
    """A file that a run has logged."""

    path: str
    size: int | None
    """Bytes; None where nobody said."""


class ArtifactText(Frozen):
    """The beginning of a file."""

    path: str
    text: str
    size: int | None
    """Bytes of the whole file; None where nobody said."""
    cut: bool = False
    """There is more than is shown."""
    binary: bool = False
    """It is no text."""
