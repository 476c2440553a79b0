"""Models, versions, and the lineage row that links a version to its commit and its traffic."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from .frozen import Frozen

if TYPE_CHECKING:
    from .verdicts import Verdict, VersionVerdict

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"

# Tags that Podium puts on MLflow runs and versions. They are the lineage that survives the loss of the journal.
TAG_COMMIT = "podium.commit"
TAG_RUN = "podium.run"
TAG_STEP = "podium.step"
TAG_KEY = "podium.key"
TAG_DIRTY = "podium.dirty"
TAG_VERDICT = "podium.verdict"
TAG_DIGEST = "podium.digest"
TAG_DATASET = "podium.dataset"
# What the version's container is started from: repository@digest where it was pushed, else the engine's id of the
# image.
TAG_IMAGE = "podium.image"


_DATASET = re.compile(r"(sha256:[0-9a-f]{64}) (\d{1,18}) rows, requests to (\S{1,100}) (\S{1,40}) to (\S{1,40})")


class LearnedFrom(Frozen):
    """The rows of requests that a version learned from, as the step `dataset` wrote them."""

    digest: str
    """`sha256:…` of the file."""
    rows: int
    environment: str
    """Whose requests they were."""
    start: str
    """The time of the first request (ISO 8601, UTC); also `end`, of the last."""
    end: str

    @property
    def words(self) -> str:
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        return f"{rows}, requests to {self.environment} {self.start[:16]} to {self.end[:16]}"


def learned_from(tags: Mapping[str, str]) -> LearnedFrom | None:
    """Returns what the tag `podium.dataset` of a version says; None without one, and for one that says something
    else."""
    found = _DATASET.fullmatch(tags.get(TAG_DATASET, ""))
    return None if found is None else LearnedFrom(found[1], int(found[2]), found[3], found[4], found[5])


class Version(Frozen):
    """A version of a registered model, as MLflow knows it."""

    model: str
    version: int
    created: float
    status: str = "READY"
    aliases: tuple[str, ...] = ()
    mlflow_run: str = ""
    source: str = ""
    commit: str = ""
    run_id: int | None = None
    digest: str = ""
    """The content hash of its files once they have been fetched; else empty."""
    verdict: Verdict | None = None
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    description: str = ""

    @property
    def learned(self) -> LearnedFrom | None:
        """Returns the rows of requests that it learned from; None where no step wrote any."""
        return learned_from(self.tags)


class Model(Frozen):
    name: str
    versions: int
    latest: int | None
    aliases: Mapping[str, int]
    updated: float


class MetricPoint(Frozen):
    step: int
    at: float
    value: float


class Lineage(Frozen):
    """commit ↔ run ↔ MLflow run ↔ version ↔ digest ↔ image ↔ replicas ↔ traffic share, for one version in one
    environment (or in none)."""

    commit: str
    run_id: int | None
    mlflow_run: str
    model: str
    version: int | None
    digest: str
    """The digest of the version's files."""
    environment: str = ""
    """Empty for a version that no environment serves."""
    replicas: tuple[str, ...] = ()
    share: float = 0.0
    """The share of the environment's traffic."""
    aliases: tuple[str, ...] = ()
    verdict: Verdict | None = None
    image: str = ""
    """The reference that its containers are started from: `repository@digest` if the image was pushed, else the
    engine's id; empty without an image."""
    verdicts: tuple[VersionVerdict, ...] = ()
    """What the version met on its way, the last word first."""
    learned: LearnedFrom | None = None
    """The rows of requests that the version learned from; None where no step wrote any."""


class ScoreRequest(Frozen):
    """A scoring as a person asks for it."""

    source: str
    """The file or directory, as an absolute path."""

    output: str
    """The directory of the predictions, likewise."""

    environment: str = ""
    """The environment whose version predicts."""

    version: int | None = None
    """The version that predicts; None for what the environment serves, or the champion."""

    parallel: int | None = None
    """How many parts are predicted at once; None for as many as there are CPUs."""

    keep: tuple[str, ...] = ()
    """The columns to write beside the predictions; none for all."""

    part_rows: int | None = None
    """How many rows a part has; None for what the file's size says."""

    model: str = ""
    """The registered model; empty for the environment's, or the project's."""

    def parameters(self) -> dict[str, str]:
        """Returns the run's parameters."""
        given = {"version": self.version, "parallel": self.parallel, "part_rows": self.part_rows}
        return {
            "input": self.source,
            "output": self.output,
            "environment": self.environment,
            **({"model": self.model} if self.model else {}),
            **{name: str(value) for name, value in given.items() if value is not None},
            **({"keep": json.dumps(self.keep)} if self.keep else {}),
        }
