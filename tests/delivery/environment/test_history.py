"""What a status and a plan read: the answers are those of the whole ledger and the whole registry, and the rows few."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from podium.core import doctor, lineage
from podium.core.config import load
from podium.core.delivery.environment.history import EnvironmentHistory
from podium.core.delivery.environment.registry_view import RegistryView
from podium.core.delivery.rollout import plans
from podium.core.delivery.status.status import status
from podium.core.domain.delivery import Deployment, DeploymentState, How
from podium.core.domain.models import Version
from podium.core.domain.project import Project
from podium.core.domain.verdicts import Verdict
from podium.core.journal import Journal
from podium.core.registry.aliases import move_alias

MODEL = "flights"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "podium.yaml").write_text(
        "project: flights\nenvironments: {production: {port: 5911, protected: true}, staging: {port: 5912}}\n"
    )
    return load(tmp_path, environ={})


@pytest.fixture
def journal(project: Project) -> Iterator[Journal]:
    with Journal.open(project.state / "journal.db") as journal:
        yield journal


def deploy(
    journal: Journal,
    version: int,
    *,
    how: How = How.DEPLOY,
    state: DeploymentState = DeploymentState.SUCCEEDED,
    environment: str = "production",
    **data: object,
) -> None:
    row = journal.ledger.begin(
        environment=environment, how=how, model=MODEL, to_version=version, from_version=None, who="anna"
    )
    journal.ledger.phase(row.id, "kept", data)
    journal.ledger.finish(row.id, state)


def first_positive(rows: list[Deployment], key: str) -> float | None:
    values = (row.data.get(key) for row in rows)
    return next((float(value) for value in values if isinstance(value, int | float) and value > 0), None)


def by_hand(journal: Journal, environment: str) -> EnvironmentHistory:
    """The same, read row by row from the last 500 of the ledger."""
    rows = [r for r in journal.ledger.history(environment, limit=500) if r.state is DeploymentState.SUCCEEDED]
    versions = dict.fromkeys(row.to_version for row in rows)
    return EnvironmentHistory(
        environment,
        journal.ledger.current(environment),
        tuple((version, journal.quarantine.find(MODEL, version) is not None) for version in versions),
        first_positive(rows[:20], "start_seconds"),
        first_positive(
            [row for row in rows[:50] if row.how is How.ROLLBACK and not row.data.get("new")], "traffic_seconds"
        ),
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_history_is_what_the_ledger_says(journal: Journal, seed: int) -> None:
    rng = random.Random(seed)
    with journal.transaction():
        for _ in range(rng.choice([0, 1, 3, 40, 120])):
            data: dict[str, object] = {"new": rng.choice([[], ["production-v1-1"]]), "traffic_seconds": rng.random()}
            if rng.random() < 0.3:
                data["start_seconds"] = rng.choice([0, 0.0, 2, 1.5])
            deploy(
                journal,
                rng.randint(1, 15),
                how=rng.choice(list(How)),
                state=rng.choice([*DeploymentState, DeploymentState.SUCCEEDED]),
                environment=rng.choice(["production", "production", "staging"]),
                **data,
            )
        for version in rng.sample(range(1, 16), rng.randint(0, 8)):
            journal.quarantine.add(MODEL, version, "c" * 40, "anna")
        journal.quarantine.add("another", 3, "c" * 40, "anna")
    for environment in ("production", "staging"):
        found, wanted = EnvironmentHistory.load(journal, MODEL, environment), by_hand(journal, environment)
        assert found == wanted
        assert found.good_before(leaving=(2, 3)) == next(
            (version for version, bad in wanted.served[1:] if not bad and version not in (2, 3)), None
        )


def test_what_served_more_than_500_deployments_ago_is_forgotten(journal: Journal) -> None:
    with journal.transaction():
        deploy(journal, 1, start_seconds=9.0)
        deploy(journal, 2)
        for _ in range(499):
            deploy(journal, 3, state=DeploymentState.FAILED)
    found = EnvironmentHistory.load(journal, MODEL, "production")
    assert found == by_hand(journal, "production")
    assert (found.serving, found.earlier, found.start_seconds) == (2, (), None)


def test_an_environment_without_a_history(journal: Journal) -> None:
    found = EnvironmentHistory.load(journal, MODEL, "production")
    assert (found.serving, found.earlier, found.good_before()) == (None, (), None)


def test_the_registry_is_seen_as_it_was_last_read(journal: Journal) -> None:
    assert RegistryView.load(journal, MODEL).empty
    journal.versions.replace(MODEL, [Version(MODEL, 1, 1.0), Version(MODEL, 2, 2.0, aliases=("champion", "best"))], "f")
    view = RegistryView.load(journal, MODEL)
    assert not view.empty and view.aliases == {"champion": 2, "best": 2}
    assert (view.version(1), view.version(7), view.version(1 << 70)) == (Version(MODEL, 1, 1.0), None, None)
    champion = view.carrier("champion")
    assert champion is not None and champion.version == 2 and view.carrier("previous") is None
    journal.versions.replace(MODEL, [Version(MODEL, 1, 1.0)], "g")
    assert not RegistryView.load(journal, MODEL).empty, "versions without an alias are versions"


@pytest.mark.parametrize(("mark", "unread"), [("f", False), ("absent", True)])
def test_a_registry_whose_last_version_is_gone_was_read(journal: Journal, mark: str, unread: bool) -> None:
    assert RegistryView.load(journal, MODEL).unread
    journal.versions.replace(MODEL, [Version(MODEL, 1, 1.0)], "e")
    assert not RegistryView.load(journal, MODEL).unread
    journal.versions.replace(MODEL, [], mark)
    view = RegistryView.load(journal, MODEL)
    assert view.empty and view.unread is unread


@contextmanager
def counted(journal: Journal) -> Iterator[list[int]]:
    """How many rows are read inside."""
    rows, connection = [0], journal._database.connection

    def each(cursor: object, row: tuple[object, ...]) -> tuple[object, ...]:
        rows[0] += 1
        return row

    connection.row_factory = each
    try:
        yield rows
    finally:
        connection.row_factory = None


def fill(journal: Journal, versions: int, deployments: int) -> None:
    aliases = {versions: ("challenger",), versions - 3: ("champion",)}
    known = [
        Version(
            MODEL,
            number,
            float(number),
            aliases=aliases.get(number, ()),
            commit=f"{number:040d}",
            verdict=Verdict.PASS,
            metrics={"roc_auc": 0.8},
            params={"depth": "4"},
        )
        for number in range(1, versions + 1)
    ]
    journal.versions.replace(MODEL, known, "f")
    with journal.transaction():
        for number in range(deployments):
            how = How.PROMOTE if number % 9 else How.ROLLBACK
            deploy(journal, versions - 2 - deployments + number, how=how, start_seconds=2.5, traffic_seconds=0.4)


class Aliases:
    """A registry that has the journal's versions."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._carriers = journal.versions.aliases(MODEL)

    def aliases(self, model: str) -> dict[str, int]:
        return dict(self._carriers)

    def version(self, model: str, number: int) -> Version:
        found = self._journal.versions.get(model, number)
        assert found is not None
        return replace(found, aliases=tuple(name for name, carrier in self._carriers.items() if carrier == number))

    def set_alias(self, model: str, alias: str, number: int) -> None:
        self._carriers[alias] = number

    def delete_alias(self, model: str, alias: str) -> None:
        del self._carriers[alias]


def move_champion(project: Project, journal: Journal) -> None:
    registry: Any = Aliases(journal)
    champion = registry.aliases(MODEL)["champion"]
    for to in (champion + 1, None, champion):
        move_alias(project, journal, registry, MODEL, "champion", to, who="anna")
        assert journal.versions.aliases(MODEL).get("champion") == to


def examine(project: Project, journal: Journal) -> object:
    opened = SimpleNamespace(home=project.home, config=project, current=project, journal=journal, state=project.state)
    return doctor.examine(opened)


Asked = Callable[[Project, Journal], object]
ASKED: dict[str, Asked] = {
    "status": lambda project, journal: status(project, journal, project.environments["production"]),
    "promote": lambda project, journal: plans.plan(project, journal, How.PROMOTE, "production", None),
    "rollback": lambda project, journal: plans.plan(project, journal, How.ROLLBACK, "production", None),
    "lineage of an environment": lambda project, journal: lineage.rows(journal, project, "production"),
    "lineage of an alias": lambda project, journal: lineage.rows(journal, project, "champion"),
    "lineage of a number": lambda project, journal: lineage.rows(journal, project, "v40"),
    "lineage of a commit": lambda project, journal: lineage.rows(journal, project, f"{40:040d}"),
    "doctor": examine,
    "aliases": move_champion,
}


@pytest.mark.parametrize("what", ASKED)
def test_with_a_thousand_versions_and_a_hundred_deployments_about_a_hundred_rows_are_read(
    project: Project, journal: Journal, what: str
) -> None:
    fill(journal, 1000, 100)
    with counted(journal) as rows:
        ASKED[what](project, journal)
    # The doctor also counts the rows of each table, which is two rows read.
    assert 0 < rows[0] <= 130 + (2 * len(journal.rows.tables()) if what == "doctor" else 0)


@pytest.mark.parametrize("what", ASKED)
def test_the_rows_do_not_grow_with_the_registry(project: Project, journal: Journal, what: str) -> None:
    found: list[int] = []
    for versions in (50, 500):
        fill(journal, versions, 0 if found else 20)
        with counted(journal) as rows:
            ASKED[what](project, journal)
        found.append(rows[0])
    assert found[1] <= found[0] + 2
