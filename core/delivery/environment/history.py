"""What the ledger says about an environment: which version serves, which came before, and which one a rollback
brings back."""

from __future__ import annotations

from ...domain.delivery import Deployment, DeploymentState, How
from ...domain.models import CHAMPION
from ...domain.project import Project
from ...journal import Journal

_FAR = 500


def serving(journal: Journal, environment: str) -> int | None:
    current = journal.ledger.current(environment)
    return current.to_version if current else None


def succeeded(journal: Journal, environment: str) -> list[Deployment]:
    """Newest first."""
    return [row for row in journal.ledger.history(environment, limit=_FAR) if row.state is DeploymentState.SUCCEEDED]


def earlier(journal: Journal, environment: str) -> list[int]:
    """Versions that served before the present one, each once, the latest first."""
    rows = succeeded(journal, environment)
    return list(dict.fromkeys(row.to_version for row in rows[1:] if row.to_version != rows[0].to_version))


def good_before(project: Project, journal: Journal, environment: str, *, leaving: int | None = None) -> int | None:
    """The version that a rollback brings back: the latest earlier one that is not quarantined and is not `leaving`."""
    model = project.mlflow.model
    return next(
        (v for v in earlier(journal, environment) if v != leaving and journal.quarantine.find(model, v) is None), None
    )


def carries(project: Project, environment: str) -> str:
    """`champion` for an environment that promotions are for: those a pipeline promotes to, else the protected ones,
    else the only one. Else empty."""
    steps = [
        step for pipeline in project.pipelines.values() for step in pipeline.steps.values() if step.uses == "promote"
    ]
    carriers = {str(step.options.get("environment", "")) for step in steps} & project.environments.keys()
    carriers = carriers or {e.name for e in project.environments.values() if e.protected}
    if not carriers and len(project.environments) == 1:
        carriers = set(project.environments)
    return CHAMPION if environment in carriers else ""


def known_aliases(project: Project, journal: Journal) -> dict[str, int]:
    """The model's aliases as the journal last saw them."""
    return {alias: v.version for v in journal.versions.of(project.mlflow.model) for alias in v.aliases}


def typical_seconds(journal: Journal, environment: str, key: str, default: float) -> float:
    """The last measured `key` of this environment's deployments (`start_seconds`, `traffic_seconds`)."""
    for row in succeeded(journal, environment)[:20]:
        value = row.data.get(key)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    return default


def warm_seconds(journal: Journal, environment: str, default: float) -> float:
    """How long the last rollback to a version that was warm took until traffic had moved."""
    for row in succeeded(journal, environment)[:50]:
        value = row.data.get("traffic_seconds")
        if row.how is How.ROLLBACK and not row.data.get("new") and isinstance(value, int | float) and value > 0:
            return float(value)
    return default
