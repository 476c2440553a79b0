"""Constraints on the nodes of a Swarm, as podium.yaml writes them."""

from __future__ import annotations

import re

_CONSTRAINT = re.compile(r"(\S+?)\s*(?:==|!=)\s*([a-zA-Z0-9:\-_\s.*()?+\[\]\\^$|/]+)")
_CONSTRAINT_KEY = re.compile(
    r"node\.(?:id|hostname|role|platform\.(?:os|arch))|(?:node|engine)\.labels\.[a-z0-9_][a-z0-9\-_.]*", re.IGNORECASE
)


def bad_constraint(text: str) -> str:
    """Checks a constraint on the nodes of a Swarm, by the Swarm's own rules."""
    found = _CONSTRAINT.fullmatch(text.strip())
    if found is None:
        return "is not KEY == VALUE or KEY != VALUE"
    if not _CONSTRAINT_KEY.fullmatch(found[1]):
        return (
            f"begins with `{found[1]}`, and a Swarm knows node.id, node.hostname, node.role, node.platform.os,"
            " node.platform.arch, node.labels.NAME and engine.labels.NAME"
        )
    return ""
