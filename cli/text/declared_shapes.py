"""The JSON of `podium plan`."""

from __future__ import annotations

from typing import Any

from ...core.domain.infra.declared import Declared
from . import shapes


def declared(each: Declared) -> dict[str, Any]:
    """Returns how one environment or infrastructure is, and the change that makes it as declared."""
    shape = shapes.repair if each.plan is not None and each.plan.verb == "repair" else shapes.plan
    return {
        "kind": each.kind.value,
        "name": each.name,
        "words": each.words,
        "state": each.state.value,
        "differs": each.differs,
        "command": each.command if each.plan is None else each.plan.command,
        "plan": None if each.plan is None else shape(each.plan),
    }
