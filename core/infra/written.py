"""Plans as JSON, which is how they are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, cast

from ..domain.infra.plan import AttributeChange, Drift, InfraPlan, OutputChange, ResourceChange
from ..domain.infra.rules import ChangeKind


def plan_text(plan: InfraPlan) -> str:
    """Returns a plan as JSON."""
    return json.dumps(asdict(cast("Any", plan)), ensure_ascii=False)


def read_plan(text: str) -> InfraPlan:
    """Returns the plan that `plan_text` wrote. ValueError, KeyError or TypeError where it is none."""
    body = json.loads(text)
    known = {each.name for each in fields(cast("Any", InfraPlan))}
    values: dict[str, Any] = {name: value for name, value in body.items() if name in known}
    values["changes"] = tuple(_change(each) for each in body["changes"])
    values["drift"] = tuple(_drift(each) for each in body["drift"])
    values["outputs"] = tuple(OutputChange(**each) for each in body["outputs"])
    values["warnings"] = tuple(body["warnings"])
    return InfraPlan(**values)


def _change(body: Mapping[str, Any]) -> ResourceChange:
    return ResourceChange(**dict[str, Any](body, kind=ChangeKind(body["kind"]), attributes=_attributes(body)))


def _drift(body: Mapping[str, Any]) -> Drift:
    return Drift(**dict[str, Any](body, attributes=_attributes(body)))


def _attributes(body: Mapping[str, Any]) -> tuple[AttributeChange, ...]:
    return tuple(AttributeChange(**each) for each in body["attributes"])
