"""The history of an environment, by the ledger: which version serves, which served before, which one a rollback brings
back, and how long that takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Self

from ...domain.delivery import Deployment, How, Stopped
from ...domain.frozen import Frozen
from ...domain.models import CHAMPION
from ...domain.project import Project
from ...domain.rollout import RolloutState
from ...journal import Journal

# How many deployments are looked at for how long a start, and a rollback to a warm version, took.
MAX_STARTS = 20
MAX_ROLLBACKS = 50


def model_of(project: Project, journal: Journal, environment: str) -> str:
    """Returns the registered model whose versions are an environment's: podium.yaml's, but while replicas of another
    one are there, as the file was changed since they were started, theirs."""
    wanted, last = project.model_of(environment), journal.ledger.last_model(environment)
    return last if last not in ("", wanted) and journal.replicas.of(environment) else wanted


def models(project: Project, journal: Journal) -> tuple[str, ...]:
    """Returns the models that podium.yaml names and those that replicas are of all the same, each once."""
    running = (journal.ledger.last_model(name) for name in journal.replicas.counts())
    return tuple(dict.fromkeys((*project.models, *(model for model in running if model))))


def serving(journal: Journal, environment: str, model: str) -> int | None:
    """Returns the version of the model that an environment serves by the ledger."""
    current = _of(model, journal.ledger.current(environment))
    return current.to_version if current else None


def _of(model: str, current: Deployment | None) -> Deployment | None:
    """Returns the deployment, unless it was one of another model."""
    return current if current is not None and current.model == model else None


def stopped(journal: Journal, environment: str) -> Stopped | None:
    """Returns who stopped an environment; None if nobody did, or something was deployed since."""
    found = journal.stops.get(environment)
    return found if found is not None and _holds(found, journal.ledger.current(environment)) else None


def _holds(stopped: Stopped, current: Deployment | None) -> bool:
    return stopped.deployment == (current.id if current else None)


class EnvironmentHistory(Frozen):
    """What the ledger said of an environment when it was read, for one question."""

    environment: str

    current: Deployment | None
    """The latest deployment that succeeded: what the environment should serve."""

    served: tuple[tuple[int, bool], ...]
    """Every version that has served, the latest first and each once, and whether it is quarantined."""

    start_seconds: float | None
    """How long the last start of new replicas took."""

    warm_seconds: float | None
    """How long the last rollback to a version that was warm took until traffic had moved."""

    stopped: Stopped | None = None
    """Who stopped the environment, if a person did and nothing was deployed since."""

    @classmethod
    def load(cls, journal: Journal, model: str, environment: str) -> Self:
        """Reads the ledger."""
        ledger, stopped = journal.ledger, journal.stops.get(environment)
        last = ledger.current(environment)
        return cls(
            environment,
            _of(model, last),
            tuple(ledger.served(environment, model)),
            start_seconds(journal, environment),
            _warm_seconds(journal, environment),
            stopped if stopped is not None and _holds(stopped, last) else None,
        )

    @property
    def serving(self) -> int | None:
        """Returns the version that serves by the ledger."""
        return self.current.to_version if self.current else None

    @property
    def answering(self) -> int | None:
        """Returns the version that answers requests; None while the environment is stopped."""
        return self.serving if self.stopped is None else None

    @property
    def earlier(self) -> tuple[int, ...]:
        """Returns versions that served before the present one, each once, latest first."""
        return tuple(version for version, _ in self.served[1:])

    def good_before(self, *, leaving: Collection[int] = ()) -> int | None:
        """Returns the version that a rollback brings back: the latest earlier one that is not quarantined and is not
        among those being left."""
        return next((version for version, bad in self.served[1:] if not bad and version not in leaving), None)


def why_no_way_back(journal: Journal, model: str, past: EnvironmentHistory) -> str:
    """Returns why a rollback has nothing to bring back: there is no earlier version, or all are quarantined."""
    if not past.earlier:
        return "there is no earlier version to go back to"
    last = past.earlier[0]
    entry = journal.quarantine.find(model, last)
    why = f": {entry.why}" if entry is not None and entry.why else ""
    who = f" (by {entry.who})" if entry is not None else ""
    more = len(past.earlier) - 1
    others = f"; so {'is' if more == 1 else 'are'} the {more} before it" if more else ""
    return f"version {last} served before and is quarantined{why}{who}{others}"


def start_seconds(journal: Journal, environment: str) -> float | None:
    """Returns how long the last start of new replicas took."""
    notes = map(RolloutState.from_json, journal.ledger.notes(environment, limit=MAX_STARTS))
    return _first_measured(state.start_seconds for state in notes)


def _warm_seconds(journal: Journal, environment: str) -> float | None:
    notes = map(RolloutState.from_json, journal.ledger.notes(environment, limit=MAX_ROLLBACKS, how=How.ROLLBACK))
    return _first_measured(state.traffic_seconds for state in notes if not state.new_replicas)


def _first_measured(seconds: Iterable[float | None]) -> float | None:
    return next((float(value) for value in seconds if value is not None and value > 0), None)


def carries(project: Project, environment: str) -> str:
    """Returns `champion` for an environment that promotions are for: of those of its model the ones that a pipeline
    promotes to, otherwise the protected ones, otherwise the only one. Empty for any other."""
    model = project.model_of(environment)
    peers = {name: each for name, each in project.environments.items() if project.model_of(name) == model}
    steps = [
        step for pipeline in project.pipelines.values() for step in pipeline.steps.values() if step.uses == "promote"
    ]
    carriers = {str(step.options.get("environment", "")) for step in steps} & peers.keys()
    carriers = carriers or {each.name for each in peers.values() if each.protected}
    if not carriers and len(peers) == 1:
        carriers = set(peers)
    return CHAMPION if environment in carriers else ""
