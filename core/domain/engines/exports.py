"""What an environment serves, as another engine needs it, and the files that say so."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..frozen import Frozen

if TYPE_CHECKING:
    from ..project import Environment


class ExportFormat(StrEnum):
    """The engine that files are written for."""

    COMPOSE = "compose"
    KUBERNETES = "kubernetes"


class Served(Frozen):
    """One version that serves."""

    version: int
    share: int
    """Its share of the requests in percent, 1 to 100."""
    image: str
    """`repository@sha256:…`, or an engine's own id of an image that was never pushed."""
    pushed: bool
    """Whether another machine can pull the image."""
    commit: str = ""
    run: int | None = None
    digest: str = ""
    """The digest of the model's files."""


class ExportedEnvironment(Frozen):
    """What an environment serves now."""

    project: str
    model: str
    environment: Environment
    served: tuple[Served, ...]
    """The largest share first; two during a canary."""
    user: int
    """The user who owns the process in the image."""
    port: int
    """The port on which the image serves."""
    writable: tuple[str, ...] = ()
    """The directories that the image has to be able to write to."""
    variables: tuple[tuple[str, str], ...] = ()
    """What every replica is told, whatever its version."""
    left_out: tuple[str, ...] = ()
    """Sentences: what the environment has and the files do not."""


class Exported(Frozen):
    """Files for another engine."""

    environment: str
    format: ExportFormat
    directory: str
    files: tuple[str, ...]
    """Their names in the directory."""
    versions: tuple[int, ...]
    left_out: tuple[str, ...] = ()
    """As in `ExportedEnvironment`."""
    next: tuple[str, ...] = ()
    """The commands that start it."""
