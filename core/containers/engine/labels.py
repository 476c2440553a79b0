"""The Docker labels that Podium sets on everything it makes on an engine, by which it finds its own things and
leaves all others alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from ...domain.frozen import Frozen
from ...identity.home import home_id

__all__ = ["Labels", "home_id"]

PROJECT = "podium.project"
HOME = "podium.home"
ROLE = "podium.role"
ENVIRONMENT = "podium.environment"
REPLICA = "podium.replica"
MODEL = "podium.model"
VERSION = "podium.version"
COMMIT = "podium.commit"
RUN = "podium.run"
STEP = "podium.step"
ATTEMPT = "podium.attempt"
MLFLOW_RUN = "podium.mlflow-run"
DIGEST = "podium.digest"
REQUIREMENTS = "podium.requirements"
WHOLE = "podium.whole-mlflow"
TRIED = "podium.tried"
DEPENDENCIES = "podium.dependencies"

# Roles
STEP_ROLE = "step"
REPLICA_ROLE = "replica"
PROXY_ROLE = "proxy"
RELAY_ROLE = "relay"
NETWORK_ROLE = "network"
VOLUME_ROLE = "volume"
SHADOW_ROLE = "shadow"
IMAGE_ROLE = "image"
DEPENDENCIES_ROLE = "dependencies"
TRIAL_ROLE = "trial"


class Labels(Frozen):
    """The labels of one thing of one project. `more` holds those of its role."""

    project: str
    home: Path
    role: str
    more: Mapping[str, str] = field(default_factory=dict[str, str])

    def all(self) -> dict[str, str]:
        """Returns all labels by their keys."""
        return {
            PROJECT: self.project,
            HOME: home_id(self.home),
            ROLE: self.role,
            **{key: value for key, value in self.more.items() if value},
        }

    def filters(self) -> list[str]:
        """Returns the labels as values of the `label` filter of a list; all of them have to match."""
        return [f"{key}={value}" for key, value in self.all().items()]
