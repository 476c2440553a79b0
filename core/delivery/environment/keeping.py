"""What replicas are told about requests and labels: whether to keep them, without which columns, and who may send
labels. They get it as variables of their environment, and of tokens digests only."""

from __future__ import annotations

import json

from ...domain.project import Environment, Project
from ...labels.salt import salt_of
from ...labels.tokens import digests, taken
from ...serving import senders
from ...serving.options import PREFIX


def variables(project: Project, environment: Environment) -> dict[str, str]:
    """Returns the variables. Raises UsageError or Refused if a file with tokens cannot be used."""
    told = {
        "KEEP_REQUESTS": "true",
        "FEEDBACK": _feedback(project, environment),
        "FEEDBACK_RATE": f"{environment.feedback.rate:g}",
    }
    if environment.redact:
        told["REDACT"] = json.dumps(environment.redact)
    if environment.key:
        told["KEY"] = environment.key
        if environment.key in environment.never_kept:
            told["KEY_SALT"] = salt_of(project.state, environment.name)
    return {f"{PREFIX}{name}": value for name, value in told.items()}


def _feedback(project: Project, environment: Environment) -> str:
    """Returns who may send labels. Where no client has a token, only this machine may, or nobody (`taken`)."""
    known = digests(environment.feedback, project.home)
    if known:
        return senders.written(known)
    return senders.OPEN if taken(environment) else senders.CLOSED
