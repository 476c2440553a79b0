"""Opens the Git host that podium.yaml names, by the plug-in table."""

from __future__ import annotations

from collections.abc import Mapping

from ... import plugins
from ...domain.project import Project
from . import GitHost
from .answers import AnswerStore
from .tokens import reading


def open_host(
    project: Project, *, store: AnswerStore | None = None, environ: Mapping[str, str] | None = None
) -> GitHost | None:
    """Returns the client of the project's Git host; None if podium.yaml names none. Asks nothing yet. `store` keeps
    answers for conditional requests (in memory, if it is not given); `environ` has the variables in which a token may
    be (default: this process's). Raises Refused, UsageError or MissingExtra for
    what cannot be used, such as a token's file that others may read."""
    if project.git.host is None:
        return None
    with reading(environ):
        host: GitHost = plugins.load("hosts", project.git.host.kind)(project, store=store)
    return host
