"""Things that a person can go to by a name."""

from __future__ import annotations

from enum import StrEnum

from ..frozen import Frozen


class Kind(StrEnum):
    """Kinds of things, in the order in which those stand that fit a name equally well."""

    ENVIRONMENT = "environment"
    VERSION = "version"
    PIPELINE = "pipeline"
    RUN = "run"
    MONITOR = "monitor"
    STEP = "step"
    CONTAINER = "container"
    HOST = "host"
    CI = "CI run"
    COMMIT = "commit"
    BRANCH = "branch"


class Found(Frozen):
    """A thing with its names. The fields below `names` say where it is; those that do not matter are empty."""

    kind: Kind
    name: str
    """What it is called in lists: `production`, `v7`, `run 41`."""
    words: str = ""
    """What is said of it beside its name."""
    names: tuple[str, ...] = ()
    """What else it is called: a version's aliases, a run's number alone, a commit's whole hash."""
    run: int | None = None
    step: str = ""
    model: str = ""
    version: int | None = None
    environment: str = ""
    id: str = ""
    """What the screen of its kind knows it by: a container's id, a commit's hash, a CI run's number."""
