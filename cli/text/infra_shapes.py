"""The JSON of `podium infra`. docs/cli.md lists every field. Fields are only ever added."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from ...core.domain.infra.plan import Drift, InfraPlan, InfraStatus, Output, ResourceChange
from ...core.domain.text.format import moment


def status(one: InfraStatus) -> dict[str, Any]:
    return {
        "name": one.name,
        "tool": one.kind,
        "path": one.path,
        "needs": list(one.needs),
        "workspace": one.workspace,
        "state": one.state(),
        "applied": moment(one.applied),
        "plan": plan(one.plan) if one.plan is not None else None,
        "decision": one.judgement.decision.value if one.judgement is not None else None,
        "approval": (
            {
                "who": one.approval.who,
                "at": moment(one.approval.at),
                "until": moment(one.approval.until),
                "why": one.approval.why,
            }
            if one.approval is not None
            else None
        ),
        "interrupted": asdict(cast("Any", one.interrupted)) if one.interrupted is not None else None,
        "drifted": [drift(each) for each in one.drifted] if one.drifted is not None else None,
        "drift_at": moment(one.drift_at),
        "outputs": {each.name: each.value for each in one.outputs},
        "runs": list(one.runs),
    }


def plan(one: InfraPlan) -> dict[str, Any]:
    return {
        "digest": one.digest,
        "made_by": one.tool,
        "created": moment(one.created),
        "expires": moment(one.expires),
        "run": one.run,
        "who": one.who,
        "summary": one.words(),
        "counts": {str(kind): number for kind, number in one.counts().items()},
        "applyable": one.applyable,
        "changes": [change(each) for each in one.changes],
        "drift": [drift(each) for each in one.drift],
        "outputs": [asdict(cast("Any", each)) for each in one.outputs],
        "warnings": list(one.warnings),
        "previous": one.previous,
    }


def change(one: ResourceChange) -> dict[str, Any]:
    return {
        "address": one.address,
        "type": one.type,
        "kind": one.kind.value,
        "why": one.why,
        "moved_from": one.moved_from,
        "imported": one.imported,
        "values": [asdict(cast("Any", each)) for each in one.attributes],
        "more": one.more,
    }


def drift(one: Drift) -> dict[str, Any]:
    return {
        "address": one.address,
        "type": one.type,
        "gone": one.gone,
        "real": one.real,
        "values": [asdict(cast("Any", each)) for each in one.attributes],
    }


def drifted(one: InfraPlan) -> dict[str, Any]:
    return {
        "name": one.infra,
        "at": moment(one.created),
        "drift": [drift(each) for each in one.drift],
        "real": len(one.real_drift),
    }


def output(name: str, one: Output) -> dict[str, Any]:
    return {
        "name": name,
        "output": one.name,
        "value": None if one.sensitive else one.value,
        "sensitive": one.sensitive,
    }
