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


class Sample(Frozen):
    """A picture made small: `pixels` are its rows from the top, three bytes (red, green, blue) a pixel."""

    width: int
    height: int
    pixels: bytes


class Picture(Frozen):
    """An image that a run has logged."""

    width: int
    height: int
    """In pixels, as it was logged."""
    samples: tuple[Sample, ...]
    """The small ones first."""

    def fitting(self, width: int, height: int) -> Sample | None:
        """Returns the largest sample that has at most so many pixels in each direction; None if all have more."""
        return next((each for each in reversed(self.samples) if each.width <= width and each.height <= height), None)


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
    picture: Picture | None = None
    """It is an image, and this is to be seen on it."""
