"""A project as podium.yaml describes it: typed, checked, immutable. `core/config/` creates these objects; nothing
here reads a file.

The fields of a dataclass are the keys of its section. The metadata of a field names the exceptions: `key` is the
key's name, `section` the dataclass of a section (or list of sections) below it, `sections` that of a mapping of
named ones. A new section is a dataclass here, its keys in core/config/keys/, and the example.
"""

from __future__ import annotations

from ..infra.settings import Infra
from .connections import ARTIFACT_ROOT, Docker, Git, Host, HostApp, Mlflow, Ray, Tell
from .gates import Check, Gate, Series
from .monitors import AlertRule, Hold, Metrics, MonitorSpec, Notify, ReferenceSpec, Sink
from .pipelines import (
    ANY,
    MAX_CELLS,
    Approvers,
    Concurrency,
    ContainerSpec,
    Matrix,
    On,
    OnAlert,
    Pipeline,
    Scalar,
    StepSpec,
)
from .project import Project, Retain
from .serving import LEAST_TOKEN, AnalysisRule, Batch, Environment, Feedback, RequestBounds, ServingHost, Strategy

__all__ = [
    "ANY",
    "ARTIFACT_ROOT",
    "LEAST_TOKEN",
    "MAX_CELLS",
    "AlertRule",
    "AnalysisRule",
    "Approvers",
    "Batch",
    "Check",
    "Concurrency",
    "ContainerSpec",
    "Docker",
    "Environment",
    "Feedback",
    "Gate",
    "Git",
    "Hold",
    "Host",
    "HostApp",
    "Infra",
    "Matrix",
    "Metrics",
    "Mlflow",
    "MonitorSpec",
    "Notify",
    "On",
    "OnAlert",
    "Pipeline",
    "Project",
    "Ray",
    "ReferenceSpec",
    "RequestBounds",
    "Retain",
    "Scalar",
    "Series",
    "ServingHost",
    "Sink",
    "StepSpec",
    "Strategy",
    "Tell",
]
